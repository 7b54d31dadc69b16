"""Reload of frps: keys that are live become those of the file; the others are named."""

from __future__ import annotations

from typing import NamedTuple

from frpd import log
from frpd.admin.reload import ReloadReport
from frpd.cli.config_file import ConfigFile
from frpd.cli.reload_queue import ReloadQueue, refuse, set_level, tell_success
from frpd.config.server import ServerConfig
from frpd.selector_loop import SelectorLoop
from frpd.server.fittings import Fittings, load_fittings
from frpd.server.reload import Comparison, compare
from frpd.server.service import Service
from frpd.workers import WorkerPool


class Found(NamedTuple):
    """A file that can be used, and what it names."""

    config: ServerConfig
    fittings: Fittings
    warnings: tuple[str, ...]


class ServerReload(ReloadQueue[Found]):
    """See ReloadQueue. Loop thread only.

    Args:
        loop: the loop.
        pool: reads and checks.
        service: the server; it runs on what the file said when it was started.
        file: that it was started with.
    """

    def __init__(
        self, loop: SelectorLoop, pool: WorkerPool, service: Service, file: ConfigFile
    ) -> None:
        super().__init__(pool, file)
        self._loop = loop
        self._service = service

    def read(self, file: ConfigFile, *, strict: bool) -> Found:
        """See ReloadQueue.read."""
        loaded = file.load_server(strict=strict)
        config = loaded.value
        refuse((*loaded.refusals, *loaded.warnings) if strict else loaded.refusals)
        return Found(config, load_fittings(self._loop, config), loaded.warnings)

    def foresee(self, found: Found) -> ReloadReport:
        """See ReloadQueue.foresee."""
        return _report(compare(self._service.config, found.config), found.warnings)

    def apply(self, found: Found) -> ReloadReport:
        """See ReloadQueue.apply."""
        changes = compare(self._service.config, found.config)
        remarks = self._service.reload(found.config, found.fittings)
        set_level(found.config.log_level)
        log.set_max_days(found.config.log_max_days)
        warnings = found.warnings + remarks
        tell_success(warnings, [("changed in [common]", changes.changed)], changes.not_live)
        return _report(changes, warnings)


def _report(changes: Comparison, warnings: tuple[str, ...]) -> ReloadReport:
    return ReloadReport(
        changed=changes.changed,
        unchanged=changes.unchanged,
        not_live=changes.not_live,
        warnings=warnings,
    )
