"""Plugins that talk to their visitors themselves, and one such visitor: a guest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from frpd.client.proxies.base import ProxyContext
from frpd.client.proxies.work_leg import join, open_work, source_of
from frpd.config.proxies import ProxyConfig
from frpd.errors import ConnectionLost, TransportError
from frpd.metrics.counters import ProxyCounters
from frpd.net.connector import Dialing
from frpd.net.endpoint import Buffer, Callback, Endpoint, Outcome
from frpd.net.stream import SocketStream
from frpd.proto.message.types import StartWorkConn
from frpd.relay.relay import LINGER_SECONDS
from frpd.selector_loop import Timer
from frpd.transports.work import WorkStream

READ_BYTES: Final = 16 * 1024
DIAL_SECONDS: Final = 15.0
"""For whom a visitor names: farther away than a local service."""


class GuestServer:
    """Serves a proxy by talking to each visitor. Loop thread only.

    Args:
        context: of the client.
        config: of the proxy.
        welcome: makes a guest of a visitor; it begins at once.
    """

    def __init__(
        self,
        context: ProxyContext,
        config: ProxyConfig,
        welcome: Callable[[GuestServer, Endpoint, StartWorkConn], Guest],
    ) -> None:
        self.counters = ProxyCounters()
        self.context = context
        self.guests: set[Guest] = set()
        self.is_retired = False
        self.config = config
        self._welcome = welcome

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        """See ServesWork.on_work."""
        endpoint = open_work(self.context, self.config, work)
        if endpoint is not None:
            self._welcome(self, endpoint, start).begin()

    def retire(self) -> None:
        """See ServesWork.retire."""
        self.is_retired = True
        for guest in list(self.guests):
            guest.retire()

    def close(self) -> None:
        """See ServesWork.close."""
        for guest in list(self.guests):
            guest.drop("the proxy stops")


class Guest:
    """A visitor while we talk to it: until it leaves, or is joined to a service. Loop thread only.

    Who derives says in ``received`` what to do with bytes. One thing is done at a time:
    listen, say, dial, finish.

    Args:
        server: whose guest it is.
        work: its bytes.
        start: what the server says of it.

    Attributes:
        bytes_in: payload from the visitor to services, for the books.
        bytes_out: and back.
    """

    def __init__(self, server: GuestServer, work: Endpoint, start: StartWorkConn) -> None:
        self.server = server
        self.context = server.context
        self.work = work
        self.start = start
        self.source = source_of(start)
        self.begun = server.context.loop.now()
        self.bytes_in = self.bytes_out = 0
        self._attempt: Dialing | None = None
        self._timer: Timer | None = None
        self._unsent: Buffer = b""
        self._then: Callback = self._unwatch
        self._finishing = False
        self._over = False
        work.on_failure = self._lost
        server.guests.add(self)
        server.counters.opened()

    # Those who derive know better.

    def begin(self) -> None:
        """Start the talk."""
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        """The visitor said something, while we listen."""
        raise NotImplementedError

    def overdue(self) -> None:
        """What was to happen within the deadline has not."""
        self.drop("too slow")

    def retire(self) -> None:
        """Take no further request; a login that holds no longer opens nothing new."""
        raise NotImplementedError

    def left(self) -> None:
        """Let go of what was held for the visitor; called once."""

    # What a guest does.

    @property
    def is_over(self) -> bool:
        """Whether it has left, or was joined to a service."""
        return self._over

    def listen(self) -> None:
        """Have ``received`` called with what comes."""
        self.work.watch(self._readable, None)

    def say(self, data: bytes, then: Callback) -> None:
        """Send ``data``, listening to nothing; then go on."""
        self._unsent = data
        self._then = then
        self._send()

    def dial(
        self,
        host: str,
        port: int,
        on_connected: Callable[[SocketStream], None],
        on_failed: Callable[[TransportError], None],
    ) -> None:
        """Connect to a service; names are looked up on this machine."""

        def connected(local: SocketStream) -> None:
            self._attempt = None
            on_connected(local)

        def failed(error: TransportError) -> None:
            self._attempt = None
            on_failed(error)

        self._unwatch()
        attempt = self.context.connector.connect(
            host, port, connected, failed, timeout_seconds=DIAL_SECONDS
        )
        if not attempt.is_over:
            self._attempt = attempt

    def join(self, local: Endpoint) -> None:
        """Hand the visitor over to a service: from here on it is a relay."""
        if not self._leave():
            local.abort()
            return
        self.work.on_failure = None
        self.server.counters.bytes_in += self.bytes_in
        self.server.counters.bytes_out += self.bytes_out
        join(
            self.context,
            self.server.counters,
            local,
            self.work,
            source=self.source,
            begun=self.begun,
        )

    def take_over(self, work: Endpoint) -> None:
        """Go on with what is inside of the visitor's bytes, such as of TLS."""
        self.work = work
        work.on_failure = self._lost

    def set_deadline(self, seconds: float) -> None:
        """Have ``overdue`` called after a while; inf for never. There is one deadline at a time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds != math.inf and not self._over:
            self._timer = self.context.loop.call_later(seconds, self._time_is_up)

    def finish(self) -> None:
        """Say no more; hear the visitor out for a moment, so that it hears all we said."""
        if self._over:
            return
        self._finishing = True
        self.set_deadline(LINGER_SECONDS)
        self.work.shutdown_write()
        self.work.watch(self._discard, None)

    def close(self) -> None:
        """End the connection. Idempotent."""
        if self._leave():
            self._count()
            self.work.close()

    def drop(self, reason: str) -> None:
        """Reset the connection. Idempotent."""
        if self._leave():
            self.context.log.debug("%s dropped: %s", self.source, reason)
            self._count()
            self.work.abort()

    def _leave(self) -> bool:
        if self._over:
            return False
        self.set_deadline(math.inf)
        self._over = True
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        self._unwatch()
        self.server.guests.discard(self)
        self.left()
        return True

    def _count(self) -> None:
        self.server.counters.closed(self.bytes_in, self.bytes_out)

    def _unwatch(self) -> None:
        self.work.watch(None, None)

    def _readable(self) -> None:
        try:
            data = self.work.read(READ_BYTES)
        except ConnectionLost as error:
            self.drop(str(error))
            return
        if data is Outcome.EOF:
            self.close()
        elif not isinstance(data, Outcome):
            self.received(bytes(data))

    def _send(self) -> None:
        try:
            taken = self.work.write(self._unsent) if self._unsent else 0
        except ConnectionLost as error:
            self.drop(str(error))
            return
        self._unsent = self._unsent[taken:]
        if self._unsent:
            self.work.watch(None, self._send)
        else:
            self._unwatch()
            self._then()

    def _discard(self) -> None:
        try:
            data = self.work.read(len(self.context.loop.scratch))
        except ConnectionLost:
            data = Outcome.EOF
        if data is Outcome.EOF:
            self.close()

    def _time_is_up(self) -> None:
        self._timer = None
        if self._finishing:
            self.close()
        else:
            self.overdue()

    def _lost(self) -> None:
        self.drop("connection lost")
