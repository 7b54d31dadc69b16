"""Connection: one client's transport connection, until it has an identity.

It reads the first message of each stream: of the only one, or of those that
yamux brings. Login makes it a client's connection; NewWorkConn hands a stream
to the client that it names, NewVisitorConn to the proxy. Until then it is
pending, and the door may end it at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from frpd.errors import ConnectionLost, FrpError, RemoteProtocolError, TransportError
from frpd.log import get_logger
from frpd.net.address import host_of
from frpd.net.endpoint import Callback, Endpoint
from frpd.net.stream import SocketEnds
from frpd.proto.message.types import Login, Message, NewVisitorConn, NewWorkConn
from frpd.proto.yamux.session import YamuxSession
from frpd.proto.yamux.window import WindowBudget
from frpd.selector_loop import SelectorLoop, Timer
from frpd.server.door import Door
from frpd.server.guard.clients import ClientGuard
from frpd.server.guard.penalties import Offence
from frpd.server.reception import Carried, CarriedStreams, Local
from frpd.transports.link import LinkStream, OnStream, StreamLink
from frpd.transports.messages import MessageStream
from frpd.transports.mux import MuxLink

MAX_STREAMS = 65_536

_log = get_logger("frpd.server.connection")


class Identities(Protocol):
    """Who decides what a first message is worth: the service."""

    def login(self, connection: Connection, stream: MessageStream, login: Login) -> bool:
        """Take the stream over; False = refused, and the answer was sent."""

    def work_connection(self, connection: Connection, hello: NewWorkConn, work: Endpoint) -> bool:
        """Take a work connection; False = nobody wants it."""

    def visitor_connection(
        self, connection: Connection, endpoint: Endpoint, request: NewVisitorConn
    ) -> None:
        """Take a visitor's stream, or end it."""


