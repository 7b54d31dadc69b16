"""tcp proxies: a port of the server, one work connection per visitor."""

from __future__ import annotations

import errno
import socket

from frpd.errors import ConnectionLost, ProxyError
from frpd.net.address import host_of
from frpd.net.listener import Listener, ListenError, bind_tcp
from frpd.net.stream import SocketStream
from frpd.proto.message.types import NewProxy, StartWorkConn
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.visit import Visit

ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


class TcpProxy:
    """One tcp proxy. Loop thread only.

    Args:
        context: of the client's session.
        request: what the client asked for.
    """

    proxy_type = "tcp"
    ports_used = 1

    def __init__(self, context: ProxyContext, request: NewProxy) -> None:
        self.name = request.proxy_name
        self.counters = context.counters
        self._context = context
        self._request = request
        self._closed = False
        self.port, sock = context.tcp_ports.acquire(
            self.name, request.remote_port, context.loop.now(), self._bind
        )
        self.remote_addr = f":{self.port}"
        self._listener = Listener(context.loop, sock, self.on_user)
        address = self._listener.address
        # Visitors of a port on all addresses differ in the one they came to.
        self._address = None if host_of(address) in ANY_HOST else address

    def on_user(self, stream: SocketStream) -> None:
        """A visitor has connected."""
        try:
            destination = self._address or stream.local_address()
        except ConnectionLost:
            stream.abort()
            return
        source = stream.peer
        hello = StartWorkConn(
            proxy_name=self.name,
            src_addr=host_of(source),
            src_port=source[1],
            dst_addr=host_of(destination),
            dst_port=destination[1],
        )
        Visit(
            self._context,
            self.counters,
            stream,
            hello,
            use_encryption=self._request.use_encryption,
            use_compression=self._request.use_compression,
        )

    def close(self) -> None:
        """Free the port; visitors that are connected stay. Idempotent."""
        if not self._closed:
            self._closed = True
            self._listener.close()
            self._context.tcp_ports.release(self.port, self._context.loop.now())

    def _bind(self, port: int) -> socket.socket:
        try:
            return bind_tcp(self._context.bind_addr, port)
        except ListenError as error:
            self._context.log.warning("%s", error)
            if error.errno == errno.EADDRINUSE:
                self._context.explain_taken_port(error.address, port)
            raise ProxyError("port unavailable") from error
