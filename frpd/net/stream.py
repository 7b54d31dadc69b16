"""SocketStream: one connected, non-blocking stream socket on the loop.

It keeps no write buffer: the kernel's is enough, and whoever writes holds the
rest back. Any OSError of the socket becomes ConnectionLost here, nowhere else.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import NamedTuple, cast

from frpd.errors import ConnectionLost
from frpd.log import get_logger
from frpd.net import splice
from frpd.net.address import SockAddr, format_address
from frpd.net.endpoint import Buffer, Callback, Endpoint, Outcome
from frpd.net.pipes import Pipe, PipePool
from frpd.net.tcp_info import TcpInfo, tcp_info
from frpd.selector_loop import SCRATCH_BYTES, SelectorLoop

_log = get_logger("frpd.net.stream")

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 s


class SocketEnds(NamedTuple):
    """A socket of TCP as the kernel knows it: both addresses, as ``host:port``, and more."""

    local: str
    remote: str
    tcp: TcpInfo | None = None


class SocketStream:
    """An Endpoint over a connected socket, which it owns. Loop thread only.

    Args:
        loop: the loop that watches the socket.
        sock: connected and non-blocking.
        peer: the other side's address as the kernel gave it.
    """

    __slots__ = (
        "_announced",
        "_closed",
        "_loop",
        "_lost",
        "_on_readable",
        "_on_writable",
        "_pipe",
        "_pool",
        "_pushed_back",
        "_sock",
        "_watch",
        "on_failure",
        "peer",
    )

    def __init__(self, loop: SelectorLoop, sock: socket.socket, peer: SockAddr) -> None:
        self.on_failure: Callback | None = None
        self.peer = peer
        self._loop = loop
        self._sock = sock
        self._watch = loop.watch(sock.fileno(), self._failed)
        self._pushed_back = b""
        self._announced = False  # a call about them is on its way
        self._lost = ""  # what a write has found out
        self._pipe: Pipe | None = None  # only while it holds bytes
        self._pool: PipePool | None = None  # where it came from
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        self._closed = False

    @property
    def carrier(self) -> str:
        """See Bearer.carrier."""
        return "tcp"

    @property
    def closed(self) -> bool:
        """True after close() or abort()."""
        return self._closed

    def local_address(self) -> SockAddr:
        """Return our side's address (a system call).

        Raises:
            ConnectionLost: the socket is closed.
        """
        try:
            return cast("SockAddr", self._sock.getsockname())
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    def ends(self) -> SocketEnds | None:
        """Return both addresses (two system calls); None if it is closed."""
        try:
            local = self.local_address()
        except ConnectionLost:
            return None
        return SocketEnds(format_address(local), format_address(self.peer), tcp_info(self._sock))

    def let_in(self) -> None:
        """See Bearer.let_in: TCP's handshake has shown already that the address is the peer's."""

    def when_proven(self, call: Callback) -> None:
        """See BearerStream.when_proven: it is, by the same."""
        call()

    def describe(self) -> str:
        """Return the peer's address."""
        return format_address(self.peer)

    def read(self, limit: int) -> Buffer | Outcome:
        """See Endpoint.read; the buffer is the loop's shared scratch memory."""
        if self._pushed_back:
            data, self._pushed_back = self._pushed_back[:limit], self._pushed_back[limit:]
            return data
        scratch = self._loop.scratch
        try:
            count = self._sock.recv_into(scratch, limit if limit < SCRATCH_BYTES else SCRATCH_BYTES)
        except (BlockingIOError, InterruptedError):
            return Outcome.EMPTY
        except OSError as error:
            raise ConnectionLost(_reason(error)) from error
        if count:
            return scratch[:count]
        if self._lost:
            raise ConnectionLost(self._lost)
        return Outcome.EOF

    def unread(self, data: Buffer) -> None:
        """See Endpoint.unread."""
        if len(data):
            self._pushed_back = bytes(data) + self._pushed_back
            self._announce_pushed_back()

    def write(self, data: Buffer) -> int:
        """See Endpoint.write: one send() to the kernel."""
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise self._write_failed(error) from error

    def write_more(self, data: Buffer) -> int:
        """Write what more follows at once: a partial segment may wait for it."""
        try:
            return self._sock.send(data, socket.MSG_MORE)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise self._write_failed(error) from error

    def room(self) -> int:
        """Return the size of the scratch buffer: the kernel does not say."""
        return len(self._loop.scratch)

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """See Endpoint.watch."""
        if self._closed:
            return
        self._on_readable = on_readable
        self._on_writable = on_writable
        self._watch.set(on_readable, on_writable)
        if self._pushed_back:
            self._announce_pushed_back()

    def shutdown_write(self) -> None:
        """Send FIN behind what the kernel still holds."""
        with contextlib.suppress(OSError):  # the peer may be gone already; reads will tell
            self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close; the kernel delivers what it has taken."""
        if self._closed:
            return
        self._closed = True
        self._watch.close()
        self._on_readable = self._on_writable = None
        self._sock.close()
        self._return_pipe()

    def abort(self) -> None:
        """Close with RST."""
        if self._closed:
            return
        with contextlib.suppress(OSError):  # not a TCP socket
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close()

    def detach(self) -> socket.socket:
        """Give the socket up to somebody else; only before anything was read or written."""
        assert not self._pushed_back
        assert self._pipe is None
        self._closed = True
        self._watch.close()
        self._on_readable = self._on_writable = None
        return self._sock

    # Payload that never enters this process.

    @property
    def splices(self) -> bool:
        """Sockets always do."""
        return True

    def splice_with(self, pool: PipePool | None) -> None:
        """See Endpoint.splice_with."""
        if pool is None:
            self._return_pipe()
        self._pool = pool

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """See Endpoint.read_pipe."""
        pipe = self._pipe
        if self._pushed_back or self._pool is None:
            return Outcome.COPY
        if pipe is None:
            pipe = self._pool.acquire()
            if pipe is None:
                return Outcome.COPY
            self._pipe = pipe
            pipe.on_paid = self._pipe_paid
        outcome = self.fill_pipe(pipe, limit)
        if isinstance(outcome, Outcome):
            if not pipe.held:
                self._return_pipe()
            return outcome
        return pipe

    def pipe_moved(self, nbytes: int) -> None:
        """See Endpoint.pipe_moved; an empty pipe goes back to the pool."""
        self._pipe_paid()

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        """See Endpoint.write_pipe."""
        return self.drain_pipe(pipe, limit)

    def fill_pipe(self, pipe: Pipe, limit: int) -> int | Outcome:
        """Move bytes from the socket into a pipe; see splice.fill."""
        if self._closed:
            raise ConnectionLost("closed here")
        try:
            outcome = splice.fill(self._sock.fileno(), pipe, limit)
        except OSError as error:
            raise ConnectionLost(_reason(error)) from error
        if outcome is Outcome.EOF and self._lost:
            raise ConnectionLost(self._lost)
        return outcome

    def drain_pipe(self, pipe: Pipe, limit: int, *, more: bool = False) -> int:
        """Move bytes out of a pipe into the socket; see splice.drain."""
        if self._closed:
            raise ConnectionLost("closed here")
        try:
            return splice.drain(pipe, self._sock.fileno(), limit, more=more)
        except OSError as error:
            raise self._write_failed(error) from error

    def _write_failed(self, error: OSError) -> ConnectionLost:
        # The kernel tells a reset once, and calls it an end afterwards. EPIPE is what
        # it says when the peer had ended its direction before: a true end.
        if error.errno != errno.EPIPE:
            self._lost = _reason(error)
        return ConnectionLost(_reason(error))

    def _pipe_paid(self) -> None:
        if self._pipe is not None and not self._pipe.held:
            self._return_pipe()

    def _return_pipe(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.give_back()

    def _announce_pushed_back(self) -> None:
        if self._on_readable is not None and not self._announced:
            self._announced = True
            self._loop.call_soon(self._deliver_pushed_back)

    def _deliver_pushed_back(self) -> None:
        # The kernel cannot report bytes that it no longer has.
        self._announced = False
        if not (self._pushed_back and self._on_readable):
            return
        try:
            self._on_readable()
        except MemoryError:
            raise  # see SelectorLoop
        except Exception as error:
            _log.exception("a callback of %s failed", self.describe())
            self._failed(error)
            return
        if self._pushed_back:
            self._announce_pushed_back()

    def _failed(self, _error: BaseException) -> None:
        self.abort()
        if self.on_failure is not None:
            self.on_failure()


def socket_of(endpoint: Endpoint) -> SocketEnds | None:
    """Return the addresses of an endpoint that is a socket of TCP itself; None of any other."""
    return endpoint.ends() if isinstance(endpoint, SocketStream) else None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
