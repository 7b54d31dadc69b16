"""VirtualHosts: the hosts that a server's proxies share, for proxies and the service."""

from __future__ import annotations

from frpd.config.server import ServerConfig
from frpd.metrics.access import ProxyAccess, Sink
from frpd.net.visitor_gate import VisitorGate
from frpd.relay.relay import Relays
from frpd.selector_loop import SelectorLoop
from frpd.server.guard.guesses import Guesses
from frpd.server.vhost.connect_host import ConnectHost
from frpd.server.vhost.http_host import HttpHost
from frpd.server.vhost.https_host import HttpsHost


class VirtualHosts:
    """All kinds; without a port a host takes no proxies, and nobody comes. Loop thread only.

    Args:
        loop: the loop.
        config: of the server.
        running: counts the http exchanges under way.
        page: to show for 404 in place of the built-in one.
        tell: of requests that lead to no proxy; None where nobody wants to know.
        gate: counts connections to the http port; None where nobody limits them.

    Attributes:
        subdomain_host: of proxies that come from now on.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        config: ServerConfig,
        running: Relays,
        page: bytes | None = None,
        tell: Sink | None = None,
        *,
        gate: VisitorGate | None = None,
    ) -> None:
        access = None if tell is None else ProxyAccess(tell, proxy="", type="http", run_id="")
        self.subdomain_host = config.subdomain_host
        self._guesses = guesses = Guesses(loop.now, config)
        self.http = HttpHost(loop, config, running, page, access, gate=gate, guesses=guesses)
        self.https = HttpsHost(loop, config)
        self.connect = ConnectHost(loop, config, guesses)

    def use(self, config: ServerConfig, page: bytes | None) -> None:
        """Go on with another configuration. Proxies stay, and can be reached at its ports."""
        self.subdomain_host = config.subdomain_host
        self._guesses.use(config)
        self.http.use(config, page)
        self.https.use(config)
        self.connect.use(config)

    def go_away(self) -> None:
        """Take no visitors and no requests any more; what is under way goes on."""
        self.http.go_away()
        self.https.close()
        self.connect.close()

    def close(self) -> None:
        """Drop all visitors that are not with a relay. Idempotent."""
        self.http.close()
        self.https.close()
        self.connect.close()
