"""One yamux session: frames in, events out; calls in, bytes out.

Knows no socket and no clock: times come as arguments, in seconds of whatever
monotonic clock the driver uses. The driver's turn is::

    session.receive_data(chunk, now)          # or receive_eof()
    for event in session.take_events(): ...   # before the chunk's buffer is reused
    while segment := session.next_segment():
        session.segment_sent(sock.send(segment))
    for event in session.take_events(): ...   # streams that found room again

A driver that can move payload without reading it asks, once all events are
taken, whose payload comes next, and reads no further than the next header::

    session.receive_data(sock.recv(session.bytes_wanted()), now)
    for event in session.take_events(): ...
    if run := session.payload_run():
        session.payload_moved(splice(sock, pipes[run.stream_id], run.remaining), now)
        for event in session.take_events(): ...

and announces payload that it holds but has not read::

    pipe.promised += session.reserve_payload(stream_id, pipe.held - pipe.promised, pipe)
    while segment := session.next_segment():
        if type(segment) is PayloadDue:       # bytes leave segment.source
            sent = splice(segment.source, sock, segment.remaining)
            segment.source.promised -= sent
        else:                                 # more follows if output_bytes > len(segment)
            sent = sock.send(segment)
        session.segment_sent(sent)
    pipe.promised -= session.reset_stream(stream_id)   # or StreamReset.withdrawn

A pipe goes back when its stream is over and nothing in it is promised.

RemoteProtocolError and ConnectionLost end the session: call ``receive_eof``,
deliver the resets it yields, close the connection; nothing is due then.

Calls that name a stream which is gone do nothing: its end may wait among the
events that the driver has not seen yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.errors import ConnectionLost, LimitError, LocalProtocolError
from frpd.proto.yamux.events import WindowOpened
from frpd.proto.yamux.frames import (
    FIN,
    GO_AWAY,
    GO_AWAY_NORMAL,
    INITIAL_WINDOW_BYTES,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
)
from frpd.proto.yamux.input import SessionInput
from frpd.proto.yamux.payload import PAYLOAD_FRAME_BYTES, PayloadDue
from frpd.proto.yamux.stream import Stream, StreamInput, StreamState

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

_LOCAL_ENDED = StreamState.LOCAL_ENDED
_PEER_ENDED = StreamState.PEER_ENDED
_GONE = StreamState.GONE


class YamuxSession(SessionInput):
    """One end of a multiplexed connection.

    Args:
        is_client: our ids are odd (the end that dialled); otherwise even.
        now: the time of birth.
        max_window_bytes: what each stream's peer may send unconsumed at first, at
            least 256 KiB.
        max_streams: streams beyond this many are refused; settable later.
        keepalive_seconds: between pings; None for none.
        high_water_bytes: bound of the output queue for payload, at least 16 KiB.
        windows: lets windows grow whose streams are drained; None for never.

    Attributes:
        rising_ids: hold the peer to ids of its own parity, each above all before.
            Go does neither, so it is off until somebody depends on it.
    """

    __slots__ = ()

    # -- streams ---------------------------------------------------------------

    @property
    def stream_count(self) -> int:
        """Live streams, whoever opened them."""
        return len(self._streams)

    @property
    def last_input_at(self) -> float:
        """When the peer's last bytes came; at first the time of birth."""
        return self._last_input_at

    @property
    def may_open(self) -> bool:
        """Whether ``open_stream`` would succeed now."""
        return self._why_no_open() is None

    def await_open(self) -> None:
        """Have OpensResumed tell when an open is settled, as a refused ``open_stream`` does."""
        self._open_was_refused = True

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
            stream.withdrawable = None
            output.data(stream_id, data, size)
        return size

    def reserve_payload(self, stream_id: int, nbytes: int, source: object = None) -> int:
        """Announce a frame of at most ``nbytes`` whose payload never enters the session.

        Returns its length, m. Only promise what you hold apart from its sender
        (in a pipe) and never take back: ``next_segment`` will ask for m bytes
        of it with a PayloadDue that carries ``source``, perhaps after the
        stream has ended, and until they are paid nothing else can leave. What
        a reset withdraws is told by ``reset_stream`` or StreamReset.

        Less than ``nbytes`` (0 included) means blocked as in ``send_data``,
        but PAYLOAD_FRAME_BYTES means: call again for the rest.

        Raises:
            LocalProtocolError: after ``end_stream``.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return 0
        if stream.state is _LOCAL_ENDED:
            raise LocalProtocolError(f"data after the end of yamux stream {stream_id}")
        size = min(nbytes, PAYLOAD_FRAME_BYTES)
        if size > stream.send.remaining or not self._output.fits(size):
            size = self._admit(stream_id, stream, size)
        if size:
            stream.send.take(size)
            last = stream.withdrawable
            mark = last.mark if last is not None and last.source is source else object()
            stream.withdrawable = PayloadDue(stream_id, size, source, mark)
            self._output.reserve(stream.withdrawable)
        return size

    def consumed(self, stream_id: int, nbytes: int) -> bool:
        """Report payload as taken by the far side: its credit goes back in large steps.

        Returns whether there is credit to send now.

        Raises:
            LocalProtocolError: more than had come.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return False
        credit = stream.receive.give_back(nbytes)
        if not credit or stream.state is _PEER_ENDED:
            return False
        if self._windows is not None:
            extra = self._windows.grow(stream.receive.limit)
            stream.receive.widen(extra)
            credit += extra
        self._output.control(WINDOW_UPDATE, 0, stream_id, credit)
        return True

    def end_stream(self, stream_id: int, now: float) -> None:
        """End our direction after what was sent so far; receiving goes on.

        Raises:
            LocalProtocolError: it had ended before.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if stream.state is _LOCAL_ENDED:
            raise LocalProtocolError(f"second end of yamux stream {stream_id}")
        self._output.control(WINDOW_UPDATE, FIN, stream_id, 0)
        self._output.leave(stream_id)
        stream.withdrawable = None
        if stream.move(StreamInput.END) is _GONE:
            self._forget(stream_id)
        else:
            stream.starved = False
            self._table.note_closing(stream_id, now)

    def reset_stream(self, stream_id: int) -> int:
        """Kill both directions now; no event follows.

        Returns:
            Bytes that need not be paid any more, the last ones reserved from
            the last source. All others must: their header was handed out, or
            more of the stream (data, our FIN) stands behind them.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return 0
        withdrawn = self._kill(stream_id, stream)
        self._output.control(WINDOW_UPDATE, RST, stream_id, 0)
        return withdrawn

    def go_away(self, code: int = GO_AWAY_NORMAL) -> None:
        """Tell the peer to open nothing more; what it opens still is refused."""
        self._may_accept = False
        self._output.control(GO_AWAY, 0, 0, code)

    # -- output ----------------------------------------------------------------

    @property
    def output_bytes(self) -> int:
        """Bytes queued and not yet sent, reserved ones included."""
        return self._output.queued

    def next_segment(self) -> memoryview | PayloadDue | None:
        """Return what the wire takes next; it stays valid and next until ``segment_sent``.

        A PayloadDue is paid from its ``source`` by whatever way leads to the
        connection; a part is normal.
        """
        return self._output.next_segment()

    @property
    def more_follows(self) -> bool:
        """Whether more than the next segment is queued."""
        return self._output.more_follows

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

    # -- inside -----------------------------------------------------------------

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
