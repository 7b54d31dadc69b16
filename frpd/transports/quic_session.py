"""QuicSession: one QUIC connection on the loop, and its streams.

aioquic's core has neither sockets nor a clock. What it wants to send leaves at the end of
the loop's turn, in as few system calls as the wire needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from aioquic.quic.events import (
    ConnectionIdIssued,
    ConnectionIdRetired,
    ConnectionTerminated,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

from frpd.errors import ConnectionLost, TransportError
from frpd.log import get_logger
from frpd.net.address import SockAddr, format_address
from frpd.net.endpoint import Buffer, Callback
from frpd.net.stream import SocketEnds
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.quic_connection import WINDOW_BYTES, BoundedConnection
from frpd.transports.quic_stream import QuicStream

if TYPE_CHECKING:
    from aioquic.quic.stream import QuicStream as CoreStream

CLOSE_SECONDS: Final = 5.0
"""How long close() waits until the peer has everything."""
MAX_STREAM_ID: Final = 0xFFFFFFFF
"""What the seal of a stream can name; with the id after it a connection is used up."""
FIRST_STREAMS: Final = 1
"""That a peer may open before let_streams_in()."""
NO_ERROR: Final = 0

OnQuicStream: TypeAlias = Callable[[QuicStream], None]

_log = get_logger("frpd.transports.quic_session")


class QuicWire(Protocol):
    """What carries a session's datagrams."""

    def send(self, datagrams: Sequence[Buffer], peer: SockAddr) -> object:
        """Send them in order; those that there is no room for are lost."""

    def local_address(self) -> SockAddr:
        """Return our address."""

    def id_issued(self, connection_id: bytes) -> None:
        """Datagrams to this id are the session's from now on."""

    def id_retired(self, connection_id: bytes) -> None:
        """They are not any more."""

    def release(self) -> None:
        """The session is over and sends no more."""


