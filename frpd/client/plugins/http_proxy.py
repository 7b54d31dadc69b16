"""Plugin http_proxy: visitors speak to us as to an HTTP proxy, and reach what this machine reaches.

CONNECT opens a tunnel. Requests with an absolute target are passed on one by one over
connections of our own. Names are looked up here.
"""

from __future__ import annotations

import math
from typing import Final

from frpd.client.plugins.base import Guest, GuestServer
from frpd.client.plugins.http_guest import HttpGuest
from frpd.client.plugins.http_origin import Origin, status_of
from frpd.client.plugins.login import Login
from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.config.proxies import ProxyConfig
from frpd.errors import TransportError
from frpd.net.endpoint import Endpoint
from frpd.net.stream import SocketStream
from frpd.proto.http.basic import parse_basic
from frpd.proto.http.head import Form, RequestHead
from frpd.proto.http.host import canonical_host, port_of
from frpd.proto.message.types import StartWorkConn

HTTP_PORT: Final = 80
CONNECTED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


def serve_http_proxy(context: ProxyContext, config: ProxyConfig) -> ServesWork:
    """Return who serves a proxy with this plugin."""
    login = Login(config.plugin_params, "plugin_http_user", "plugin_http_passwd")

    def welcome(server: GuestServer, work: Endpoint, start: StartWorkConn) -> Guest:
        return HttpProxyGuest(server, work, start, login)

    return GuestServer(context, config, welcome)


class HttpProxyGuest(HttpGuest):
    """One visitor."""

    def __init__(
        self, server: GuestServer, work: Endpoint, start: StartWorkConn, login: Login
    ) -> None:
        super().__init__(server, work, start)
        self._login = login
        self._local: SocketStream | None = None

    def left(self) -> None:
        """See Guest.left."""
        super().left()
        if self._local is not None:
            self._local.abort()

    def serve(self, head: RequestHead, body: bytes, behind: bytes) -> None:
        """See HttpGuest.serve."""
        if not self._admits(head):
            self.log_refusal(head, 407, "")
            self.refuse(407, head=head, keep=head.body.over, behind=behind)
        elif head.method == "CONNECT":
            self._tunnel(head, behind)
        elif head.form is not Form.ABSOLUTE:
            self.turn_away(head, 400, "not for a proxy")
        elif head.target[:7].lower() != "http://":
            self.turn_away(head, 501, "we speak TLS to nobody")
        else:
            origin = Origin(
                canonical_host(head.host),
                port_of(head.host, HTTP_PORT),
                self.context,
                self.web,
            )
            self.ask(origin, head, body, behind)

    def _admits(self, head: RequestHead) -> bool:
        if not self._login.is_demanded:
            return True
        values = head.get_all("proxy-authorization")
        credentials = parse_basic(values[0]) if len(values) == 1 else None
        if credentials is None:
            return False
        user, password = credentials
        return self._login.admits(user.encode(), password.encode())

    # Tunnels.

    def _tunnel(self, head: RequestHead, behind: bytes) -> None:
        def connected(local: SocketStream) -> None:
            self._local = local
            self.set_deadline(self.limits.body_seconds)
            self.say(CONNECTED, lambda: self._open_tunnel(behind))

        def failed(error: TransportError) -> None:
            self.turn_away(head, status_of(error), str(error))

        self.set_deadline(math.inf)
        self.dial(canonical_host(head.host), port_of(head.host, 0), connected, failed)

    def _open_tunnel(self, behind: bytes) -> None:
        local, self._local = self._local, None
        assert local is not None
        self.work.unread(behind)
        self.join(local)
