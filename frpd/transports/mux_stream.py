"""MuxStream: an Endpoint over one yamux stream.

What came for it and was not read yet waits here, bounded by the window granted
to the peer. Reading gives the credit back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from frpd.errors import ConnectionLost
from frpd.log import get_logger
from frpd.net.endpoint import Buffer, Callback, Outcome
from frpd.net.pipes import Pipe, PipePool

if TYPE_CHECKING:  # the link makes its streams, so it imports us
    from frpd.transports.mux import MuxLink

_log = get_logger("frpd.transports.mux_stream")


class MuxStream:
    """An Endpoint over one yamux stream. Loop thread only."""

    __slots__ = (
        "_chunks",
        "_credited",
        "_dead",
        "_ended",
        "_in_pipe",
        "_link",
        "_local_over",
        "_lost",
        "_on_readable",
        "_on_writable",
        "_out_pipe",
        "_pool",
        "_scheduled",
        "_uncredited",
        "on_failure",
        "stream_id",
    )

    def __init__(self, link: MuxLink, stream_id: int) -> None:
        self.on_failure: Callback | None = None
        self.stream_id = stream_id
        self._link = link
        self._chunks: deque[Buffer] | None = None  # most idle streams never need one
        self._credited = 0  # of the first chunks: read before and put back
        self._uncredited = 0  # consumed, but the peer is to wait; see _credit
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        self._scheduled = False
        self._ended = False  # the peer sent FIN
        self._lost = ""  # reset, or the link is gone: why
        self._local_over = False  # we ended our direction
        self._dead = False  # closed or aborted here
        self._pool: PipePool | None = None  # set while our reader splices
        self._in_pipe: Pipe | None = None  # bytes that came before those in chunks
        self._out_pipe: Pipe | None = None  # the last one that we promised bytes of

    def describe(self) -> str:
        """Return the link's peer and the stream's number."""
        return f"{self._link.describe()}#{self.stream_id}"

    def read(self, limit: int) -> Buffer | Outcome:
        """See Endpoint.read; reading gives the peer its credit back."""
        pipe = self._in_pipe
        if pipe is not None and pipe.free_to_promise:
            if pipe.promised:
                return Outcome.EMPTY  # those in front of ours leave first; _pipe_paid wakes
            spilled = pipe.read(min(limit, pipe.free_to_promise))
            self.pipe_moved(len(spilled))
            return spilled
        chunks = self._chunks
        if chunks:
            data = self._take(chunks, limit)
            if not chunks:
                self._chunks = None  # an empty one holds on to 0.7 KiB
            self._credit(len(data))
            return data
        if self._ended:
            return Outcome.EOF  # the link may be gone by now, but nothing is missing
        if self._lost:
            raise ConnectionLost(self._lost)
        return Outcome.EMPTY

    def unread(self, data: Buffer) -> None:
        """See Endpoint.unread. Their credit was given when they were read first."""
        if len(data):
            self._credited += len(data)
            if self._chunks is None:
                self._chunks = deque()
            self._chunks.appendleft(bytes(data))
            self._schedule()

    def write(self, data: Buffer) -> int:
        """See Endpoint.write: copied into the link's queue, within the peer's window."""
        if self._lost or self._local_over:
            raise ConnectionLost(self._lost or "stream is closed")
        taken = self._link.session.send_data(self.stream_id, data)
        if taken:
            self._link.plan_flush()
        return taken

    def room(self) -> int:
        """Return what the peer's window allows; after 0, on_writable comes."""
        if self._lost or self._local_over:
            return 1  # let the write say so
        return self._link.session.window(self.stream_id)

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """See Endpoint.watch."""
        self._on_readable = on_readable
        self._on_writable = on_writable
        if on_readable is not None and self._has_news():
            self._schedule()
        if on_writable is not None:
            self._schedule()

    def shutdown_write(self) -> None:
        """Send FIN behind what was taken."""
        if not (self._local_over or self._lost):
            self._local_over = True
            self._link.session.end_stream(self.stream_id, self._link.now())
            self._link.plan_flush()

    def close(self) -> None:
        """End our direction and throw away what still comes. Idempotent."""
        if self._dead:
            return
        self.shutdown_write()
        self._drop()

    def abort(self) -> None:
        """Send RST. Idempotent."""
        if self._dead:
            return
        if not self._lost:
            self._withdraw(self._link.session.reset_stream(self.stream_id))
            self._link.plan_flush()
            self._lost = "reset here"
        self._drop()

    # Payload that never enters this process.

    @property
    def splices(self) -> bool:
        """Whether the link's connection is a plain socket."""
        return self._link.splices

    def splice_with(self, pool: PipePool | None) -> None:
        """See Endpoint.splice_with; what nobody has taken yet can be read."""
        self._pool = pool
        pipe = self._in_pipe
        if pool is None and pipe is not None and not pipe.free_to_promise:
            self._in_pipe = None
            pipe.give_back()
        self._credit(0)

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """See Endpoint.read_pipe: what the link has put into our pipe."""
        pipe = self._in_pipe
        if pipe is not None and pipe.free_to_promise:
            return pipe
        if self._chunks:
            return Outcome.COPY
        if self._ended:
            return Outcome.EOF
        if self._lost:
            raise ConnectionLost(self._lost)
        return Outcome.EMPTY

    def pipe_moved(self, nbytes: int) -> None:
        """See Endpoint.pipe_moved; gives the peer its credit back."""
        if nbytes:
            self._credit(nbytes)
        if self._in_pipe is not None and not self._in_pipe.held:
            self._in_pipe.give_back()
            self._in_pipe = None

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        """See Endpoint.write_pipe: promises bytes, which the link pays in their turn."""
        if self._lost or self._local_over:
            raise ConnectionLost(self._lost or "stream is closed")
        promised = self._link.session.reserve_payload(self.stream_id, limit, pipe)
        if promised:
            pipe.promised += promised
            self._out_pipe = pipe
            self._link.plan_flush()
        return promised

    # For MuxLink.

    @property
    def wants_pipe(self) -> bool:
        """Whether our reader splices, and pipes are to be had."""
        pool = self._pool
        return pool is not None and (self._in_pipe is not None or pool.can_lend())

    @property
    def takes_pipe(self) -> bool:
        """Whether payload may go into a pipe now: it is wanted there, and nothing was spilled."""
        return not self._chunks and self.wants_pipe

    def pipe_for_payload(self) -> Pipe | None:
        """Return the pipe to put payload into at once; None if there is none to be had."""
        if self._in_pipe is None and self._pool is not None:
            self._in_pipe = self._pool.acquire()
            if self._in_pipe is not None:
                self._in_pipe.on_paid = self._pipe_paid
        return self._in_pipe

    def feed(self, payload: Buffer) -> bool:
        """Take a borrowed view; return True when it is the first of this batch."""
        chunks = self._chunks
        if chunks is None:
            chunks = self._chunks = deque()
        chunks.append(payload)
        return len(chunks) == 1 or not isinstance(chunks[-2], memoryview)

    def serve_reader(self) -> None:
        """Let the reader take what came, then keep a copy of what it left."""
        if self._on_readable is not None:
            self._run(self._on_readable)
        chunks = self._chunks
        if chunks:
            for index, chunk in enumerate(chunks):
                if isinstance(chunk, memoryview):
                    chunks[index] = bytes(chunk)
            self._schedule()

    def serve_writer(self) -> None:
        """There is room again."""
        if self._on_writable is not None:
            self._run(self._on_writable)

    def ended(self) -> None:
        """The peer sent FIN; buffered bytes stay readable."""
        self._ended = True
        if self._local_over:
            self._link.forget(self.stream_id)
        self._schedule()

    def was_reset(self, withdrawn: int) -> None:
        """The peer sent RST; buffered bytes stay readable."""
        self._withdraw(withdrawn)
        self._link.forget(self.stream_id)
        self._lost = "connection reset by peer"
        self._tell_loss()

    def link_lost(self, reason: str) -> None:
        """The connection underneath is gone."""
        if not self._lost:
            self._lost = reason
            self._tell_loss()

    def _tell_loss(self) -> None:
        """Wake whoever watches; who has read our end does not watch any more."""
        if self._ended and not self._chunks and self._in_pipe is None and self.on_failure:
            self._link.call_soon(self.on_failure)
        else:
            self._schedule()

    def _take(self, chunks: deque[Buffer], limit: int) -> Buffer:
        data = chunks.popleft()
        if len(data) > limit:
            view = memoryview(data)
            chunks.appendleft(view[limit:] if isinstance(data, memoryview) else bytes(view[limit:]))
            return view[:limit]
        if not chunks or len(data) + len(chunks[0]) > limit:
            return data
        parts = [data]
        size = len(data)
        while chunks and size + len(chunks[0]) <= limit:
            part = chunks.popleft()
            size += len(part)
            parts.append(part)
        return b"".join(parts)

    def _drop(self) -> None:
        self._dead = True
        self._on_readable = self._on_writable = None
        chunks, self._chunks = self._chunks, None
        unread = sum(map(len, chunks)) if chunks else 0
        if self._in_pipe is not None:
            unread += self._in_pipe.free_to_promise
            self._in_pipe.give_back()
            self._in_pipe = None
        self._credit(unread)
        self._link.forget(self.stream_id)

    def _has_news(self) -> bool:
        if self._chunks or self._ended or self._lost:
            return True
        return self._in_pipe is not None and self._pipe_has_news()

    def _pipe_has_news(self) -> bool:
        pipe = self._in_pipe
        if pipe is None or not pipe.free_to_promise:
            return False
        return self._pool is not None or not pipe.promised

    def _pipe_paid(self) -> None:
        """The sink is a stream too, and what it promised has left our pipe."""
        self.pipe_moved(0)
        if self._has_news():
            self._schedule()

    def _withdraw(self, nbytes: int) -> None:
        """Promised bytes that need not be paid any more."""
        if nbytes and self._out_pipe is not None:
            self._out_pipe.withdraw(nbytes)

    def _credit(self, nbytes: int) -> None:
        """Give the peer credit for bytes read, but not twice for those put back.

        A reader that splices gets on only once nothing waits in memory. If a slow one
        earned credit before that, new payload would come in time to wait there too, and
        all would be copied for ever. So the peer waits; the sink's own buffer is full then.
        """
        if self._credited:
            again = min(nbytes, self._credited)
            self._credited -= again
            nbytes -= again
        owed = self._uncredited + nbytes
        if not owed or (self._chunks and self._pool is not None):
            self._uncredited = owed
            return
        self._uncredited = 0
        if self._link.session.consumed(self.stream_id, owed):
            self._link.plan_flush()

    def _schedule(self) -> None:
        if not self._scheduled and (self._on_readable or self._on_writable):
            self._scheduled = True
            self._link.call_soon(self._wake)

    def _wake(self) -> None:
        self._scheduled = False
        if self._on_readable is not None and self._has_news():
            self._run(self._on_readable)
            if self._has_news():
                self._schedule()  # an end may wait behind what was read just now
        if self._on_writable is not None and self.room() > 0:
            self._run(self._on_writable)

    def _run(self, callback: Callback) -> None:
        try:
            callback()
        except MemoryError:
            raise  # see SelectorLoop
        except Exception:
            _log.exception("a callback of %s failed", self.describe())
            self.abort()
            if self.on_failure is not None:
                self.on_failure()
