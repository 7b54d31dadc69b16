"""Books: what a server remembers of its clients and proxies, for whoever looks after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

from frpd.clock import unix_now
from frpd.metrics.client_book import ClientBook
from frpd.metrics.counters import ProxyCounters
from frpd.metrics.history import History
from frpd.metrics.statistics import Statistics
from frpd.proto.message.types import NewProxy
from frpd.relay.relay import Running
from frpd.selector_loop import SelectorLoop

if TYPE_CHECKING:
    from frpd.server.control import ControlSession
    from frpd.server.proxies.base import Proxy

SAMPLE_SECONDS: Final = 60.0
STEPS_PER_TURN: Final = 64
OVER: Final = object()


class Books:
    """Statistics, and the records of who was here. Loop thread only.

    Args:
        loop: the loop.
        relays: what runs; changed by its owner.

    Attributes:
        started_at: when the server was started, Unix time.
        requests: what each registered proxy was asked for with.
        statistics: traffic of proxies; sample() brings it up to date.
        clients: who is connected and who was.
        history: what passed in each of the last minutes.
    """

    def __init__(self, loop: SelectorLoop, relays: Collection[Running]) -> None:
        self.started_at = unix_now()
        self.requests: dict[str, NewProxy] = {}
        self.statistics = Statistics(self.started_at)
        self.clients = ClientBook()
        self.history = History(SAMPLE_SECONDS, self.started_at)
        self._loop = loop
        self._relays = relays
        self._timer = loop.call_later(SAMPLE_SECONDS, self._time_to_sample)

    def close(self) -> None:
        """Look no more. Idempotent."""
        self._timer.cancel()

    def client_entered(self, control: ControlSession) -> None:
        """A client has logged in."""
        login = control.login
        self.clients.entered(
            control.run_id,
            user=login.user,
            hostname=login.hostname,
            version=login.version,
            address=control.connection.source,
            now=unix_now(),
        )

    def client_left(self, run_id: str) -> None:
        """Its session is over."""
        self.clients.left(run_id, unix_now())

    def counters(self, request: NewProxy) -> ProxyCounters:
        """Return the counters that a proxy is to go on with."""
        return self.statistics.counters(request.proxy_name, request.proxy_type or "tcp")

    def proxy_started(self, run_id: str, proxy: Proxy, request: NewProxy) -> None:
        """A proxy was registered by this client."""
        self.requests[proxy.name] = request
        self.statistics.proxy_started(
            proxy.name, proxy.proxy_type, proxy.counters, run_id=run_id, now=unix_now()
        )

    def proxy_closed(self, name: str) -> None:
        """A proxy is no more."""
        self.requests.pop(name, None)
        self.statistics.proxy_closed(name, unix_now())

    def owner(self, name: str) -> str:
        """Return the run id of the client that has a proxy, or had it last; "" for none."""
        return self.statistics.owner(name)

    def sample(self) -> Iterator[None]:
        """Count what runs, on this day: in steps, since there may be thousands of relays."""
        found = []
        for relay in list(self._relays):
            found.append((relay, relay.progress()))
            yield
        live: dict[str, tuple[int, int]] = {}
        for relay, one in found:
            if relay in self._relays:  # the counters have the bytes of those that have ended
                bytes_in, bytes_out = live.get(one.owner, (0, 0))
                live[one.owner] = bytes_in + one.bytes_in, bytes_out + one.bytes_out
        self.statistics.sample(live, unix_now())

    def _time_to_sample(self) -> None:
        """Also if nobody asks: bytes belong to the day on which they passed."""
        self._go_on(self.sample())

    def _go_on(self, steps: Iterator[None]) -> None:
        for _ in range(STEPS_PER_TURN):
            if next(steps, OVER) is OVER:
                self._note()
                self._timer = self._loop.call_later(SAMPLE_SECONDS, self._time_to_sample)
                return
        self._timer = self._loop.call_later(0.0, self._go_on, steps)

    def _note(self) -> None:
        known = self.statistics
        self.history.note(known.bytes_in, known.bytes_out, known.connections, unix_now())
