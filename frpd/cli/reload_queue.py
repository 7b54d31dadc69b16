"""ReloadQueue: what a reload of either program is: read on a worker, then applied on the loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from frpd import log
from frpd.admin.reload import APPLYING, ReloadReport, code_of
from frpd.cli.config_file import ConfigFile
from frpd.errors import ConfigError, FrpError, LimitError
from frpd.workers import WorkerPool

T = TypeVar("T")
OnDone = Callable[[ReloadReport], None]

MAX_WAITING: Final = 64
"""Reloads that wait for the one that runs."""
FALLBACK_LEVEL: Final = "warn"
"""What an unknown log_level means, as at the start."""

_log = log.get_logger("frpd.cli.reload")


class ReloadQueue(ABC, Generic[T]):
    """Fits frpd.admin.reload.Reload. Loop thread only.

    Reloads follow one another; each reads the file after it was asked for.

    Args:
        pool: reads and checks.
        file: that the program was started with.
    """

    def __init__(self, pool: WorkerPool, file: ConfigFile) -> None:
        self._pool = pool
        self._file = file
        self._waiting: deque[tuple[bool, OnDone]] = deque()
        self._running = False

    def __call__(self, strict: bool, on_done: OnDone) -> None:
        """Reload once; see frpd.admin.reload.Reload."""
        if len(self._waiting) >= MAX_WAITING:
            on_done(ReloadReport(error="too many reloads wait for their turn", code=APPLYING))
            return
        self._waiting.append((strict, on_done))
        self._next()

    def plan(self, strict: bool, text: str | None, on_done: OnDone) -> None:
        """Say what a reload would do; see frpd.admin.reload.Plan."""
        held = [self._file.path]

        def read() -> T:
            if text is None:
                return self.read(self._file, strict=strict)
            with self._file.holding(text) as file:
                held.append(file.path)
                return self.read(file, strict=strict)

        def end(report: ReloadReport) -> None:
            """In words of the file, whatever its text was held in."""

            def rename(said: str) -> str:
                return said.replace(held[-1], held[0])

            on_done(
                report._replace(
                    error=rename(report.error), warnings=tuple(map(rename, report.warnings))
                )
            )

        def failed(error: Exception) -> None:
            end(ReloadReport(error=_text(error), code=code_of(error)))

        try:
            self._pool.submit(read, lambda found: end(self.foresee(found)), failed)
        except LimitError as error:
            failed(error)

    def hangup(self) -> None:
        """Reload since SIGHUP says so; what comes of it is in the log."""
        self(False, lambda _report: None)

    @abstractmethod
    def read(self, file: ConfigFile, *, strict: bool) -> T:
        """Return what the file, or another one in its place, says. Worker threads.

        Raises:
            ConfigError: it cannot be used.
        """

    @abstractmethod
    def apply(self, found: T) -> ReloadReport:
        """Go on with what the file says, and log what has changed.

        Raises:
            FrpError: it cannot be; nothing was changed.
        """

    @abstractmethod
    def foresee(self, found: T) -> ReloadReport:
        """Say what would change; nothing does."""

    def _next(self) -> None:
        if self._running or not self._waiting:
            return
        strict, on_done = self._waiting.popleft()
        self._running = True

        def read(found: T) -> None:
            self._running = False  # first: a bug in what follows must not be the end of reloads
            self._end(on_done, self._applied(found))

        def failed(error: Exception) -> None:
            self._running = False
            self._end(on_done, ReloadReport(error=_text(error), code=code_of(error)))

        try:
            self._pool.submit(lambda: self.read(self._file, strict=strict), read, failed)
        except LimitError as error:
            failed(error)

    def _applied(self, found: T) -> ReloadReport:
        try:
            return self.apply(found)
        except FrpError as error:
            return ReloadReport(error=str(error), code=APPLYING)

    def _end(self, on_done: OnDone, report: ReloadReport) -> None:
        if report.error:
            _log.error("reload of %s failed, nothing was changed:", self._file.path)
            for line in report.error.splitlines():
                _log.error("%s", line)
        on_done(report)
        self._next()


def refuse(complaints: Sequence[str]) -> None:
    """Raise ConfigError with a line for each complaint, if there is one."""
    if complaints:
        raise ConfigError("\n".join(complaints))


def set_level(level: str) -> None:
    """Log from the file's level on, whatever the API has set meanwhile."""
    try:
        log.set_level(level)
    except ValueError:
        log.set_level(FALLBACK_LEVEL)


def tell_success(
    warnings: Iterable[str], changes: Iterable[tuple[str, tuple[str, ...]]], left: tuple[str, ...]
) -> None:
    """Log what a reload has come to.

    Args:
        warnings: sentences.
        changes: names by what has become of them.
        left: keys that differ and are not live.
    """
    for warning in warnings:
        _log.warning("%s", warning)
    _log.info("success reload conf")
    for what, names in changes:
        if names:
            _log.info("%s: [%s]", what, " ".join(names))
    if left:
        _log.warning("[common] %s: changed in the file, needs a restart", ", ".join(left))


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, FrpError) else f"{type(error).__name__}: {error}"
