"""MuxLink drives one YamuxSession over one connection; see mux_stream for the streams.

Input: every chunk read from the trunk goes through the session, and each
stream that got something is told once per chunk. Payload is handed on without
a copy as long as its reader takes it at once. The trunk is always drained: what
a reader leaves stays in its stream, bounded by the window granted to the peer.

Output: frames of one loop turn leave in one system call, at the turn's end. A
trunk that is full blocks the streams that write to it, in turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from frpd.errors import ConnectionLost, LimitError, RemoteProtocolError, TransportError
from frpd.log import get_logger
from frpd.net.endpoint import Callback, Endpoint, Outcome
from frpd.net.pipes import Pipe
from frpd.net.stream import SocketStream
from frpd.proto.yamux.events import (
    Data,
    GoAwayReceived,
    OpensResumed,
    StreamEnded,
    StreamOpened,
    StreamReset,
    WindowOpened,
    YamuxEvent,
)
from frpd.proto.yamux.frames import HEADER_BYTES
from frpd.proto.yamux.payload import PayloadDue
from frpd.proto.yamux.session import YamuxSession
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.mux_stream import MuxStream

READ_BYTES = 256 * 1024
# A stream's window grows up to this while it is drained and the budget lasts. What a pipe
# holds: a larger window was measured slower, since the rest spills into memory.
MAX_WINDOW_BYTES = 1024 * 1024
# Above this many queued bytes we do not wait for the end of the turn.
FLUSH_EARLY_BYTES = 64 * 1024
# Below this the two more system calls cost more than the copy saves (docs/performance.md).
MIN_RUN_BYTES = 32 * 1024
# So many in a row end the exact reading. One alone is where bulk met the end of a window.
SMALL_FRAMES = 4
# Then other connections have their turn.
EXACT_BYTES_PER_TURN = 1024 * 1024
EXACT_BYTES_PER_HEADER = 32 * 1024  # what a header of its own costs, in payload's time
# How long close() waits for a peer that does not read.
CLOSE_SECONDS = 10.0

OnStream: TypeAlias = Callable[[MuxStream], None]
OnFailed: TypeAlias = Callable[[TransportError], None]

_log = get_logger("frpd.transports.mux")


class MuxLink:
    """One multiplexed connection. Loop thread only.

    Args:
        loop: the loop.
        carrier: the connection; owned from now on.
        session: its protocol state, fresh.
        on_stream: called with each stream that the peer opens.
        on_closed: called once, on a later turn, when the connection has
            ended, with the reason in words.

    Attributes:
        was_misused: the peer broke the protocol, which was the end of it.
    """

    __slots__ = (
        "_busy",
        "_carrier",
        "_close_timer",
        "_closed",
        "_closing",
        "_exact",
        "_flush_planned",
        "_large",
        "_loop",
        "_on_closed",
        "_on_stream",
        "_paid",
        "_smalls",
        "_streams",
        "_timer",
        "_trunk",
        "_trunk_blocked",
        "_waiting_opens",
        "session",
        "was_misused",
    )

    def __init__(
        self,
        loop: SelectorLoop,
        carrier: Endpoint,
        session: YamuxSession,
        *,
        on_stream: OnStream,
        on_closed: Callable[[str], None],
    ) -> None:
        self.session = session
        self.was_misused = False
        self._loop = loop
        self._carrier = carrier
        self._trunk = carrier if isinstance(carrier, SocketStream) else None
        self._large = False  # the last chunk that was read ended with much of one frame
        self._smalls = 0  # small frames in a row while reading exactly
        self._exact = False  # reading headers alone, so that payload can be spliced
        self._on_stream = on_stream
        self._on_closed: Callable[[str], None] | None = on_closed
        self._streams: dict[int, MuxStream] = {}
        self._flush_planned = False
        self._paid: dict[MuxStream, None] = {}
        self._busy = False  # inside flush() or the trunk's input: do not flush from within
        self._trunk_blocked = False
        self._waiting_opens: deque[tuple[OnStream, OnFailed]] = deque()
        self._closing = False
        self._closed = False
        self._timer: Timer | None = None
        self._close_timer: Timer | None = None
        carrier.on_failure = self._callback_failed
        carrier.watch(self._trunk_readable, None)
        self._rearm()

    def describe(self) -> str:
        """Return the peer's address."""
        return self._carrier.describe()

    @property
    def splices(self) -> bool:
        """Whether payload may pass through pipes: the connection is a plain socket."""
        return self._trunk is not None

    @property
    def stream_count(self) -> int:
        """Streams that exist now."""
        return len(self._streams)

    def open_stream(self, on_open: OnStream, on_failed: OnFailed) -> None:
        """Open a stream and call ``on_open`` with it; it can be written at once.

        When too many opens are unacknowledged it waits for its turn. Exactly
        one of the two is called.
        """
        if self._closed:
            on_failed(TransportError("the connection is closed"))
            return
        try:
            stream_id = self.session.open_stream(self._loop.now())
        except LimitError as error:
            if self.session.opens_may_resume:
                self._waiting_opens.append((on_open, on_failed))
            else:
                on_failed(TransportError(str(error)))
            return
        stream = self._streams[stream_id] = MuxStream(self, stream_id)
        if self._timer is None:  # no keepalive: until now nothing had a deadline
            self._rearm()
        self.plan_flush()
        on_open(stream)

    def let_streams_in(self, limit: int, *, rising_ids: bool) -> None:
        """See StreamLink.let_streams_in."""
        self.session.max_streams = limit
        self.session.rising_ids = rising_ids

    def go_away(self) -> None:
        """Tell the peer to open no more streams."""
        if not self._closed:
            self.session.go_away()
            self.plan_flush()

    def close(self) -> None:
        """Send what is queued, for 10 s at most, then close; streams are lost. Idempotent."""
        if self._closed or self._closing:
            return
        self._closing = True
        self.flush()
        if not self._trunk_blocked:
            self._shut("closed here", clean=True)
        elif not self._closed:
            self._close_timer = self._loop.call_later(CLOSE_SECONDS, self.abort, "closed here")

    def abort(self, reason: str) -> None:
        """Drop the connection now. Idempotent."""
        self._shut(reason, clean=False)

    # For MuxStream.

    def plan_flush(self) -> None:
        """Send at the end of this turn, or now if much is queued.

        Whoever gets room by that hears of it at the turn's end: nobody is
        called back inside his own write.
        """
        if self._trunk_blocked or self._closed:
            return
        if not self._busy and self.session.output_bytes >= FLUSH_EARLY_BYTES:
            self._write_out()
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_at_turn_end(self._planned_flush)

    def call_soon(self, call: Callback) -> None:
        """Run something of a stream's on a later turn."""
        self._loop.call_soon(call)

    def now(self) -> float:
        """Return the loop's time."""
        return self._loop.now()

    def forget(self, stream_id: int) -> None:
        """The stream is over in both directions and nobody reads it."""
        self._streams.pop(stream_id, None)

    # Output.

    def _planned_flush(self) -> None:
        self._flush_planned = False
        if self._trunk_blocked:
            self._serve_writers()
        else:
            self.flush()

    def flush(self) -> None:
        """Write queued frames until none are left or the trunk is full; tell who has room."""
        self._write_out()
        self._serve_writers()

    def _write_out(self) -> None:
        """Write without calling anyone back."""
        while not self._closed:
            segment = self.session.next_segment()
            if segment is None:
                self._set_trunk_blocked(False)
                return
            try:
                taken = self._send(segment)
            except ConnectionLost as error:
                self._shut(str(error), clean=False)
                return
            if not taken:
                self._set_trunk_blocked(True)
                return

    def _serve_writers(self) -> None:
        """Tell the streams whose promises were paid, and those that found room."""
        self._busy = True
        paid, self._paid = self._paid, {}
        for stream in paid:
            stream.serve_writer()
        self._deliver(self.session.take_events())
        self._busy = False

    def _send(self, segment: memoryview | PayloadDue) -> int:
        """Write a part of one segment and report it; 0 = the trunk is full."""
        session, trunk = self.session, self._trunk
        if isinstance(segment, PayloadDue):
            return self._pay(segment)
        if trunk is not None and session.more_follows:
            taken = trunk.write_more(segment)
        else:
            taken = self._carrier.write(segment)
        if taken:
            session.segment_sent(taken)
        return taken

    def _pay(self, due: PayloadDue) -> int:
        """Splice promised payload from its pipe; it is in there, by the rule of escrow."""
        pipe, trunk = due.source, self._trunk
        assert isinstance(pipe, Pipe)
        assert trunk is not None
        taken = trunk.drain_pipe(pipe, due.remaining, more=self.session.more_follows)
        if taken:
            self.session.segment_sent(taken)
            pipe.settle(taken)
            stream = self._streams.get(due.stream_id)
            if stream is not None:
                self._paid[stream] = None
        return taken

    def _set_trunk_blocked(self, blocked: bool) -> None:
        if blocked != self._trunk_blocked:
            self._trunk_blocked = blocked
            self._carrier.watch(self._trunk_readable, self._trunk_writable if blocked else None)

    def _trunk_writable(self) -> None:
        self.flush()
        if self._closing and not self._trunk_blocked:
            self._shut("closed here", clean=True)

    # Input.

    def _trunk_readable(self) -> None:
        self._busy = True
        try:
            if self._exact:
                self._read_exactly()
            else:
                self._read_bulk()
        except (ConnectionLost, RemoteProtocolError) as error:
            self._deliver(self.session.take_events())
            self._busy = False
            self.was_misused = isinstance(error, RemoteProtocolError)
            self._shut(str(error), clean=False)
            return
        self._busy = False
        self.plan_flush()

    def _read_bulk(self) -> None:
        """Read as much as there is: right for small frames."""
        if self._receive(READ_BYTES):
            _, remaining = self._next_run()
            self._exact = self._large or remaining >= MIN_RUN_BYTES
            self._smalls = 0

    def _read_exactly(self) -> None:
        """Read no payload that could be spliced: right while frames are large."""
        budget = EXACT_BYTES_PER_TURN
        while budget > 0 and not self._closed:
            stream, remaining = self._next_run()
            if stream is not None and stream.takes_pipe:
                moved = self._splice_run(stream, remaining)
                if not moved:
                    return
                budget -= moved
                continue
            wanted = self.session.bytes_wanted()
            if not self._receive(wanted):
                return
            budget -= wanted + EXACT_BYTES_PER_HEADER
            if self.session.bytes_wanted() <= HEADER_BYTES:
                continue  # a frame without payload, or half a header
            self._smalls = self._smalls + 1 if self._next_run()[1] < MIN_RUN_BYTES else 0
            if self._smalls >= SMALL_FRAMES:
                self._exact = False
                return

    def _receive(self, limit: int) -> bool:
        """Read up to ``limit`` bytes and deliver what they mean; False if there was nothing."""
        data = self._carrier.read(limit)
        if isinstance(data, Outcome):
            if data is Outcome.EOF:
                self._shut("closed by the peer", clean=True)
            return False
        self.session.receive_data(data, self._loop.now())
        events = self.session.take_events()
        self._deliver(events)
        self._large = bool(events) and self._was_large(events[-1])
        return not self._closed

    def _was_large(self, event: YamuxEvent) -> bool:
        """Whether it told of payload that had better been spliced; the next frame may be so too."""
        if type(event) is not Data or len(event.payload) < MIN_RUN_BYTES or self._trunk is None:
            return False
        stream = self._streams.get(event.stream_id)
        return stream is not None and stream.wants_pipe

    def _next_run(self) -> tuple[MuxStream | None, int]:
        """Return whose payload comes next, and how much, if its reader wants it spliced."""
        run = self.session.payload_run() if self._trunk is not None else None
        if run is None:
            return None, 0
        stream = self._streams.get(run.stream_id)
        return (None, 0) if stream is None or not stream.wants_pipe else (stream, run.remaining)

    def _splice_run(self, stream: MuxStream, remaining: int) -> int:
        """Move payload of one run into its stream's pipe; return how much.

        A full pipe never stops the trunk: what does not fit is read into the
        stream's memory, which its window bounds.
        """
        assert self._trunk is not None
        pipe = stream.pipe_for_payload()
        outcome = Outcome.FULL if pipe is None else self._trunk.fill_pipe(pipe, remaining)
        if isinstance(outcome, Outcome):
            stream.pipe_moved(0)  # an unused pipe goes back
            if outcome is Outcome.EOF:
                self._shut("closed by the peer", clean=True)
            elif outcome is Outcome.FULL:
                self._receive(remaining)
            return 0
        self.session.payload_moved(outcome, self._loop.now())
        stream.serve_reader()
        self._deliver(self.session.take_events())
        return outcome

    def _deliver(self, events: list[YamuxEvent]) -> None:
        """Hand events out; each stream's reader is called once per batch."""
        fed: list[MuxStream] = []
        for event in events:
            if type(event) is Data:
                stream = self._streams.get(event.stream_id)
                if stream is not None and stream.feed(event.payload):
                    fed.append(stream)
                elif stream is None:
                    self.session.consumed(event.stream_id, len(event.payload))
            else:
                self._deliver_other(event)
        for stream in fed:
            stream.serve_reader()

    def _deliver_other(self, event: YamuxEvent) -> None:
        if isinstance(event, StreamOpened):
            stream = self._streams[event.stream_id] = MuxStream(self, event.stream_id)
            self._hand_over(stream)
        elif isinstance(event, StreamEnded):
            if (known := self._streams.get(event.stream_id)) is not None:
                known.ended()
        elif isinstance(event, WindowOpened):
            if (known := self._streams.get(event.stream_id)) is not None:
                known.serve_writer()
        elif isinstance(event, StreamReset):
            if (known := self._streams.get(event.stream_id)) is not None:
                known.was_reset(event.withdrawn)
        elif isinstance(event, OpensResumed):
            self._resume_opens()
        elif isinstance(event, GoAwayReceived):
            self._fail_opens("the yamux peer accepts no new streams")

    def _resume_opens(self) -> None:
        waiting = self._waiting_opens
        while waiting:
            if not self.session.may_open:
                self.session.await_open()
                return
            self.open_stream(*waiting.popleft())

    def _fail_opens(self, reason: str) -> None:
        for _, on_failed in self._waiting_opens:
            self._loop.call_soon(on_failed, TransportError(reason))
        self._waiting_opens.clear()

    def _hand_over(self, stream: MuxStream) -> None:
        try:
            self._on_stream(stream)
        except MemoryError:
            raise  # see SelectorLoop
        except Exception:
            _log.exception("a new stream of %s failed", self.describe())
            stream.abort()

    # Time and end.

    def _rearm(self) -> None:
        deadline = self.session.next_deadline()
        self._timer = None
        if deadline is not None and not self._closed:
            self._timer = self._loop.call_at(deadline, self._deadline_passed)

    def _deadline_passed(self) -> None:
        try:
            self.session.handle_deadline(self._loop.now())
        except (ConnectionLost, RemoteProtocolError) as error:
            self._shut(str(error), clean=False)
            return
        self._deliver(self.session.take_events())
        self.plan_flush()
        self._rearm()

    def _callback_failed(self) -> None:
        self._shut("internal error, see the log", clean=False)

    def _shut(self, reason: str, *, clean: bool) -> None:
        if self._closed:
            return
        self._closed = True
        for timer in (self._timer, self._close_timer):
            if timer is not None:
                timer.cancel()
        self._carrier.on_failure = None
        if clean:
            self._carrier.close()
        else:
            self._carrier.abort()
        self.session.receive_eof()
        self.session.take_events()
        self._void_promises()
        self._fail_opens(reason)
        streams, self._streams = list(self._streams.values()), {}
        for stream in streams:
            self._loop.call_soon(stream.link_lost, reason)
        on_closed, self._on_closed = self._on_closed, None
        if on_closed is not None:
            self._loop.call_soon(on_closed, reason)

    def _void_promises(self) -> None:
        """Nothing will be paid any more: let the pipes go."""
        while (segment := self.session.next_segment()) is not None:
            if isinstance(segment, PayloadDue) and isinstance(segment.source, Pipe):
                segment.source.withdraw(segment.remaining)
            self.session.segment_sent(len(segment))
