"""One yamux session: frames in, events out; calls in, bytes out.

Knows no socket and no clock: times come as arguments, in seconds of whatever
monotonic clock the driver uses. The driver's turn is::

    session.receive_data(chunk, now)          # or receive_eof()
    for event in session.take_events(): ...   # before the chunk's buffer is reused
    while segment := session.next_segment():
        session.segment_sent(sock.send(segment))
    for event in session.take_events(): ...   # streams that found room again

RemoteProtocolError and ConnectionLost end the session: call ``receive_eof``,
deliver the resets it yields, close the connection.

Where the peer breaks the rules the reactions are those of frp's own library
(its 0.21 recordings). Calls that name a stream which is gone do nothing: its
end may wait among the events that the driver has not seen yet.

Over 500 lines because a frame touches books, events and output at once; what
can stand alone (table, windows, output, keepalive) does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from frpd.errors import ConnectionLost, LimitError, LocalProtocolError, RemoteProtocolError
from frpd.proto.yamux.events import (
    Data,
    GoAwayReceived,
    OpensResumed,
    PingAnswered,
    StreamEnded,
    StreamOpened,
    StreamReset,
    WindowOpened,
    YamuxEvent,
)
from frpd.proto.yamux.frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    GO_AWAY_INTERNAL_ERROR,
    GO_AWAY_NORMAL,
    GO_AWAY_PROTOCOL_ERROR,
    HEADER,
    HEADER_BYTES,
    INITIAL_WINDOW_BYTES,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
)
from frpd.proto.yamux.keepalive import Keepalive
from frpd.proto.yamux.output import MIN_SHARE_BYTES, OutputQueue
from frpd.proto.yamux.stream import Stream, StreamInput, StreamState
from frpd.proto.yamux.table import StreamTable

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

MAX_STREAMS: Final = 65536
HIGH_WATER_BYTES: Final = 262144

_unpack_from = HEADER.unpack_from
_OPEN = StreamState.OPEN
_LOCAL_ENDED = StreamState.LOCAL_ENDED
_PEER_ENDED = StreamState.PEER_ENDED
_GONE = StreamState.GONE


class YamuxSession:
    """One end of a multiplexed connection.

    Args:
        is_client: our ids are odd (the end that dialled); otherwise even.
        now: the time of birth.
        max_window_bytes: what each stream's peer may send unconsumed, at least 256 KiB.
        max_streams: streams beyond this many are refused; settable later.
        keepalive_seconds: between pings; None for none.
        high_water_bytes: bound of the output queue for payload, at least 16 KiB.
    """

    __slots__ = (
        "_events",
        "_failed",
        "_fin_after_payload",
        "_keepalive",
        "_last_input_at",
        "_may_accept",
        "_open_was_refused",
        "_output",
        "_partial_header",
        "_payload_id",
        "_payload_left",
        "_peer_accepts",
        "_streams",
        "_table",
        "_window_bytes",
        "max_streams",
    )

    def __init__(
        self,
        *,
        is_client: bool,
        now: float,
        max_window_bytes: int = INITIAL_WINDOW_BYTES,
        max_streams: int = MAX_STREAMS,
        keepalive_seconds: float | None = 30.0,
        high_water_bytes: int = HIGH_WATER_BYTES,
    ) -> None:
        if max_window_bytes < INITIAL_WINDOW_BYTES:
            raise LocalProtocolError("a yamux window cannot be smaller than 262144 bytes")
        if high_water_bytes < MIN_SHARE_BYTES:
            raise LocalProtocolError(f"high water must be at least {MIN_SHARE_BYTES} bytes")
        self.max_streams = max_streams
        self._window_bytes = max_window_bytes
        self._table = StreamTable(is_client=is_client, window_bytes=max_window_bytes)
        self._streams = self._table.streams
        self._events: list[YamuxEvent] = []
        self._output = OutputQueue(high_water_bytes)
        self._keepalive = Keepalive(keepalive_seconds, now)
        self._last_input_at = now
        self._partial_header = bytearray()
        self._payload_left = 0
        self._payload_id: int | None = None  # None: the rest of the payload is dropped
        self._fin_after_payload = False
        self._peer_accepts = True
        self._may_accept = True
        self._open_was_refused = False
        self._failed = False

    # -- input -----------------------------------------------------------------

    def receive_data(self, data: Buffer, now: float) -> None:
        """Take bytes of the connection in any cut; then call ``take_events``.

        Payload is not copied: Data events borrow ``data``.

        Raises:
            RemoteProtocolError: the peer broke the protocol; the session is over.
            LocalProtocolError: the session was over before.
        """
        if self._failed:
            raise LocalProtocolError("the yamux session is over")
        self._last_input_at = now
        view = memoryview(data)
        end = len(view)
        position = 0
        if self._partial_header:
            position = self._finish_header(view, now)
        if self._payload_left:
            position = self._receive_payload(view, position, now)
        streams_get = self._streams.get
        emit = self._events.append
        while end - position >= HEADER_BYTES:
            kind, flags, stream_id, value = _unpack_from(view, position)
            position += HEADER_BYTES
            if kind or flags or value > end - position:
                self._receive_header(kind, flags, stream_id, value, now)
                if self._payload_left:
                    position = self._receive_payload(view, position, now)
                continue
            # A whole data frame without flags: nearly all frames are this one.
            stream = streams_get(stream_id)
            stop = position + value
            if stream is not None and value:
                if not stream.receive.take(value):
                    raise self._violation("more data than its window")
                if stream.state is _OPEN:
                    emit(Data(stream_id, view[position:stop]))
                else:
                    self._deliver(stream_id, stream, view[position:stop], now)
            position = stop
        if position < end:
            self._partial_header += view[position:]

    def receive_eof(self) -> None:
        """End the session: every stream yields StreamReset. Idempotent."""
        self._failed = True
        for stream_id, stream in list(self._streams.items()):
            self._drop(stream_id, stream)

    def take_events(self) -> list[YamuxEvent]:
        """Return what happened since the last call, oldest first."""
        events = self._events
        if events:
            self._events = []
        return events

    def _finish_header(self, view: memoryview, now: float) -> int:
        """Complete the header that the last input cut; return where its payload starts."""
        partial = self._partial_header
        missing = HEADER_BYTES - len(partial)
        partial += view[:missing]
        if len(partial) < HEADER_BYTES:
            return len(view)
        kind, flags, stream_id, value = _unpack_from(partial)
        partial.clear()
        self._receive_header(kind, flags, stream_id, value, now)
        return missing

    def _receive_header(
        self, kind: int, flags: int, stream_id: int, value: int, now: float
    ) -> None:
        if kind == WINDOW_UPDATE:
            self._receive_window_update(flags, stream_id, value)
        elif kind == DATA:
            self._receive_data_header(flags, stream_id, value)
        elif kind == PING:
            self._receive_ping(flags, value, now)
        elif kind == GO_AWAY:
            self._receive_go_away(value)
        else:
            raise self._violation("unknown version" if kind > 0xFF else "unknown frame type")

    def _receive_data_header(self, flags: int, stream_id: int, value: int) -> None:
        stream = self._apply_flags(flags, stream_id) if flags else self._streams.get(stream_id)
        ends = stream is not None and bool(flags & FIN)
        if stream is not None and not stream.receive.take(value):
            raise self._violation("more data than its window")
        if value:
            self._payload_left = value
            self._payload_id = None if stream is None else stream_id
            self._fin_after_payload = ends
        elif ends:
            self._receive_fin(stream_id)

    def _receive_payload(self, view: memoryview, position: int, now: float) -> int:
        """Deliver what there is of the current payload; return where it stops."""
        stop = min(position + self._payload_left, len(view))
        self._payload_left -= stop - position
        if self._payload_id is not None:
            if stop > position:
                stream = self._streams[self._payload_id]
                self._deliver(self._payload_id, stream, view[position:stop], now)
            if not self._payload_left and self._fin_after_payload:
                self._receive_fin(self._payload_id)
        return stop

    def _deliver(self, stream_id: int, stream: Stream, payload: memoryview, now: float) -> None:
        """Emit payload, unless the peer had ended: then it only costs it window."""
        if stream.state is _PEER_ENDED:
            return
        if stream.state is _LOCAL_ENDED:
            self._table.note_closing(stream_id, now)
        self._events.append(Data(stream_id, payload))

    def _receive_window_update(self, flags: int, stream_id: int, delta: int) -> None:
        stream = self._apply_flags(flags, stream_id) if flags else self._streams.get(stream_id)
        if stream is None:
            return
        if not stream.send.open(delta):
            raise self._violation("a window above 32 bits")
        if stream.starved and delta:
            stream.starved = False
            self._events.append(WindowOpened(stream_id))
        if flags & FIN:
            self._receive_fin(stream_id)

    def _receive_ping(self, flags: int, value: int, now: float) -> None:
        if flags & SYN:
            self._reply(PING, ACK, 0, value)
            return
        rtt_seconds = self._keepalive.receive_answer(value, now)
        if rtt_seconds is not None:
            self._events.append(PingAnswered(rtt_seconds))

    def _receive_go_away(self, code: int) -> None:
        if code == GO_AWAY_NORMAL:
            if self._peer_accepts:
                self._peer_accepts = False
                self._events.append(GoAwayReceived())
            return
        reasons = {GO_AWAY_PROTOCOL_ERROR: "protocol error", GO_AWAY_INTERNAL_ERROR: "its error"}
        raise self._violation(f"go away: {reasons.get(code, f'unknown code {code}')}")

    # -- flags -----------------------------------------------------------------

    def _apply_flags(self, flags: int, stream_id: int) -> Stream | None:
        """Apply a frame's flags; return its stream, if there is one and it lives on.

        FIN is only checked here: it takes effect after the frame's payload.
        """
        if flags & SYN:
            self._receive_syn(flags, stream_id)
        stream = self._streams.get(stream_id)
        if stream is None:
            return None
        if flags & ACK and self._table.settle_open(stream_id):
            self._resume_opens()
        if flags & FIN and not stream.allows(StreamInput.PEER_FIN):
            self._output.control(GO_AWAY, 0, 0, GO_AWAY_PROTOCOL_ERROR)
            raise self._violation("a second FIN on one stream")
        if flags & RST:
            self._drop(stream_id, stream)
            return None
        return stream

    def _receive_syn(self, flags: int, stream_id: int) -> None:
        if stream_id in self._streams:
            self._output.control(GO_AWAY, 0, 0, GO_AWAY_PROTOCOL_ERROR)
            raise self._violation("a SYN for a stream in use")
        if not self._may_accept or len(self._streams) >= self.max_streams:
            self._reply(WINDOW_UPDATE, RST, stream_id, 0)
            return
        self._table.add(stream_id)
        if not flags & (FIN | RST):  # as recorded: an open that ends at once gets no ACK
            self._reply(WINDOW_UPDATE, ACK, stream_id, self._window_bytes - INITIAL_WINDOW_BYTES)
        self._events.append(StreamOpened(stream_id))

    def _receive_fin(self, stream_id: int) -> None:
        if self._streams[stream_id].move(StreamInput.PEER_FIN) is _GONE:
            self._forget(stream_id)
        self._events.append(StreamEnded(stream_id))

    # -- streams ---------------------------------------------------------------

    @property
    def stream_count(self) -> int:
        """Live streams, whoever opened them."""
        return len(self._streams)

    @property
    def may_open(self) -> bool:
        """Whether ``open_stream`` would succeed now."""
        return self._why_no_open() is None

    @property
    def opens_may_resume(self) -> bool:
        """Whether a refused ``open_stream`` is worth waiting for: OpensResumed will tell."""
        return not self._failed and self._peer_accepts and self._table.opens_are_pending()

    def open_stream(self, now: float) -> int:
        """Open a stream and return its id; it can be written to at once.

        Raises:
            LimitError: the peer takes no streams, the ids are used up, or too
                many opens are unacknowledged (then OpensResumed will tell).
        """
        reason = self._why_no_open()
        if reason is not None:
            self._open_was_refused = True
            raise LimitError(reason)
        stream_id = self._table.open(now)
        delta = self._window_bytes - INITIAL_WINDOW_BYTES
        self._output.control(WINDOW_UPDATE, SYN, stream_id, delta)
        return stream_id

    def window(self, stream_id: int) -> int:
        """Return how much the peer takes of a stream now, whatever the queue holds.

        After 0 WindowOpened will tell. A stream that is gone takes nothing and
        gets no event.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return 0
        if not stream.send.remaining:
            stream.starved = True
        return stream.send.remaining

    def send_data(self, stream_id: int, data: Buffer) -> int:
        """Queue a copy of a prefix of ``data``, one frame; return its length.

        Less than all (0 included) means blocked, by the peer's window or by a
        full queue: WindowOpened will tell. A stream that is gone takes 0.

        Raises:
            LocalProtocolError: after ``end_stream``.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return 0
        if stream.state is _LOCAL_ENDED:
            raise LocalProtocolError(f"data after the end of yamux stream {stream_id}")
        size = len(data)
        output = self._output
        if size > stream.send.remaining or not output.fits(size):
            size = self._admit(stream_id, stream, size)
            data = memoryview(data)[:size]
        if size:
            stream.send.take(size)
            output.data(stream_id, data, size)
        return size

    def consumed(self, stream_id: int, nbytes: int) -> None:
        """Report payload as taken by the far side: its credit goes back in large steps.

        Raises:
            LocalProtocolError: more than had come.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        credit = stream.receive.give_back(nbytes)
        if credit and stream.state is not _PEER_ENDED:
            self._output.control(WINDOW_UPDATE, 0, stream_id, credit)

    def end_stream(self, stream_id: int, now: float) -> None:
        """End our direction after what was sent so far; receiving goes on.

        Raises:
            LocalProtocolError: it had ended before.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if not stream.allows(StreamInput.END):
            raise LocalProtocolError(f"second end of yamux stream {stream_id}")
        self._output.control(WINDOW_UPDATE, FIN, stream_id, 0)
        self._output.leave(stream_id)
        if stream.move(StreamInput.END) is _GONE:
            self._forget(stream_id)
        else:
            stream.starved = False
            self._table.note_closing(stream_id, now)

    def reset_stream(self, stream_id: int) -> None:
        """Kill both directions now; no event follows."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.move(StreamInput.RESET)
            self._forget(stream_id)
            self._output.control(WINDOW_UPDATE, RST, stream_id, 0)

    def go_away(self, code: int = GO_AWAY_NORMAL) -> None:
        """Tell the peer to open nothing more; what it opens still is refused."""
        self._may_accept = False
        self._output.control(GO_AWAY, 0, 0, code)

    # -- output ----------------------------------------------------------------

    @property
    def output_bytes(self) -> int:
        """Bytes queued and not yet sent."""
        return self._output.queued

    def next_segment(self) -> memoryview | None:
        """Return the wire's next bytes; they stay valid and next until ``segment_sent``."""
        return self._output.next_segment()

    def segment_sent(self, nbytes: int) -> None:
        """Report how much of the segment left (a part is normal); then see ``take_events``.

        Raises:
            LocalProtocolError: more than the segment held.
        """
        for stream_id in self._output.sent(nbytes):
            self._events.append(WindowOpened(stream_id))

    # -- time ------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when ``handle_deadline`` is due; None for never.

        Input moves it later only; ``open_stream`` and ``end_stream`` add one
        at least 75 s away.
        """
        if self._failed:
            return None
        due = (self._keepalive.next_deadline(self._last_input_at), self._table.next_deadline())
        return min((time for time in due if time is not None), default=None)

    def handle_deadline(self, now: float) -> None:
        """Send a due ping and reset streams whose peer never ended them.

        Raises:
            ConnectionLost: the peer is silent, or did not acknowledge an open.
        """
        if self._failed:
            return
        if self._keepalive.is_overdue(now, self._last_input_at):
            self._failed = True
            raise ConnectionLost("yamux keepalive: no answer")
        if self._table.is_open_overdue(now):
            self._failed = True
            raise ConnectionLost("yamux: the peer did not acknowledge an open")
        value = self._keepalive.next_ping(now)
        if value is not None:
            self._output.control(PING, SYN, 0, value)
        for stream_id in self._table.overdue_closes(now):
            self._drop(stream_id, self._streams[stream_id])
            self._output.control(WINDOW_UPDATE, RST, stream_id, 0)

    # -- inside ----------------------------------------------------------------

    def _why_no_open(self) -> str | None:
        if self._failed:
            return "the yamux session is over"
        if not self._peer_accepts:
            return "the yamux peer accepts no new streams"
        return self._table.why_no_open()

    def _admit(self, stream_id: int, stream: Stream, size: int) -> int:
        """Cut a send to what window and queue take; note what will wake the stream."""
        allowed = stream.send.remaining
        accepted = self._output.room_for(min(size, allowed))
        if accepted < size:
            if accepted == allowed:
                stream.starved = True
            else:
                self._output.wait(stream_id, got_part=accepted > 0)
        return accepted

    def _resume_opens(self) -> None:
        """Tell who was refused that one more open was settled."""
        if self._open_was_refused and not self._failed:
            self._open_was_refused = False
            self._events.append(OpensResumed())

    def _drop(self, stream_id: int, stream: Stream) -> None:
        """Kill a stream without our driver having asked for it."""
        stream.move(StreamInput.RESET)
        self._forget(stream_id)
        self._events.append(StreamReset(stream_id))

    def _forget(self, stream_id: int) -> None:
        if self._table.forget(stream_id):
            self._resume_opens()
        self._output.leave(stream_id)
        if stream_id == self._payload_id:
            self._payload_id = None

    def _reply(self, kind: int, flags: int, stream_id: int, value: int) -> None:
        if not self._output.reply(kind, flags, stream_id, value):
            raise self._violation("a flood of control frames whose answers it does not read")

    def _violation(self, what: str) -> RemoteProtocolError:
        self._failed = True
        return RemoteProtocolError(f"yamux: the peer sent {what}")
