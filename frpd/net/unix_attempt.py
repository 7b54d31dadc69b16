"""UnixAttempt: one connection to a Unix socket under way, without ever blocking the loop.

The kernel connects at once or not at all. Only where the service has too many waiting
already does it say EAGAIN, and nothing tells when that changes: so we ask again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Final

from frpd.errors import TransportError
from frpd.net.stream import SocketStream
from frpd.selector_loop import SelectorLoop, Timer

AGAIN_SECONDS: Final = 0.05
"""Between two tries at a service that has too many waiting."""


class UnixStream(SocketStream):
    """A connection to a Unix socket."""

    __slots__ = ()

    def describe(self) -> str:
        """Return the socket's path."""
        return self.peer[0]

    def ends(self) -> None:
        """See SocketStream.ends: it is not of TCP."""


class UnixAttempt:
    """One call of Connector.connect_unix under way."""

    __slots__ = ("_deadline", "_loop", "_on_connected", "_on_failed", "_path", "_timer")

    def __init__(
        self,
        loop: SelectorLoop,
        path: str,
        on_connected: Callable[[SocketStream], None],
        on_failed: Callable[[TransportError], None],
        timeout_seconds: float,
    ) -> None:
        self._loop = loop
        self._path = path
        self._on_connected = on_connected
        self._on_failed = on_failed
        self._deadline = loop.now() + timeout_seconds
        self._timer: Timer | None = loop.call_later(0.0, self._try)

    def cancel(self) -> None:
        """Give up silently. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _try(self) -> None:
        self._timer = None
        # "@" stands for the zero byte of an abstract name, as in Go.
        address = f"\0{self._path[1:]}" if self._path.startswith("@") else self._path
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(address)
        except BlockingIOError:
            sock.close()
            self._try_again()
            return
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            sock.close()
            self._fail(_reason(error))
            return
        stream = UnixStream(self._loop, sock, (self._path, 0))
        try:
            self._on_connected(stream)
        except Exception:
            stream.abort()
            raise

    def _try_again(self) -> None:
        if self._loop.now() >= self._deadline:
            self._fail("too many connections wait for the service")
        else:
            self._timer = self._loop.call_later(AGAIN_SECONDS, self._try)

    def _fail(self, reason: str) -> None:
        self._on_failed(TransportError(f"dial unix {self._path}: connect: {reason}"))


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error).lower()  # a path that is too long has no number
