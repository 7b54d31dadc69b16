"""An HTTP message as an endpoint: what a relay reads ends where the message ends.

A visitor's connection and a work connection carry many messages. The two views
here show a relay one of them: the request with its body, and the answer to it.
Writing, splicing and back-pressure are those of the connection underneath, but
a view never ends or loses a connection: whoever made it decides about that.
"""

from __future__ import annotations

from typing import Final

from frpd.errors import ConnectionLost
from frpd.log import get_logger
from frpd.net.endpoint import Buffer, Callback, Endpoint, Outcome
from frpd.net.pipes import Pipe, PipePool
from frpd.proto.http.body import ChunkedBody, Framing
from frpd.proto.http.errors import HttpError
from frpd.selector_loop import SelectorLoop

# Payload of known length that is left has to be worth a pipe.
SPLICE_LEAST_BYTES: Final = 256 * 1024

_log = get_logger("frpd.http.message_end")


class MessageEnd:
    """One message of a connection, as an Endpoint. Loop thread only.

    Args:
        loop: tells a reader about what the connection cannot tell.
        inner: the connection.
        framing: of the message's body.
        ahead: bytes that stand in front of what is still to be read.

    Attributes:
        given: bytes that were read from here.
        error: what is wrong with the message, once reading has failed for it.
        raw: it is no message any more: both directions go on as they come.
    """

    __slots__ = (
        "_ahead",
        "_announced",
        "_closed",
        "_framing",
        "_inner",
        "_loop",
        "_on_readable",
        "_on_writable",
        "_pool",
        "_splicing",
        "_told",
        "error",
        "given",
        "on_failure",
        "raw",
    )

    def __init__(
        self, loop: SelectorLoop, inner: Endpoint, framing: Framing, ahead: bytes = b""
    ) -> None:
        self.on_failure: Callback | None = None
        self.given = 0
        self.error: HttpError | None = None
        self.raw = False
        self._loop = loop
        self._inner = inner
        self._framing = framing
        self._ahead = ahead
        self._told = False  # the reader knows that the message is over
        self._announced = False  # a call about what waits here is on its way
        self._closed = False
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        self._pool: PipePool | None = None  # set while the reader splices
        self._splicing = False  # the connection has been told so

    @property
    def over(self) -> bool:
        """All of the message was read."""
        return self._framing.over and not self._ahead

    def describe(self) -> str:
        """Return the connection's name."""
        return self._inner.describe()

    def read(self, limit: int) -> Buffer | Outcome:
        """See Endpoint.read; EOF is the end of the message.

        Raises:
            ConnectionLost: the connection was lost, or the message is cut short
                or malformed.
        """
        data: Buffer | Outcome
        if self._ahead:
            data, self._ahead = self._ahead[:limit], self._ahead[limit:]
        elif self._framing.over:
            return self._tell_end()
        else:
            data = self._read_body(limit)
            if isinstance(data, Outcome):
                return data
        self.given += len(data)
        self._look_ahead()
        return data

    def _read_body(self, limit: int) -> Buffer | Outcome:
        framing = self._framing
        # Chunks are counted on the way, however many come at once.
        exact = limit if isinstance(framing, ChunkedBody) else min(limit, framing.opaque())
        data = self._inner.read(exact)
        if isinstance(data, Outcome):
            return self._tell_cut() if data is Outcome.EOF else data
        try:
            taken = framing.take(data)
        except HttpError as error:
            raise self._malformed(error) from error
        if taken < len(data):
            self._surplus(bytes(data[taken:]))
            data = data[:taken]
        return data if taken else Outcome.EMPTY

    def _surplus(self, data: bytes) -> None:
        """Take what came behind the message's end."""
        raise NotImplementedError

    def _tell_end(self) -> Outcome:
        self._told = True
        return Outcome.EOF

    def _tell_cut(self) -> Outcome:
        """The connection has ended: maybe the message, too."""
        try:
            self._framing.eof()
        except HttpError as error:
            raise self._malformed(error) from error
        return self._tell_end()

    def _malformed(self, error: HttpError) -> ConnectionLost:
        self.error = error
        return ConnectionLost(error.reason)

    def unread(self, data: Buffer) -> None:
        """See Endpoint.unread."""
        self._ahead = bytes(data) + self._ahead
        self.given -= len(data)
        self._look_ahead()

    def write(self, data: Buffer) -> int:
        """See Endpoint.write."""
        return self._inner.write(data)

    def room(self) -> int:
        """See Endpoint.room."""
        return self._inner.room()

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """See Endpoint.watch."""
        if self._closed:
            return
        self._on_readable = on_readable
        self._on_writable = on_writable
        if on_readable is not None and self._has_own_news():
            self._look_ahead()
            on_readable = None
        self._inner.watch(on_readable, on_writable)

    def shutdown_write(self) -> None:
        """See Endpoint.shutdown_write: only what is raw ends by it."""
        if self.raw:
            self._inner.shutdown_write()

    def close(self) -> None:
        """Let go of the connection, which stays as it is. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._on_readable = self._on_writable = None
        self._inner.watch(None, None)
        self.splice_with(None)

    def abort(self) -> None:
        """Let go of the connection: whoever made us ends it."""
        self.close()

    # Payload that never enters this process: within what is known to be nothing else.

    @property
    def splices(self) -> bool:
        """As the connection does."""
        return self._inner.splices

    def splice_with(self, pool: PipePool | None) -> None:
        """See Endpoint.splice_with."""
        self._pool = pool
        if pool is None and self._splicing:
            self._splice(on=False)

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """See Endpoint.read_pipe; never gives more than payload of the message."""
        if self._ahead:
            return Outcome.COPY
        if self._framing.over:
            return self._tell_end()
        left = self._framing.opaque()
        if left >= SPLICE_LEAST_BYTES and not self._splicing:
            self._splice(on=True)
        elif not left and self._splicing:
            self._splice(on=False)
        if not self._splicing:
            return Outcome.COPY
        pipe = self._inner.read_pipe(min(limit, left))
        if isinstance(pipe, Pipe):
            return pipe if pipe.free_to_promise <= left else Outcome.COPY
        return self._tell_cut() if pipe is Outcome.EOF else pipe

    def pipe_moved(self, nbytes: int) -> None:
        """See Endpoint.pipe_moved."""
        if nbytes:
            self._framing.passed(nbytes)
            self.given += nbytes
            self._look_ahead()
        self._inner.pipe_moved(nbytes)

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        """See Endpoint.write_pipe."""
        return self._inner.write_pipe(pipe, limit)

    def _splice(self, *, on: bool) -> None:
        self._splicing = on
        self._inner.splice_with(self._pool if on else None)

    # What the connection cannot report: bytes that it no longer has, and ends.

    def _has_own_news(self) -> bool:
        return bool(self._ahead) or (self._framing.over and not self._told)

    def _look_ahead(self) -> None:
        """Have the reader called if something waits for it here."""
        if not self._announced and self._on_readable is not None and self._has_own_news():
            self._announced = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._announced = False
        if self._on_readable is None or not self._has_own_news():
            return
        try:
            self._on_readable()
        except MemoryError:
            raise  # see SelectorLoop
        except Exception:
            _log.exception("a callback of %s failed", self.describe())
            if self.on_failure is not None:
                self.on_failure()
            return
        self.watch(self._on_readable, self._on_writable)
