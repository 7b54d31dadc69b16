"""Reload of frpc: read its file again on a worker, then have the client change on the loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from frpd import log
from frpd.admin.reload import ReloadReport
from frpd.cli.config_file import ConfigFile
from frpd.cli.unserved import client_refusals, client_warnings
from frpd.client.reload import Changes, SetupChanges, not_live
from frpd.client.service import Service
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.load import COMMON, Loaded
from frpd.config.problems import ConfigErrors
from frpd.errors import ConfigError, FrpError, LimitError
from frpd.workers import WorkerPool

OnDone = Callable[[ReloadReport], None]

# What is wrong, in frp's numbers.
THE_FILE: Final = 1
THE_COMMON: Final = 2
A_SECTION: Final = 3
APPLYING: Final = 4

MAX_WAITING: Final = 64
"""Reloads that wait for the one that runs."""
FALLBACK_LEVEL: Final = "warn"
"""What an unknown log_level means, as at the start."""

_log = log.get_logger("frpd.cli.client_reload")


class ClientReload:
    """Fits frpd.admin.reload.Reload. Loop thread only.

    Reloads follow one another; each reads the file after it was asked for.

    Args:
        pool: reads and checks.
        service: the client.
        file: that it was started with.
        common: of that file, as it was then.
    """

    def __init__(
        self, pool: WorkerPool, service: Service, file: ConfigFile, common: ClientConfig
    ) -> None:
        self._pool = pool
        self._service = service
        self._file = file
        self._common = common
        self._waiting: deque[tuple[bool, OnDone]] = deque()
        self._running = False

    def __call__(self, strict: bool, on_done: OnDone) -> None:
        """Reload once; see frpd.admin.reload.Reload."""
        if len(self._waiting) >= MAX_WAITING:
            on_done(ReloadReport(error="too many reloads wait for their turn", code=APPLYING))
            return
        self._waiting.append((strict, on_done))
        self._next()

    def hangup(self) -> None:
        """Reload since SIGHUP says so; what comes of it is in the log."""
        self(False, lambda _report: None)

    def _next(self) -> None:
        if self._running or not self._waiting:
            return
        strict, on_done = self._waiting.popleft()
        self._running = True

        def read(loaded: Loaded[ClientSetup]) -> None:
            self._running = False  # first: a bug in what follows must not be the end of reloads
            self._end(on_done, self._apply(loaded))

        def failed(error: Exception) -> None:
            self._running = False
            self._end(on_done, ReloadReport(error=_text(error), code=_code(error)))

        try:
            self._pool.submit(lambda: self._read(strict=strict), read, failed)
        except LimitError as error:
            failed(error)

    def _end(self, on_done: OnDone, report: ReloadReport) -> None:
        if report.error:
            _log.error("reload of %s failed, nothing was changed:", self._file.path)
            for line in report.error.splitlines():
                _log.error("%s", line)
        on_done(report)
        self._next()

    def _read(self, *, strict: bool) -> Loaded[ClientSetup]:
        """Worker threads."""
        loaded = self._file.load_client(strict=strict)
        setup = loaded.value
        refusals = (*loaded.refusals, *client_refusals(setup))
        warnings = (*loaded.warnings, *client_warnings(setup))
        complaints = (*refusals, *warnings) if strict else refusals
        if complaints:
            raise ConfigError("\n".join(complaints))
        return replace(loaded, warnings=warnings)

    def _apply(self, loaded: Loaded[ClientSetup]) -> ReloadReport:
        common = loaded.value.common
        try:
            changes = self._service.reload(loaded.value)
        except FrpError as error:
            return ReloadReport(error=str(error), code=APPLYING)
        _set_level(common.log_level)
        left = not_live(self._common, common)
        for warning in loaded.warnings:
            _log.warning("%s", warning)
        _tell(changes, left)
        proxies, visitors = changes.proxies, changes.visitors
        return ReloadReport(
            added=proxies.added + visitors.added,
            removed=proxies.removed + visitors.removed,
            changed=proxies.changed + visitors.changed,
            unchanged=len(proxies.unchanged) + len(visitors.unchanged),
            not_live=left,
            warnings=loaded.warnings,
        )


def _set_level(level: str) -> None:
    """Log from the file's level on, whatever the API has set meanwhile."""
    try:
        log.set_level(level)
    except ValueError:
        log.set_level(FALLBACK_LEVEL)


def _tell(changes: SetupChanges, left: tuple[str, ...]) -> None:
    _log.info("success reload conf")
    for what, group in (("proxy", changes.proxies), ("visitor", changes.visitors)):
        for verb, names in _groups(group):
            if names:
                _log.info("%s %s: [%s]", what, verb, " ".join(names))
    if left:
        _log.warning("[common] %s: changed in the file, needs a restart", ", ".join(left))


def _groups(changes: Changes) -> Iterable[tuple[str, tuple[str, ...]]]:
    yield "removed", changes.removed
    yield "changed", changes.changed
    yield "added", changes.added


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, FrpError) else f"{type(error).__name__}: {error}"


def _code(error: Exception) -> int:
    first = error.errors[0] if isinstance(error, ConfigErrors) else error
    if isinstance(first, ConfigError) and first.section is not None:
        return THE_COMMON if first.section == COMMON else A_SECTION
    return THE_FILE
