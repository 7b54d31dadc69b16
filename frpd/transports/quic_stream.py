"""QuicStream: an Endpoint over one QUIC stream.

What came and was not read yet waits here, bounded by the window granted to the peer;
reading gives credit. What is written waits in aioquic until the peer has it, and of what was
not sent yet there is never more than MAX_UNSENT_BYTES.

It closes as frp's streams do: STOP_SENDING with code 0, and FIN behind what was taken. A peer
that closes so is not lost while anything of it can be read; what is written meanwhile goes
nowhere, as into a socket whose peer has closed; after that a write fails.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from frpd.errors import ConnectionLost
from frpd.log import get_logger
from frpd.net.endpoint import Buffer, Callback, Outcome
from frpd.net.pipes import Pipe, PipePool

if TYPE_CHECKING:  # the session makes its streams, so it imports us
    from aioquic.quic.stream import QuicStream as CoreStream

    from frpd.transports.quic_session import QuicSession

MAX_UNSENT_BYTES: Final = 128 * 1024
WRITABLE_BYTES: Final = 32 * 1024
"""Whoever waits to write is called once there is so much room."""

_log = get_logger("frpd.transports.quic_stream")


class QuicStream:
    """An Endpoint over one QUIC stream. Loop thread only.

    Args:
        session: whose stream it is.
        core: aioquic's part of it.
    """

    __slots__ = (
        "_chunks",
        "_core",
        "_dead",
        "_ended",
        "_eof_told",
        "_lost",
        "_on_readable",
        "_on_writable",
        "_pushed_back",
        "_read",
        "_scheduled",
        "_session",
        "_shut",
        "_stopped",
        "_written",
        "on_failure",
        "stream_id",
    )

    def __init__(self, session: QuicSession, core: CoreStream) -> None:
        assert core.stream_id is not None
        self.on_failure: Callback | None = None
        self.stream_id: int = core.stream_id
        self._session = session
        self._core = core
        self._chunks: deque[bytes] = deque()
        self._pushed_back = b""
        self._read = self._written = 0
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        self._scheduled = False
        self._ended = False  # the peer sent FIN, or a reset
        self._eof_told = False
        self._stopped = False  # the peer takes nothing any more
        self._lost = ""  # reset, or the session is gone: why
        self._shut = False  # we ended our direction
        self._dead = False  # closed or aborted here

    def describe(self) -> str:
        """Return the session's peer and the stream's number."""
        return f"{self._session.describe()}#{self.stream_id}"

    def read(self, limit: int) -> Buffer | Outcome:
        """See Endpoint.read; reading gives the peer credit."""
        if self._pushed_back:
            data, self._pushed_back = self._pushed_back[:limit], self._pushed_back[limit:]
            return data
        if self._chunks:
            taken = self._take(limit)
            self._read += len(taken)
            self._session.was_read(self._core, self._read)
            return taken
        if self._lost:
            raise ConnectionLost(self._lost)
        if self._ended:
            self._eof_told = True
            return Outcome.EOF
        return Outcome.EMPTY

    def unread(self, data: Buffer) -> None:
        """See Endpoint.unread. Their credit was given when they were read first."""
        if len(data):
            self._pushed_back = bytes(data) + self._pushed_back
            self._schedule()

    def write(self, data: Buffer) -> int:
        """See Endpoint.write: copied into aioquic's buffer."""
        if self._is_broken:
            raise ConnectionLost(self._lost or "the stream is closed")
        if self._stopped:
            return len(data)
        taken = min(len(data), self.room())
        if taken <= 0:
            return 0
        self._session.send(self.stream_id, bytes(memoryview(data)[:taken]))
        self._written += taken
        return taken

    def room(self) -> int:
        """See Endpoint.room."""
        if self._is_broken or self._stopped:
            return 1  # let the write say so
        return MAX_UNSENT_BYTES - (self._written - self._core.sender.highest_offset)

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """See Endpoint.watch."""
        if self._dead:
            return
        self._on_readable = on_readable
        self._on_writable = on_writable
        self._session.wants_to_write(self, wanted=on_writable is not None)
        if self._is_wanted:
            self._schedule()

    def shutdown_write(self) -> None:
        """Send FIN behind what was taken."""
        if not (self._shut or self._stopped or self._lost):
            self._shut = True
            self._session.send(self.stream_id, b"", end=True)

    def close(self) -> None:
        """See Endpoint.close, and frp: STOP_SENDING and FIN. Idempotent."""
        if self._dead:
            return
        if not (self._ended or self._lost):
            self._session.stop(self.stream_id)
        self.shutdown_write()
        self._drop()

    def abort(self) -> None:
        """Reset both directions. Idempotent."""
        if self._dead:
            return
        if not self._lost:
            if not self._ended:
                self._session.stop(self.stream_id)
            self._session.reset(self.stream_id)
            self._lost = "reset here"
        self._drop()

    @property
    def splices(self) -> bool:
        """It never does: bytes are encrypted."""
        return False

    def splice_with(self, pool: PipePool | None) -> None:
        """Nothing to do."""

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """See Endpoint.read_pipe: use read()."""
        return Outcome.COPY

    def pipe_moved(self, nbytes: int) -> None:
        """Not used."""

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        """Not used: it does not splice."""
        raise AssertionError

    # For QuicSession.

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come that anybody could want."""
        return self._dead and self._ended

    def feed(self, data: bytes, *, ends: bool) -> None:
        """Take what came in order."""
        if ends:
            self._ended = True
        if not self._dead:
            if data:
                self._chunks.append(data)
            self._schedule()

    def was_reset(self) -> None:
        """The peer gave its direction up; what came before it stays readable."""
        self._ended = True
        self._lose("connection reset by peer")

    def was_stopped(self) -> None:
        """The peer takes nothing any more; aioquic has ended our direction."""
        self._stopped = True
        self._schedule()

    def session_lost(self, reason: str) -> None:
        """The connection underneath is gone."""
        self._lose(reason)

    def serve_writer(self) -> None:
        """There may be room again."""
        if self._is_wanted:
            self._schedule()

    # Inside.

    @property
    def _is_broken(self) -> bool:
        if self._stopped and self._eof_told:
            return True
        return bool(self._lost) or self._shut or self._dead

    @property
    def _has_news(self) -> bool:
        return bool(self._chunks or self._pushed_back or self._ended or self._lost)

    @property
    def _is_wanted(self) -> bool:
        """Whether somebody watches for what is the case."""
        if self._on_readable is not None and self._has_news:
            return True
        if self._on_writable is None:
            return False
        return self._is_broken or self._stopped or self.room() >= WRITABLE_BYTES

    def _take(self, limit: int) -> bytes:
        chunks = self._chunks
        first = chunks.popleft()
        if len(first) > limit:
            chunks.appendleft(first[limit:])
            return first[:limit]
        parts, size = [first], len(first)
        while chunks and size + len(chunks[0]) <= limit:
            part = chunks.popleft()
            size += len(part)
            parts.append(part)
        return first if len(parts) == 1 else b"".join(parts)

    def _lose(self, reason: str) -> None:
        if self._lost or self._dead:
            return
        self._lost = reason
        if self._on_readable is not None or self._on_writable is not None:
            self._schedule()
        elif self._eof_told and self.on_failure is not None:
            self._session.call_soon(self.on_failure)

    def _drop(self) -> None:
        self._dead = True
        self._on_readable = self._on_writable = None
        self._chunks.clear()
        self._pushed_back = b""
        self._session.forget(self)

    def _schedule(self) -> None:
        if not self._scheduled and (self._on_readable or self._on_writable):
            self._scheduled = True
            self._session.call_soon(self._wake)

    def _wake(self) -> None:
        self._scheduled = False
        try:
            if self._on_readable is not None and self._has_news:
                self._on_readable()
            if self._on_writable is not None and (
                self._is_broken or self._stopped or self.room() >= WRITABLE_BYTES
            ):
                self._on_writable()
        except MemoryError:
            raise  # see SelectorLoop
        except Exception:
            _log.exception("a callback of %s failed", self.describe())
            self.abort()
            if self.on_failure is not None:
                self.on_failure()
            return
        if self._is_wanted:
            self._schedule()
