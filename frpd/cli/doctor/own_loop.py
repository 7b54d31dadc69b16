"""A loop of one check's own: what frpc does on the network is done here by the same code."""

from __future__ import annotations

import errno
from collections.abc import Callable
from types import TracebackType
from typing import Final, NamedTuple

from frpd.errors import TransportError
from frpd.net.connector import Connector, DialError, Dialing
from frpd.net.resolver import Addresses, Resolver
from frpd.net.stream import SocketStream
from frpd.selector_loop import SelectorLoop
from frpd.workers import WorkerPool

AT_ONCE: Final = 100
"""So many connections are tried at the same time."""
MAX_TURN_SECONDS: Final = 0.1
SPARE_SECONDS: Final = 0.5


class Dialed(NamedTuple):
    """What became of a call: an empty error means that somebody answered."""

    error: str = ""
    code: int = 0
    """The errno, as far as it is known."""


class Place(NamedTuple):
    """Somewhere to connect to: host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""


class OwnLoop:
    """Runs in the thread of its check until all is answered or time is up.

    Args:
        nameserver: see Resolver.
    """

    def __init__(self, nameserver: str = "") -> None:
        self.loop = SelectorLoop()
        self.pool = WorkerPool(self.loop)
        self.connector = Connector(self.loop, Resolver(self.pool, nameserver))

    def __enter__(self) -> OwnLoop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.loop.run_turn(0.0)  # what closing has queued
        self.pool.close()
        self.loop.close()

    def run(self, is_over: Callable[[], object], seconds: float) -> bool:
        """Run until it is over; False if that took too long."""
        deadline = self.loop.clock.now() + seconds
        while not is_over():
            left = deadline - self.loop.clock.now()
            if left <= 0:
                return False
            self.loop.run_turn(min(left, MAX_TURN_SECONDS))
        return True

    def look_up(self, host: str, port: int, seconds: float) -> Addresses | str:
        """Return the addresses of a name, or why there are none."""
        found: list[Addresses | str] = []

        def failed(error: TransportError) -> None:
            found.append(str(error))

        self.connector.resolver.resolve(host, port, found.append, failed)
        if not self.run(lambda: found, seconds):
            return f"lookup {host}: no answer within {seconds:.0f} s"
        return found[0]

    def dial(self, places: list[Place], seconds: float, *, local_ip: str = "") -> list[Dialed]:
        """Connect to each place and hang up at once; return what became of each.

        Args:
            places: where to.
            seconds: how long each may take; no more of them than AT_ONCE go at once.
            local_ip: see Connector.connect.
        """
        outcomes: list[Dialed] = []
        for start in range(0, len(places), AT_ONCE):
            outcomes += self._dial_some(places[start : start + AT_ONCE], seconds, local_ip)
        return outcomes

    def _dial_some(self, places: list[Place], seconds: float, local_ip: str) -> list[Dialed]:
        outcomes: dict[int, Dialed] = {}

        def begin(index: int, place: Place) -> Dialing:
            def connected(stream: SocketStream) -> None:
                stream.close()
                outcomes[index] = Dialed()

            def failed(error: TransportError) -> None:
                code = error.code if isinstance(error, DialError) else 0
                outcomes[index] = Dialed(str(error), code)

            if place.path:
                return self.connector.connect_unix(
                    place.path, connected, failed, timeout_seconds=seconds
                )
            return self.connector.connect(
                place.host,
                place.port,
                connected,
                failed,
                timeout_seconds=seconds,
                local_ip=local_ip,
            )

        calls = [begin(index, place) for index, place in enumerate(places)]
        self.run(lambda: len(outcomes) == len(places), seconds + SPARE_SECONDS)
        for one in calls:
            one.cancel()
        silent = Dialed(f"no answer within {seconds:.0f} s", errno.ETIMEDOUT)
        return [outcomes.get(index, silent) for index in range(len(places))]
