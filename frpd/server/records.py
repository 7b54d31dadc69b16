"""Records: what a server writes down beside its log, from its start to its end."""

from __future__ import annotations

from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from frpd.log_file import LogFile
from frpd.metrics.access import Sink
from frpd.metrics.statistics import Statistics
from frpd.selector_loop import SelectorLoop
from frpd.server.access_log import AccessFile, tell_in_log
from frpd.server.statistics_file import StatisticsFile
from frpd.workers import WorkerPool

OFF = frozenset(("", "off"))
LOG = "log"


class Records:
    """The access log, and the statistics. Loop thread only.

    Args:
        config: checked.
        loop: the loop.
        pool: writes.

    Attributes:
        tell: takes visits that are over; None where nobody wants to know.

    Raises:
        ConfigError: a file cannot be opened.
    """

    def __init__(self, config: ServerConfig, loop: SelectorLoop, pool: WorkerPool) -> None:
        self.tell: Sink | None = None
        self._loop = loop
        self._pool = pool
        self._statistics: StatisticsFile | None = None
        self._access: AccessFile | None = None
        if config.access_log == LOG:
            self.tell = tell_in_log
        elif config.access_log not in OFF:
            is_json = config.log_format == "json"
            self._access = AccessFile(loop, pool, _open(config), as_json=is_json)
            self.tell = self._access.tell

    def keep(self, statistics: Statistics, path: str | None) -> None:
        """Go on with the statistics of this file, and keep them there; None for nowhere."""
        if path is not None:
            self._statistics = StatisticsFile(self._loop, self._pool, statistics, path)

    def close(self) -> None:
        """Write what is not written; after the service is closed, and before the pool is."""
        if self._statistics is not None:
            self._statistics.close()
            self._statistics = None
        if self._access is not None:
            self._access.close()
            self._access = None


def _open(config: ServerConfig) -> LogFile:
    path = config.access_log
    try:
        return LogFile(path, config.log_max_days)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot open access log {path!r}: {reason}", key="access_log") from error
