"""HealthWatch: asks local services again and again how they are.

Failures count in a row. frp never forgets one, so that after ``health_check_max_failed`` of them
in a whole life the next one withdraws a proxy at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from frpd.client.health.checks import Check
from frpd.client.proxy_table import ProxyEntry
from frpd.entropy import Entropy
from frpd.net.connector import Connector
from frpd.selector_loop import SelectorLoop, Timer

DEFAULT_INTERVAL_SECONDS: Final = 10
DEFAULT_TIMEOUT_SECONDS: Final = 3
FIRST_WITHIN_SECONDS: Final = 0.2
"""The first checks of many services are spread over so much."""
SPREAD: Final = 0.1
"""Of the interval: services that were asked at once do not stay so."""

OnChange = Callable[[ProxyEntry, str], None]
"""A service is well again (""), or ill now, and why."""


class HealthWatch:
    """The monitors of a client's proxies. Loop thread only.

    Args:
        loop: the loop.
        connector: reaches the services.
        entropy: spreads the checks.
        on_change: called when the state of a service has changed, and with the first good check.
    """

    def __init__(
        self, loop: SelectorLoop, connector: Connector, entropy: Entropy, on_change: OnChange
    ) -> None:
        self._loop = loop
        self._connector = connector
        self._entropy = entropy
        self._on_change = on_change
        self._monitors: dict[int, _Monitor] = {}

    def watch(self, entries: Iterable[ProxyEntry]) -> None:
        """Watch the services of these proxies from now on, and of no others."""
        wanted = {id(entry): entry for entry in entries if entry.is_checked}
        for key in self._monitors.keys() - wanted.keys():
            self._monitors.pop(key).close()
        for key, entry in wanted.items():
            if key not in self._monitors and entry.server is not None:
                self._monitors[key] = _Monitor(
                    self._loop, self._connector, self._entropy, entry, self._on_change
                )

    def close(self) -> None:
        """Watch nothing any more. Idempotent."""
        self.watch(())


class _Monitor:
    """Checks one service for one proxy."""

    def __init__(
        self,
        loop: SelectorLoop,
        connector: Connector,
        entropy: Entropy,
        entry: ProxyEntry,
        on_change: OnChange,
    ) -> None:
        config = entry.config
        self._loop = loop
        self._connector = connector
        self._entropy = entropy
        self._entry = entry
        self._on_change = on_change
        self._interval = float(_positive(config.health_check_interval_s, DEFAULT_INTERVAL_SECONDS))
        self._timeout = float(_positive(config.health_check_timeout_s, DEFAULT_TIMEOUT_SECONDS))
        self._max_failed = _positive(config.health_check_max_failed, 1)
        self._path = ""
        if config.health_check_type == "http":
            self._path = f"/{config.health_check_url.removeprefix('/')}"
        self._failed = 0
        self._is_well = False
        self._check: Check | None = None
        first = FIRST_WITHIN_SECONDS / 2
        self._timer: Timer | None = loop.call_later(entropy.jitter(first, 1.0), self._begin)

    def close(self) -> None:
        """Check no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def _begin(self) -> None:
        self._timer = None
        over = False

        def done(reason: str) -> None:
            nonlocal over
            over = True
            self._check = None
            pause = self._entropy.jitter(self._interval, SPREAD)
            self._timer = self._loop.call_later(pause, self._begin)
            self._judge(reason)

        config = self._entry.config
        check = Check(
            self._loop,
            self._connector,
            config.local_ip,
            config.local_port,
            path=self._path,
            timeout_seconds=self._timeout,
            on_result=done,
        )
        if not over:
            self._check = check

    def _judge(self, reason: str) -> None:
        if not reason:
            self._failed = 0
            if not self._is_well:
                self._is_well = True
                self._on_change(self._entry, "")
            return
        self._failed += 1
        self._entry.log.warning("health check: %s", reason)
        if self._failed == self._max_failed:
            self._is_well = False
            self._on_change(self._entry, reason)


def _positive(value: int, default: int) -> int:
    return value if value > 0 else default
