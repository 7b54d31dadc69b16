"""Servers of proxies that were changed, until the visitors whom they still serve are gone."""

from __future__ import annotations

from typing import Final

from frpd.client.proxies.base import ServesWork
from frpd.selector_loop import SelectorLoop, Timer

LOOK_SECONDS: Final = 1.0
"""Nobody tells when a visitor leaves who is not a relay, so we look."""


class RetiredServers:
    """Closes each of them when it has nobody left to serve. Loop thread only.

    Args:
        loop: the loop.
    """

    def __init__(self, loop: SelectorLoop) -> None:
        self._loop = loop
        self._servers: dict[str, list[ServesWork]] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """How many there are, for tests."""
        return sum(map(len, self._servers.values()))

    def add(self, name: str, server: ServesWork) -> None:
        """Let a server finish what is under way.

        Args:
            name: of its proxy, which may be another server's by now.
            server: gets no more work connections.
        """
        server.retire()
        self._servers.setdefault(name, []).append(server)
        self._look()

    def close(self, name: str) -> None:
        """Close those of a proxy, which is no more."""
        for server in self._servers.pop(name, ()):
            server.close()

    def close_all(self) -> None:
        """Close all. Idempotent."""
        for name in list(self._servers):
            self.close(name)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for name, servers in list(self._servers.items()):
            busy = [server for server in servers if server.counters.connections_open > 0]
            for server in servers:
                if server not in busy:
                    server.close()
            if busy:
                self._servers[name] = busy
            else:
                del self._servers[name]
        if self._servers:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
