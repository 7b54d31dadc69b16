"""Reload of frpc: proxies and visitors become those of the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from frpd.admin.reload import ReloadReport
from frpd.cli.config_file import ConfigFile
from frpd.cli.reload_queue import ReloadQueue, refuse, set_level, tell_success
from frpd.cli.unserved import client_refusals, client_warnings
from frpd.client.reload import SetupChanges, not_live
from frpd.client.service import Service
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.load import Loaded
from frpd.workers import WorkerPool


class ClientReload(ReloadQueue[Loaded[ClientSetup]]):
    """See ReloadQueue. Loop thread only.

    Args:
        pool: reads and checks.
        service: the client.
        file: that it was started with.
        common: of that file, as it was then.
    """

    def __init__(
        self, pool: WorkerPool, service: Service, file: ConfigFile, common: ClientConfig
    ) -> None:
        super().__init__(pool, file)
        self._service = service
        self._common = common

    def read(self, file: ConfigFile, *, strict: bool) -> Loaded[ClientSetup]:
        """See ReloadQueue.read."""
        loaded = file.load_client(strict=strict)
        setup = loaded.value
        refusals = (*loaded.refusals, *client_refusals(setup))
        warnings = (*loaded.warnings, *client_warnings(setup))
        refuse((*refusals, *warnings) if strict else refusals)
        return replace(loaded, warnings=warnings)

    def foresee(self, found: Loaded[ClientSetup]) -> ReloadReport:
        """See ReloadQueue.foresee."""
        changes = self._service.compare(found.value)
        return _report(changes, not_live(self._common, found.value.common), found.warnings)

    def apply(self, found: Loaded[ClientSetup]) -> ReloadReport:
        """See ReloadQueue.apply."""
        common = found.value.common
        changes = self._service.reload(found.value)
        set_level(common.log_level)
        left = not_live(self._common, common)
        tell_success(found.warnings, _by_kind(changes), left)
        return _report(changes, left, found.warnings)


def _report(
    changes: SetupChanges, left: tuple[str, ...], warnings: tuple[str, ...]
) -> ReloadReport:
    proxies, visitors = changes.proxies, changes.visitors
    return ReloadReport(
        added=proxies.added + visitors.added,
        removed=proxies.removed + visitors.removed,
        changed=proxies.changed + visitors.changed,
        unchanged=len(proxies.unchanged) + len(visitors.unchanged),
        not_live=left,
        warnings=warnings,
    )


def _by_kind(changes: SetupChanges) -> Iterator[tuple[str, tuple[str, ...]]]:
    for what, group in (("proxy", changes.proxies), ("visitor", changes.visitors)):
        yield f"{what} removed", group.removed
        yield f"{what} changed", group.changed
        yield f"{what} added", group.added