class Connection:
    """One connection that speaks frp. Loop thread only.

    Args:
        loop: the loop.
        carried: nothing was read from it; owned from now on.
        door: counts it while it is pending.
        guard: is told what it has done wrong.
        identities: takes over what has identified itself.
        first_message_seconds: how long a later stream may stay silent.
        windows: lets streams' windows grow.
        keepalive_seconds: between yamux pings; <= 0 for none.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        carried: Carried | CarriedStreams,
        *,
        door: Door,
        guard: ClientGuard,
        identities: Identities,
        first_message_seconds: float,
        keepalive_seconds: float,
        windows: WindowBudget | None = None,
    ) -> None:
        self._loop = loop
        self._bearer = carried.bearer
        self._carrier: Endpoint | None = None  # a link of its own has none
        self._door = door
        self._guard = guard
        self._identities = identities
        self._first_message_seconds = first_message_seconds
        self._keepalive_seconds = keepalive_seconds
        self._windows = windows
        self._link: StreamLink | None = None
        self._first: FirstMessage | None = None  # before login there is only one
        self._trusted = False
        self._over = False  # refused: everything about it has been said
        self.if_it_leaves = Offence.NOAUTH  # before it is trusted
        self.local: Local | None = None
        self.layers = carried.layers
        self.peer = self._bearer.describe()
        self.source = host_of(self._bearer.peer)
        self._ticket = carried.ticket
        self._ticket.refuse = self._refused
        self.when_proven: Callable[[Callback], None] = lambda call: call()
        if isinstance(carried, CarriedStreams):
            self.local = carried.local
            self._link = carried.make_link(self._stream_opened, self._link_closed)
            return
        self.when_proven = carried.bearer.when_proven
        self._carrier = carried.carrier
        self._carrier.on_failure = self._gone
        if carried.is_mux:
            self._start_mux(self._carrier)
        else:
            self._read_first_message(self._carrier)

    @property
    def is_mux(self) -> bool:
        """Whether streams share this connection."""
        return self._link is not None

    def local_host_port(self) -> tuple[str, int]:
        """Return our address on this connection."""
        address = self._bearer.local_address()
        return host_of(address), address[1]

    def ends(self) -> SocketEnds | None:
        """Return both addresses of it; None if it is over."""
        return self._bearer.ends()

    def peer_host_port(self) -> tuple[str, int]:
        """Return the client's address on this connection."""
        return self.source, self._bearer.peer[1]

    def let_in(self) -> None:
        """What came on it has shown that it may: a connection of its own may stay."""
        if self._link is None:
            self._trusted = True
            self._bearer.let_in()
            self._door.prove(self._ticket)

    def trust(self, *, rising_ids: bool = False) -> None:
        """Login succeeded: the connection may open streams and stay.

        Args:
            rising_ids: stream ids are never used twice; see YamuxSession.
        """
        self._trusted = True
        self._bearer.let_in()
        self._door.prove(self._ticket)
        if self._link is not None:
            self._link.let_streams_in(MAX_STREAMS, rising_ids=rising_ids)

    def open_stream(self, on_open: OnStream, on_failed: Callable[[TransportError], None]) -> None:
        """Open a stream to the peer; only with mux. See StreamLink.open_stream."""
        assert self._link is not None
        self._link.open_stream(on_open, on_failed)

    def go_away(self) -> None:
        """Tell a mux peer that no new streams are taken."""
        if self._link is not None:
            self._link.go_away()

    def close(self) -> None:
        """Close after what was sent; all streams on it are lost. Idempotent."""
        self._door.leave(self._ticket)
        if self._link is not None:
            self._link.close()

    def accuse(self, offence: Offence) -> None:
        """Hold something against where it comes from, once that is known to be so."""
        self.when_proven(lambda: self._guard.accuse(self.source, offence))

    # What comes on it.

    def _start_mux(self, carrier: Endpoint) -> None:
        session = YamuxSession(
            is_client=False,
            now=self._loop.now(),
            max_streams=1,
            keepalive_seconds=self._keepalive_seconds if self._keepalive_seconds > 0 else None,
            windows=self._windows,
        )
        self._link = MuxLink(
            self._loop,
            carrier,
            session,
            on_stream=self._stream_opened,
            on_closed=self._link_closed,
        )

    def _stream_opened(self, stream: LinkStream) -> None:
        if self._over:
            stream.abort()
        else:
            self._read_first_message(stream)

    def _read_first_message(self, endpoint: Endpoint) -> None:
        first = FirstMessage(self, endpoint, self._loop, self._first_message_seconds)
        if not self._trusted:
            self._first = first

    # What FirstMessage reports.

    def first_message(self, stream: MessageStream, message: Message) -> None:
        """Act on the first message of one stream."""
        if isinstance(message, Login) and not self._trusted:
            if not self._identities.login(self, stream, message):
                self.end_after(stream)
        elif isinstance(message, NewWorkConn):
            # Without mux the stream is the connection, and it has shown who it belongs to.
            self._take_work(stream, message)
        elif isinstance(message, NewVisitorConn):
            self._take_visitor(stream, message)
        else:
            self.first_message_failed(stream, f"unexpected {type(message).__name__}")

    def first_message_failed(
        self, stream: MessageStream, reason: str, offence: Offence | None = Offence.PROTOCOL
    ) -> None:
        """The stream ended, or its first message makes no sense: an offence before login."""
        stream.abort()
        if self._trusted:
            # Who only leaves may leave thousands of streams at once.
            tell = _log.debug if offence is Offence.NOAUTH else _log.warning
            tell("%s: stream closed: %s", stream.endpoint.describe(), reason)
        elif not self._over:
            self._refuse(reason, offence)

    def _take_work(self, stream: MessageStream, hello: NewWorkConn) -> None:
        if self._link is not None and not self._trusted:
            self.first_message_failed(stream, "a work connection before login")
            return
        self.let_in()
        work = stream.detach()
        if not self._identities.work_connection(self, hello, work):
            work.close()
            if self._link is None:
                self.accuse(Offence.NOAUTH)

    def _take_visitor(self, stream: MessageStream, request: NewVisitorConn) -> None:
        if self._link is not None and not self._trusted:
            self.first_message_failed(stream, "a visitor before login")
        else:
            self._identities.visitor_connection(self, stream.detach(), request)

    def end_after(self, stream: MessageStream) -> None:
        """Close once the answer on ``stream`` is out."""
        self._over = True
        stream.close()
        self.close()

    # Ends.

    def _refuse(self, reason: str, offence: Offence | None) -> None:
        if offence is not None:
            self.accuse(offence)
        self._refused(reason)

    def _refused(self, reason: str) -> None:
        if self._ticket.is_late:
            self.accuse(Offence.GRACE_EXCEEDED)
        self.when_proven(
            lambda: _log.warning("%s: connection closed before login: %s", self.peer, reason)
        )
        self._over = True
        self._door.leave(self._ticket)
        if self._first is not None:
            self._first.cancel()
        if self._link is not None:
            self._link.abort("refused")
        elif self._carrier is not None:
            self._carrier.abort()

    def _gone(self) -> None:
        self._door.leave(self._ticket)
        assert self._carrier is not None
        self._carrier.close()

    def _link_closed(self, reason: str) -> None:
        if not (self._trusted or self._over):
            is_misused = isinstance(self._link, MuxLink) and self._link.was_misused
            offence = self.if_it_leaves if self.local is None else self.local.offence
            self._refuse(reason, Offence.PROTOCOL if is_misused else offence)


class FirstMessage:
    """Waits for the first message of one stream, under a deadline."""

    __slots__ = ("_connection", "_stream", "_timer")

    def __init__(
        self, connection: Connection, endpoint: Endpoint, loop: SelectorLoop, seconds: float
    ) -> None:
        self._connection = connection
        self._timer: Timer = loop.call_later(seconds, self._timed_out)
        self._stream = MessageStream(loop, endpoint, self._on_message, self._on_end)

    def cancel(self) -> None:
        """Stop waiting: the connection is refused. Idempotent."""
        self._timer.cancel()
        self._stream.abort()

    def _on_message(self, message: Message) -> None:
        self._timer.cancel()
        self._connection.first_message(self._stream, message)

    def _on_end(self, error: FrpError | None) -> None:
        self._timer.cancel()
        reason = str(error or "closed by the peer without a message")
        self._connection.first_message_failed(self._stream, reason, _offence_of(error))

    def _timed_out(self) -> None:
        self._connection.first_message_failed(
            self._stream, "no first message in time", Offence.GRACE_EXCEEDED
        )


def _offence_of(error: FrpError | None) -> Offence | None:
    """Return what an end without a first message is held to be."""
    if error is None or isinstance(error, ConnectionLost):
        return Offence.NOAUTH
    return Offence.PROTOCOL if isinstance(error, RemoteProtocolError) else None
