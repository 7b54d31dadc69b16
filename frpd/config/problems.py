"""What a load has to say: errors that end it, warnings, and refusals. All with their place."""

from __future__ import annotations

from typing import NamedTuple

from frpd.errors import ConfigError


class Origin(NamedTuple):
    """Where a key or a section header stands."""

    path: str
    line: int


class ConfigErrors(ConfigError):
    """Several problems of one load, one line each; `errors` holds them apart."""

    def __init__(self, errors: tuple[ConfigError, ...]) -> None:
        self.errors = errors
        super().__init__("\n".join(str(error) for error in errors))


def located(
    message: str, origin: Origin | None, section: str | None, key: str | None
) -> ConfigError:
    """A ConfigError that names the place."""
    path, line = origin or (None, None)
    return ConfigError(message, path=path, line=line, section=section, key=key)


class Problems:
    """Collects while a file is read, so that an operator sees all of it at once."""

    __slots__ = ("_warned", "errors", "refusals", "warnings")

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []
        self.warnings: list[str] = []
        self.refusals: list[str] = []
        self._warned: set[str] = set()

    def error(
        self,
        message: str,
        origin: Origin | None = None,
        section: str | None = None,
        key: str | None = None,
    ) -> None:
        """Note something that makes the configuration unusable."""
        self.errors.append(located(message, origin, section, key))

    def warn(
        self,
        message: str,
        origin: Origin | None = None,
        section: str | None = None,
        key: str | None = None,
    ) -> None:
        """Note something the operator should know; the load goes on. Repetitions are dropped."""
        text = str(located(message, origin, section, key))
        if text not in self._warned:
            self._warned.add(text)
            self.warnings.append(text)

    def refuse(
        self,
        message: str,
        origin: Origin | None = None,
        section: str | None = None,
        key: str | None = None,
    ) -> None:
        """Note a protection that was asked for and cannot be given: readable, not runnable."""
        self.refusals.append(str(located(message, origin, section, key)))

    def raise_errors(self, *, strict: bool = False) -> None:
        """Raise what was collected, if anything; `strict` counts warnings and refusals too."""
        errors = list(self.errors)
        if strict:
            errors += [ConfigError(text) for text in (*self.warnings, *self.refusals)]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ConfigErrors(tuple(errors))
