"""https proxies: names on the server's https port; TLS passes through untouched."""

from __future__ import annotations

from frpd.errors import ProxyError
from frpd.net.stream import SocketStream
from frpd.proto.message.types import NewProxy
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.named import NamedProxy


class HttpsProxy(NamedProxy):
    """One https proxy. Loop thread only.

    Args:
        context: of the client's session.
        request: what the client asked for.

    Raises:
        ProxyError: there is no https port, or the domains are not to be had.
    """

    proxy_type = "https"

    def __init__(self, context: ProxyContext, request: NewProxy) -> None:
        if context.vhosts is None or not context.vhosts.https.port:
            raise ProxyError("type [https] not support when vhost_https_port is not set")
        self.host = context.vhosts.https
        super().__init__(context, request, self.host, context.vhosts.subdomain_host)

    def on_user(self, stream: SocketStream) -> None:
        """See TlsSite.on_user."""
        self.visit(stream)

    def _enter(self) -> None:
        """See NamedProxy._enter."""
        self.host.add(self.domains, self)

    def _leave(self) -> None:
        """See NamedProxy._leave."""
        self.host.remove(self.domains)