class QuicSession:
    """A StreamLink, and the Bearer of a connection. Loop thread only.

    Whoever owns the wire calls receive() with each datagram, then serve().

    Args:
        loop: the loop.
        connection: fresh.
        wire: takes what is to be sent.
        peer: the other side's address as the kernel gave it.
        on_stream: called with each stream that the peer opens.
        on_lost: called once, on a later turn, when the connection has ended, but by us.
        on_ready: called once the handshake is complete.
        keepalive_seconds: a silent peer is asked so often; <= 0 for never.
        max_streams: that the peer may ever open at the same time.
    """

    carrier = "quic"

    def __init__(
        self,
        loop: SelectorLoop,
        connection: BoundedConnection,
        wire: QuicWire,
        peer: SockAddr,
        *,
        on_stream: OnQuicStream,
        on_lost: Callable[[str], None],
        on_ready: Callback | None = None,
        keepalive_seconds: float,
        max_streams: int,
    ) -> None:
        self.on_stream = on_stream
        self.on_lost = on_lost
        self.peer = peer
        self._loop = loop
        self._connection = connection
        self._wire = wire
        self._on_ready = on_ready
        self._keepalive_seconds = keepalive_seconds
        self._max_streams = max_streams
        self._streams: dict[int, QuicStream] = {}
        self._theirs = 0  # of them, opened by the peer
        self._allowed = FIRST_STREAMS
        self._writers: dict[QuicStream, None] = {}
        self._heard_at = loop.now()
        self._quiet = True
        self._ready = False
        self._going = False  # no new streams are taken
        self._closing = False  # closed here; what was taken is on its way
        self._over = False
        self._flush_planned = False
        self._timer: Timer | None = None
        self._close_timer: Timer | None = None
        self._ping_timer: Timer | None = None
        self._rearm_ping()

    @property
    def is_ready(self) -> bool:
        """Whether the handshake is complete, and the peer is whom it has to be."""
        return self._ready

    @property
    def is_over(self) -> bool:
        """Whether nothing goes through the wire any more."""
        return self._over

    @property
    def stream_count(self) -> int:
        """Streams that exist now."""
        return len(self._streams)

    @property
    def heard_at(self) -> float:
        """When the peer's last datagram came."""
        return self._heard_at

    # For whoever owns the wire.

    @property
    def is_quiet(self) -> bool:
        """Whether the peer has never been heard."""
        return self._quiet

    def connect(self) -> None:
        """Begin the handshake of a client."""
        self._connection.connect(self.peer, self._loop.now())
        self._plan_flush()

    def receive(self, datagram: Buffer, sender: SockAddr | None = None) -> None:
        """Take one datagram, whatever it is. Call serve() after the last of a batch.

        Args:
            datagram: borrowed.
            sender: whence; None for the peer's own address.
        """
        if self._over:
            return
        self._heard_at = self._loop.now()
        self._quiet = False
        try:
            self._connection.receive_datagram(
                bytes(datagram), self.peer if sender is None else sender, self._heard_at
            )
        except MemoryError:
            raise  # see SelectorLoop
        except Exception as error:  # whatever a peer can provoke in a foreign library
            _log.debug("%s: aioquic failed: %r", self.describe(), error)
            self.lose(f"{type(error).__name__} in aioquic")

    def serve(self) -> None:
        """Act on what was received."""
        self._act()
        self._plan_flush()

    def lose(self, reason: str) -> None:
        """The peer is gone; what it said before can still be read."""
        if self._over:
            return
        was_closing = self._closing
        self._let_go(reason)
        if not was_closing:
            self._loop.call_soon(self.on_lost, reason)

    # StreamLink.

    def open_stream(
        self, on_open: OnQuicStream, on_failed: Callable[[TransportError], None]
    ) -> None:
        """See StreamLink.open_stream; only once it is ready."""
        if self._over or self._closing or not self._ready:
            on_failed(TransportError("the connection is closed"))
            return
        stream = self._adopt(self._connection.open_core_stream())
        if stream.stream_id > MAX_STREAM_ID:
            self.abort("no stream ids are left")
            on_failed(TransportError("no stream ids are left"))
            return
        on_open(stream)

    def let_streams_in(self, limit: int, *, rising_ids: bool = False) -> None:
        """See StreamLink.let_streams_in; ids of QUIC always rise."""
        self._allowed = min(limit, self._max_streams)
        self._connection.allow_streams(self._allowed)
        self._plan_flush()

    def go_away(self) -> None:
        """See StreamLink.go_away: QUIC has no word for it, so new streams are reset."""
        self._going = True

    def close(self) -> None:
        """See StreamLink.close: what was written has 5 s to arrive."""
        if self._closing or self._over:
            return
        self._closing = True
        self._lose_streams("the connection is closed")
        if self._ready and self._connection.has_unacked_data:
            self._close_timer = self._loop.call_later(CLOSE_SECONDS, self._say_closed, "")
            self._flush()
        else:
            self._say_closed("")

    def finish(self) -> None:
        """Close now, behind what may still leave: for who may be about to stop the loop."""
        self._closing = True
        self._flush()
        if not self._over:
            self._say_closed("")

    def abort(self, reason: str) -> None:
        """See StreamLink.abort."""
        self._closing = True
        if not self._over:
            self._say_closed(reason)

    # Bearer.

    def describe(self) -> str:
        """Return the peer's address."""
        return format_address(self.peer)

    def local_address(self) -> SockAddr:
        """See Bearer.local_address."""
        if self._over:
            raise ConnectionLost("closed")
        return self._wire.local_address()

    def ends(self) -> SocketEnds | None:
        """See Bearer.ends."""
        if self._over:
            return None
        return SocketEnds(format_address(self._wire.local_address()), self.describe())

    def let_in(self) -> None:
        """See Bearer.let_in: from now on streams have their whole window."""
        self._connection.window_bytes = WINDOW_BYTES

    # For QuicStream.

    def call_soon(self, call: Callback) -> None:
        """As the loop's."""
        self._loop.call_soon(call)

    def send(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        """Write to a stream, and end our direction of it."""
        if not self._over:
            self._connection.send_stream_data(stream_id, data, end)
            self._plan_flush()

    def stop(self, stream_id: int) -> None:
        """Take nothing any more from a stream that has not ended."""
        if not self._over:
            self._connection.stop_stream(stream_id, NO_ERROR)
            self._plan_flush()

    def reset(self, stream_id: int) -> None:
        """Give our direction of a stream up."""
        if not self._over:
            self._connection.reset_stream(stream_id, NO_ERROR)
            self._plan_flush()

    def was_read(self, core: CoreStream, offset: int) -> None:
        """A reader has come so far."""
        if not self._over and self._connection.read_to(core, offset):
            self._plan_flush()

    def wants_to_write(self, stream: QuicStream, *, wanted: bool) -> None:
        """Tell this stream when there may be room; or not any more."""
        if wanted:
            self._writers[stream] = None
        else:
            self._writers.pop(stream, None)

    def forget(self, stream: QuicStream) -> None:
        """A stream is closed here."""
        self._writers.pop(stream, None)
        self._forget_if_over(stream)

    # Inside.

    def _act(self) -> None:
        while not self._over and (event := self._connection.next_event()) is not None:
            self._act_on(event)
        end = self._connection.end_by_peer
        if end is not None:
            self.lose(_why(end))

    def _act_on(self, event: QuicEvent) -> None:
        match event:
            case StreamDataReceived():
                stream = self._stream(event.stream_id)
                if stream is not None:
                    stream.feed(event.data, ends=event.end_stream)
                    self._forget_if_over(stream)
            case StreamReset():
                stream = self._stream(event.stream_id)
                if stream is not None:
                    stream.was_reset()
                    self._forget_if_over(stream)
            case StopSendingReceived():
                stream = self._stream(event.stream_id)
                if stream is not None:
                    stream.was_stopped()
            case ConnectionIdIssued():
                self._wire.id_issued(event.connection_id)
            case ConnectionIdRetired():
                self._wire.id_retired(event.connection_id)
            case HandshakeCompleted():
                self._handshake_done()
            case ConnectionTerminated():
                self.lose(_why(event))
            case _:
                pass

    def _handshake_done(self) -> None:
        refusal = self._connection.refusal()
        if refusal:
            self._connection.close(error_code=NO_ERROR, reason_phrase=refusal)
            self._flush()
            self.lose(refusal)
            return
        self._ready = True
        if self._on_ready is not None:
            self._on_ready()

    def _stream(self, stream_id: int) -> QuicStream | None:
        """Return the stream of an event, a new one if the peer opens it by that."""
        stream = self._streams.get(stream_id)
        if stream is not None or self._closing:
            return stream
        if not self._ready or self._connection.is_own(stream_id):
            return None
        stream = self._adopt(self._connection.core_stream(stream_id))
        self._theirs += 1
        if stream_id > MAX_STREAM_ID:
            self.abort("no stream ids are left")
        elif self._going or self._theirs > self._allowed:  # aioquic 1.2 doubles the limit
            stream.abort()
        else:
            self.on_stream(stream)
        return stream

    def _adopt(self, core: CoreStream) -> QuicStream:
        stream = QuicStream(self, core)
        self._streams[stream.stream_id] = stream
        return stream

    def _forget_if_over(self, stream: QuicStream) -> None:
        if not stream.is_over or self._streams.pop(stream.stream_id, None) is None:
            return
        if not self._connection.is_own(stream.stream_id):
            self._theirs -= 1

    def _lose_streams(self, reason: str) -> None:
        for stream in list(self._streams.values()):
            stream.session_lost(reason)
        self._writers.clear()

    def _plan_flush(self) -> None:
        if not (self._flush_planned or self._over):
            self._flush_planned = True
            self._loop.call_at_turn_end(self._flush)

    def _flush(self) -> None:
        """Send what may leave, and see what is due next."""
        self._flush_planned = False
        if self._over:
            return
        now = self._loop.now()
        self._send(now)
        self._act()  # connection ids were issued: what comes for them may come at once
        if self.is_over:
            return
        if self._closing and not self._connection.has_unacked_data:
            self._say_closed("")
            return
        for stream in list(self._writers):
            stream.serve_writer()
        self._rearm(now)

    def _send(self, now: float) -> None:
        batch: list[Buffer] = []
        towards = self.peer
        for datagram, address in self._connection.datagrams_to_send(now):
            if address != towards:
                if batch:
                    self._wire.send(batch, towards)
                batch, towards = [], (address[0], address[1], *address[2:])
            batch.append(datagram)
        if batch:
            self._wire.send(batch, towards)

    def _rearm(self, now: float) -> None:
        deadline = self._connection.get_timer()
        if deadline is None:
            return
        timer = self._timer
        if timer is not None:
            if timer.when <= deadline:
                return  # then it is asked again
            timer.cancel()
        self._timer = self._loop.call_at(max(deadline, now), self._deadline_passed)

    def _deadline_passed(self) -> None:
        self._timer = None
        now = self._loop.now()
        deadline = self._connection.get_timer()
        if deadline is not None and now >= deadline:
            self._connection.handle_timer(now)
            self.serve()
        if not self._over:
            self._flush()

    def _rearm_ping(self) -> None:
        if self._keepalive_seconds > 0:
            due = self._keepalive_seconds
            self._ping_timer = self._loop.call_later(due, self._ping_if_silent)

    def _ping_if_silent(self) -> None:
        if self._ready and self._loop.now() - self._heard_at >= self._keepalive_seconds / 2:
            self._connection.send_ping(0)
            self._plan_flush()
        self._rearm_ping()

    def _say_closed(self, reason: str) -> None:
        """Tell the peer that this is the end, and let go."""
        if self._over:
            return
        self._connection.close(error_code=NO_ERROR, reason_phrase=reason)
        self._send(self._loop.now())
        self._let_go(reason or "the connection is closed")

    def _let_go(self, reason: str) -> None:
        self._over = True
        for timer in (self._timer, self._close_timer, self._ping_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._close_timer = self._ping_timer = None
        self._lose_streams(reason)
        self._streams.clear()
        self._wire.release()


def _why(event: ConnectionTerminated) -> str:
    """Return in words why a connection has ended."""
    if event.reason_phrase == "Idle timeout":
        return "the peer does not answer any more"
    if event.frame_type is None and event.error_code == NO_ERROR:
        return event.reason_phrase or "closed by the peer"
    return f"QUIC error {event.error_code:#x}: {event.reason_phrase or 'no reason given'}"
