"""Guesses: who tries wrong keys of secret proxies, or passwords of http ones, has to wait as well.

The door does not turn him away, since others from there may be good. So it is held against his
source at that one proxy or group, by the rules of the door.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary

from frpd.config.server import ServerConfig
from frpd.errors import ProxyError
from frpd.server.guard.penalties import Offence, Penalties, Penalty


class Guessed(Protocol):
    """What has a secret: a proxy, or a group of them."""

    name: str


class Guesses:
    """Remembers wrong keys for as long as their proxies are there. Loop thread only.

    Args:
        now: the loop's time.
        config: of the server.
    """

    def __init__(self, now: Callable[[], float], config: ServerConfig) -> None:
        self._now = now
        self._held: WeakKeyDictionary[Guessed, Penalties] = WeakKeyDictionary()
        self.use(config)

    def use(self, config: ServerConfig) -> None:
        """Decide by these from now on."""
        self._rules = (
            config.per_source_penalties,
            config.per_source_net_block_size,
            config.per_source_penalty_exempt_list,
        )
        for penalties in self._held.values():
            penalties.use(*self._rules)

    def wait_seconds(self, proxy: Guessed, host: str) -> float:
        """Return how long who comes from there has to wait; 0.0 if he need not."""
        penalties = self._held.get(proxy)
        return 0.0 if penalties is None else penalties.refused(host, self._now())

    def check(self, proxy: Guessed, host: str) -> None:
        """Raise ProxyError, with how long it takes, if who comes from there has to wait."""
        seconds = self.wait_seconds(proxy, host)
        if seconds:
            raise ProxyError(f"too many wrong keys for [{proxy.name}]: wait {seconds:.0f} s")

    def wrong(self, proxy: Guessed, host: str) -> None:
        """Somebody from there, who is known to be there, gave a wrong key."""
        penalties = self._held.get(proxy)
        if penalties is None:
            penalties = self._held[proxy] = Penalties(*self._rules, of=f" at [{proxy.name}]")
        penalties.offend(host, Offence.AUTHFAIL, self._now())

    def rows(self) -> list[tuple[str, Penalty]]:
        """Return what is held against whom, each with the name of the proxy."""
        now = self._now()
        return [
            (proxy.name, row)
            for proxy, penalties in self._held.items()
            for row in penalties.rows(now)
        ]

    def clear(self, host: str | None = None) -> int:
        """See Penalties.clear."""
        return sum(penalties.clear(host) for penalties in self._held.values())
