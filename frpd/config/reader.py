"""Read one section by the rows of the key table: values, defaults, hints and complaints."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from frpd.config.ini import Dialect, Entry, IniTree
from frpd.config.kinds import (
    OWN,
    SEED,
    BadValueError,
    Field,
    Kind,
    State,
    convert,
)
from frpd.config.params import Params
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from frpd.config.problems import Origin, Problems

_LENIENT = frozenset({Kind.INT, Kind.FLOAT, Kind.BOOL})
_SHOWN = 60


class SectionReader:
    """Reads one section of a file (or the flags of a command line, which have no file).

    Args:
        tree: the text as the chosen dialect reads it.
        section: which section.
        problems: takes what there is to say.
        rival: the same text as the other dialect reads it, to warn where a known key differs.
        from_flags: no section is named in messages, and nothing is forgiven.
    """

    def __init__(
        self,
        tree: IniTree,
        section: str,
        problems: Problems,
        *,
        rival: IniTree | None = None,
        from_flags: bool = False,
    ) -> None:
        self._tree = tree
        self._rival = rival if rival is not None and section in rival.sections else None
        self._section = section
        self._problems = problems
        self._from_flags = from_flags
        self._label = None if from_flags else section

    @property
    def dialect(self) -> Dialect:
        """Whose reading is followed."""
        return self._tree.dialect

    def read(self, rows: Iterable[Field]) -> dict[str, Any]:
        """The value of each row, by attribute name; a key with two names by the one that is set."""
        values: dict[str, Any] = {}
        for row in rows:
            if row.state is State.IGNORED:
                if row.note and self.present(row.name):
                    self.warn(row.name, row.note)
            elif row.attribute not in values or self.present(row.name):
                values[row.attribute] = self.value(row)
        return values

    def value(self, row: Field) -> Any:
        """One row's value; a bad one is reported and its default returned."""
        if row.kind is Kind.MAP:
            value: object = self._gather(row)
        else:
            value = self._converted(row)
            self._compare(row, value)
        self._announce(row, value)
        return value

    def present(self, key: str) -> bool:
        """Whether the section, or one that it inherits from, has the key."""
        return self._tree.lookup(self._section, key) is not None

    def given(self, key: str) -> bool:
        """Whether the key is there with a value; empty ones leave the default, since frp 0.36."""
        found = self._tree.lookup(self._section, key)
        return found is not None and bool(found[1].value)

    def origin(self, key: str | None = None) -> Origin | None:
        """Where the key stands; without one, or when it is missing, where the section begins."""
        found = self._tree.lookup(self._section, key) if key is not None else None
        return found[1].origin if found else self._tree.origins.get(self._section)

    def error(self, key: str, message: str) -> None:
        """Report that a key makes the configuration unusable."""
        self._problems.error(message, self.origin(key), self._label, key)

    def warn(self, key: str, message: str) -> None:
        """Report something about a key that does not stop the load."""
        self._problems.warn(message, self.origin(key), self._label, key)

    def report_unknown(self, rows: Iterable[Field], elsewhere: Iterable[Field] = ()) -> None:
        """Warn about each key of the section that no row knows.

        Args:
            rows: what this section may hold.
            elsewhere: rows of sibling sections (other proxy types): known, but of no use here.
        """
        names = {row.name for row in rows if row.kind is not Kind.MAP}
        prefixes = tuple(row.name for row in rows if row.kind is Kind.MAP)
        unknown = [
            key
            for key in self._tree.sections[self._section]
            if key not in names and (key in prefixes or not key.startswith(prefixes))
        ]
        others = {row.name for row in elsewhere} if unknown else set()
        for key in unknown:
            if key in others:
                self.warn(key, "has no effect in a section of this type")
                continue
            near = difflib.get_close_matches(key, sorted(names), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.warn(key, f"unknown key, ignored{hint}")

    def _gather(self, row: Field) -> Params:
        """The keys of a MAP: taken raw, and never inherited, as in frp."""
        cut = 0 if row.keep_prefix else len(row.name)
        section = self._tree.sections[self._section]
        found = {key: entry for key, entry in section.items() if _belongs(row, key)}
        if self._rival is not None and row.known_to_old:
            for key, entry in self._rival.sections[self._section].items():
                if _belongs(row, key) and (key not in found or found[key].value != entry.value):
                    self._warn_difference(row, key, "", "")
        return Params({key[cut:]: entry.value for key, entry in found.items()})

    def _converted(self, row: Field) -> object:
        entry = self._entry(self._tree, row)
        if entry is None:
            return row.default
        try:
            return convert(row, entry.value, self.dialect)
        except BadValueError as bad:
            return self._forgive(row, entry, bad)

    def _entry(self, tree: IniTree, row: Field) -> Entry | None:
        if self._from_flags:  # the shell has replaced what was to be replaced
            found = tree.lookup(self._section, row.name)
            return found[1] if found else None
        return tree.expanded(self._section, row.name)

    def _forgive(self, row: Field, entry: Entry, bad: BadValueError) -> object:
        """NEW frp took the default for a bad number or truth value; so do we, but say it."""
        shown = "the value" if row.hides_value else repr(entry.value[:_SHOWN])
        message = f"{shown} cannot be used; accepted: {bad}"
        lenient = row.kind in _LENIENT and self.dialect is Dialect.NEW
        if self._from_flags or not (lenient or row.fallback is not None):
            self.error(row.name, message)
            return row.default
        instead = row.default if row.fallback is None else row.fallback
        self.warn(row.name, f"{message}; using {_plain(instead)}")
        return instead

    def _compare(self, row: Field, value: object) -> None:
        if self._rival is None or not row.known_to_old:
            return
        try:
            entry = self._entry(self._rival, row)
            rival = convert(row, entry.value, self._rival.dialect) if entry else row.default
        except (BadValueError, ConfigError):
            return  # the other frp would have refused the file, so it was not written for it
        if rival != value:
            self._warn_difference(row, row.name, _plain(value), _plain(rival))

    def _warn_difference(self, row: Field, key: str, value: str, rival: str) -> None:
        eras = {Dialect.OLD: "frp to 0.35", Dialect.NEW: "frp since 0.36"}
        ours, theirs = eras[self.dialect], eras[self.dialect.other]
        if row.hides_value:
            detail = f"is read differently by {theirs} (quotes or a backslash?); following {ours}"
        else:
            detail = f"{theirs} reads {rival}, {ours} reads {value}; using {value}"
        self.warn(key, detail)

    def _announce(self, row: Field, value: object) -> None:
        """Say so when a newer key was set that has no effect, or none yet."""
        if row.state is State.FOREIGN and value != row.default:
            self.warn(row.name, f"has no effect: {row.note}")
        planned = row.newer_and_planned and value != row.default
        if not planned and value not in row.planned_choices:
            return
        key = row.name if row.kind is not Kind.MAP else f"{row.name}*"
        what = f"{key} = {value}" if value in row.planned_choices else key
        since = f" (frp has it since {row.since})" if row.since not in (SEED, OWN) else ""
        if row.guard:
            message = f"{what} is not supported yet{since}, and running without it is refused"
            self._problems.refuse(message, self.origin(row.name), self._label, row.name)
        else:
            self.warn(row.name, f"{what} is not supported yet{since} and has no effect")


def _belongs(row: Field, key: str) -> bool:
    return key.startswith(row.name) and key != row.name


def _plain(value: object) -> str:
    """A value as one would write it in the file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return repr(",".join(value))
    return repr(value) if isinstance(value, str) else str(value)
