"""The input of a session: bytes of the connection in, events and answers out.

A parser that keeps no more than the start of a header. Payload is handed on
where it lies, or moved round us altogether by a driver that asks for runs.

Where the peer breaks the rules the reactions are those of frp's own library
(its 0.21 recordings).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.errors import LocalProtocolError
from frpd.proto.yamux.books import SessionBooks
from frpd.proto.yamux.events import (
    Data,
    GoAwayReceived,
    PingAnswered,
    StreamEnded,
    StreamOpened,
    WindowOpened,
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
from frpd.proto.yamux.payload import PayloadRun
from frpd.proto.yamux.stream import Stream, StreamInput, StreamState

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer
    from frpd.proto.yamux.events import YamuxEvent

_unpack_from = HEADER.unpack_from
_OPEN = StreamState.OPEN
_LOCAL_ENDED = StreamState.LOCAL_ENDED
_PEER_ENDED = StreamState.PEER_ENDED
_GONE = StreamState.GONE


class SessionInput(SessionBooks):
    """What comes in; see YamuxSession."""

    __slots__ = ()

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

    # -- payload that goes round us -----------------------------------------------

    def bytes_wanted(self) -> int:
        """Return how many bytes of input end with the next header: at least 1.

        Payload that comes before that header counts, so it may be much. Who
        reads no more than this reads no payload of the frame behind it, and
        may find a run there.
        """
        return self._payload_left + HEADER_BYTES - len(self._partial_header)

    def payload_run(self) -> PayloadRun | None:
        """Return whose payload the next bytes of the input are, if somebody wants them.

        None: read and call ``receive_data``, which is never wrong. So it is
        while events wait (they come first: take them), between frames, and for
        payload that nobody will see.
        """
        if self._events or not self._payload_left or self._failed:
            return None
        stream_id = self._payload_id
        if stream_id is None or self._streams[stream_id].state is _PEER_ENDED:
            return None
        return PayloadRun(stream_id, self._payload_left)

    def payload_moved(self, nbytes: int, now: float) -> None:
        """Report bytes of the run, at least 1, as taken from the connection to the stream.

        All is as if they had come by ``receive_data``, save that no Data tells
        of them: report them with ``consumed`` when the far side took them. The
        run is over when ``remaining`` of them have been reported; a FIN of its
        frame then waits in ``take_events``. No event tells the end of the run
        itself: who moves the bytes can count, and ``payload_run`` tells again.

        Raises:
            LocalProtocolError: no run, or a shorter one.
        """
        run = self.payload_run()
        if run is None or not 0 < nbytes <= run.remaining:
            raise LocalProtocolError(f"{nbytes} bytes moved, the run is {run}")
        self._last_input_at = now
        self._payload_left -= nbytes
        if self._streams[run.stream_id].state is _LOCAL_ENDED:
            self._table.note_closing(run.stream_id, now)
        if not self._payload_left and self._fin_after_payload:
            self._receive_fin(run.stream_id)

    # -- frames -------------------------------------------------------------------

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
        if self.rising_ids and not self._table.is_next(stream_id):
            self._output.control(GO_AWAY, 0, 0, GO_AWAY_PROTOCOL_ERROR)
            raise self._violation("a SYN whose stream id does not rise")
        if not self._may_accept or len(self._streams) >= self.max_streams:
            self._reply(WINDOW_UPDATE, RST, stream_id, 0)
            return
        self._table.accept(stream_id)
        if not flags & (FIN | RST):  # as recorded: an open that ends at once gets no ACK
            self._reply(WINDOW_UPDATE, ACK, stream_id, self._window_bytes - INITIAL_WINDOW_BYTES)
        self._events.append(StreamOpened(stream_id))

    def _receive_fin(self, stream_id: int) -> None:
        if self._streams[stream_id].move(StreamInput.PEER_FIN) is _GONE:
            self._forget(stream_id)
        self._events.append(StreamEnded(stream_id))
