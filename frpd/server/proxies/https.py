"""https proxies: names on the server's https port; TLS passes through untouched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.errors import ConnectionLost, ProxyError
from frpd.net.address import host_of
from frpd.net.stream import SocketStream
from frpd.proto.message.types import NewProxy, StartWorkConn
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.visit import Visit
from frpd.server.vhost.names import domains_of, remote_addr

if TYPE_CHECKING:
    from frpd.server.vhost.https_host import HttpsHost


class HttpsProxy:
    """One https proxy. Loop thread only.

    Args:
        context: of the client's session.
        request: what the client asked for.

    Raises:
        ProxyError: there is no https port, or the domains are not to be had.
    """

    proxy_type = "https"
    ports_used = 0

    def __init__(self, context: ProxyContext, request: NewProxy) -> None:
        if context.vhosts is None or not context.vhosts.https.port:
            raise ProxyError("type [https] not support when vhost_https_port is not set")
        self.name = request.proxy_name
        self.counters = context.counters
        self._context = context
        self._request = request
        self._host = host = context.vhosts.https
        self._domains = domains_of(request, context.vhosts.subdomain_host)
        self._enter(host, self._domains)
        self._closed = False

    @property
    def remote_addr(self) -> str:
        """See Proxy.remote_addr; a reload may move the port."""
        return remote_addr(self._domains, [""], self._host.port)

    def on_user(self, stream: SocketStream) -> None:
        """A visitor has named one of our domains; it is still to be heard from the start."""
        try:
            destination = stream.local_address()
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
        """Free the names; visitors that are connected stay. Idempotent."""
        if not self._closed:
            self._closed = True
            self._leave(self._host, self._domains)

    def _enter(self, host: HttpsHost, domains: list[str]) -> None:
        """Take the names; ProxyError if they are not to be had."""
        host.add(domains, self)

    def _leave(self, host: HttpsHost, domains: list[str]) -> None:
        """Undo _enter."""
        host.remove(domains)
