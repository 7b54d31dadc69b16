"""Plugin tls2raw: a visitor's TLS ends here, and what is inside goes to a local service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.client.plugins.base import Guest, GuestServer
from frpd.client.plugins.tls_end import certificates, secured
from frpd.client.plugins.web_bridge import HANDSHAKE_SECONDS, local_address
from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.client.proxies.work_leg import introduce
from frpd.config.proxies import ProxyConfig
from frpd.errors import TransportError
from frpd.http.site import Call
from frpd.net.endpoint import Endpoint
from frpd.net.stream import SocketStream
from frpd.proto.message.types import StartWorkConn

if TYPE_CHECKING:
    from frpd.net.certificates import Contexts


def serve_tls2raw(context: ProxyContext, config: ProxyConfig) -> ServesWork:
    """Return who serves a proxy with this plugin.

    Raises:
        ProxyError: a key is missing, or cannot be used.
    """
    host, port = local_address(config.plugin_params.get("plugin_local_addr", ""))
    contexts = certificates(context, config.plugin_params)

    def welcome(server: GuestServer, work: Endpoint, start: StartWorkConn) -> Guest:
        return RawGuest(server, work, start, contexts, (host, port))

    return GuestServer(context, config, welcome)


class RawGuest(Guest):
    """One visitor until it is joined to the service."""

    def __init__(
        self,
        server: GuestServer,
        work: Endpoint,
        start: StartWorkConn,
        contexts: Contexts,
        local: tuple[str, int],
    ) -> None:
        super().__init__(server, work, start)
        self._contexts = contexts
        self._local = local
        self._handshake: Call | None = None

    def begin(self) -> None:
        """See Guest.begin."""
        self.set_deadline(HANDSHAKE_SECONDS)
        self._handshake = secured(self.work, self._contexts, self._secure, self._insecure)

    def retire(self) -> None:
        """See Guest.retire: nothing was passed on yet."""
        self.drop("the proxy has changed")

    def left(self) -> None:
        """See Guest.left."""
        if self._handshake is not None:
            self._handshake.cancel()
            self._handshake = None

    def _secure(self, endpoint: Endpoint) -> None:
        self._handshake = None
        self.take_over(endpoint)
        self.dial(*self._local, self._connected, self._refused)

    def _connected(self, local: SocketStream) -> None:
        introduce(self.server.config, self.start, local)
        self.join(local)

    def _refused(self, error: TransportError) -> None:
        self.context.log.warning("local service refused %s: %s", self.source, error)
        self.drop("refused")

    def _insecure(self, error: TransportError) -> None:
        self._handshake = None
        self.context.log.info("%s: %s", self.source, error)
        self.drop("no TLS")
