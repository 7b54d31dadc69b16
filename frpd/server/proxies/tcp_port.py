"""TcpPort: a port of the server that visitors come to; a tcp proxy's own, or a group's."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from frpd.errors import ConnectionLost, ProxyError
from frpd.net.address import SockAddr, host_of
from frpd.net.listener import Listener, ListenError
from frpd.net.socket_store import TCP, HeldError, open_tcp
from frpd.net.stream import SocketStream
from frpd.server.proxies.base import ProxyContext

ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


class TcpPort:
    """A port that is held and listened on. Loop thread only.

    Args:
        context: of the client's session.
        name: of the proxy that the port is booked for.
        wish: its number; 0 for a free one.
        on_user: gets each visitor.
        owner: who gets the port back after a restart; by default the proxy.

    Attributes:
        number: of the port.

    Raises:
        ProxyError: it is not to be had.
    """

    def __init__(
        self,
        context: ProxyContext,
        name: str,
        wish: int,
        on_user: Callable[[SocketStream], None],
        *,
        owner: str = "",
    ) -> None:
        self._context = context
        self._owner = owner or f"proxy {name}"
        self._closed = False
        inherited = context.sockets.port_of(TCP, self._owner)
        self.number, self._sock = context.tcp_ports.acquire(
            name, wish, context.loop.now(), self._bind, inherited
        )
        self._on_user = on_user
        self._listener = Listener(context.loop, self._sock, self._came)
        address = self._listener.address
        # Visitors of a port on all addresses differ in the one they came to.
        self._address = None if host_of(address) in ANY_HOST else address

    def came_to(self, stream: SocketStream) -> SockAddr | None:
        """Return the address that a visitor has connected to; None if it is gone: then so is it."""
        try:
            return self._address or stream.local_address()
        except ConnectionLost:
            stream.abort()
            return None

    def close(self) -> None:
        """Free the port. Idempotent."""
        if not self._closed:
            self._closed = True
            self._context.sockets.forget(self._sock)
            self._listener.close()
            self._context.tcp_ports.release(self.number, self._context.loop.now())

    def _came(self, stream: SocketStream) -> None:
        if self._context.balancers is None:
            self._on_user(stream)
        else:
            self._context.balancers.welcome(stream, self._known)

    def _known(self, stream: SocketStream) -> None:
        """It is known who it is; that may have taken a while."""
        if self._closed:
            stream.abort()
        else:
            self._on_user(stream)

    def _bind(self, port: int) -> socket.socket:
        try:
            return open_tcp(self._context.sockets, self._context.bind_addr, port, self._owner)
        except HeldError as held:
            self._context.log.warning("%s", held)
            raise ProxyError("port already used") from held
        except ListenError as error:
            self._context.log.warning("%s", error)
            if error.errno == errno.EADDRINUSE:
                self._context.explain_taken_port(error.address, port)
            raise ProxyError("port unavailable") from error
