"""tcpmux proxies: names on the server's CONNECT port; any bytes follow."""

from __future__ import annotations

from frpd.auth.basic import BasicLogin
from frpd.errors import ProxyError
from frpd.net.address import host_of
from frpd.net.stream import SocketStream
from frpd.net.visitor_gate import Refusal
from frpd.proto.message.types import NewProxy
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.named import NamedProxy
from frpd.server.proxies.visit import tell_refused

MULTIPLEXER = "httpconnect"


class TcpmuxProxy(NamedProxy):
    """One tcpmux proxy; a ConnectSite. Loop thread only.

    Args:
        context: of the client's session.
        request: what the client asked for.

    Raises:
        ProxyError: there is no such port, or the domains are not to be had.
    """

    proxy_type = "tcpmux"

    def __init__(self, context: ProxyContext, request: NewProxy) -> None:
        name, multiplexer = request.proxy_name, request.multiplexer
        if multiplexer != MULTIPLEXER:
            raise ProxyError(f"proxy [{name}] incorrect multiplexer [{multiplexer}]")
        if context.vhosts is None or not context.vhosts.connect.port:
            raise ProxyError(
                f"proxy [{name}] type [tcpmux] with multiplexer [{multiplexer}] requires"
                " tcpmux_httpconnect_port configuration"
            )
        self.host = context.vhosts.connect
        self._login = BasicLogin(request.http_user, request.http_pwd)
        super().__init__(context, request, self.host, context.vhosts.subdomain_host)

    def turned_away(self, stream: SocketStream) -> Refusal | None:
        """See ConnectSite.turned_away."""
        refusal = None if self.gate is None else self.gate.refusal(host_of(stream.peer))
        if refusal is not None:
            tell_refused(self.context, stream, refusal)
        return refusal

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """See ConnectSite.admits."""
        return self._login.admits(credentials)

    def on_user(self, stream: SocketStream, opening: bytes) -> None:
        """See ConnectSite.on_user."""
        if opening:
            stream.unread(opening)
        self.visit(stream)

    def _enter(self) -> None:
        """See NamedProxy._enter."""
        self.host.add(self.domains, self.request.route_by_http_user, self)

    def _leave(self) -> None:
        """See NamedProxy._leave."""
        self.host.remove(self.domains, self.request.route_by_http_user)
