"""tcp proxies: a port of the server, one work connection per visitor."""

from __future__ import annotations

from frpd.net.stream import SocketStream
from frpd.proto.message.types import NewProxy
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.tcp_port import TcpPort
from frpd.server.proxies.visit import Visit, is_turned_away
from frpd.server.proxies.work_call import introduction


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
        self._port = TcpPort(context, self.name, request.remote_port, self.on_user)
        self.remote_addr = f":{self._port.number}"

    def on_user(self, stream: SocketStream) -> None:
        """A visitor has connected."""
        if is_turned_away(self._context, stream):
            return
        destination = self._port.came_to(stream)
        if destination is None:
            return
        Visit(
            self._context,
            self.counters,
            stream,
            introduction(self.name, stream.peer, destination),
            use_encryption=self._request.use_encryption,
            use_compression=self._request.use_compression,
        )

    def close(self) -> None:
        """Free the port; visitors that are connected stay. Idempotent."""
        self._port.close()
