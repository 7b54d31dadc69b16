"""VirtualHosts: what the server has of http and https hosts, for proxies and the service."""

from __future__ import annotations

from frpd.config.server import ServerConfig
from frpd.relay.relay import Relays
from frpd.selector_loop import SelectorLoop
from frpd.server.vhost.http_host import HttpHost
from frpd.server.vhost.https_host import HttpsHost


class VirtualHosts:
    """Both kinds, as far as the configuration has ports for them. Loop thread only.

    Args:
        loop: the loop.
        config: of the server.
        running: counts the http exchanges under way.

    Raises:
        ConfigError: custom_404_page cannot be used.
    """

    def __init__(self, loop: SelectorLoop, config: ServerConfig, running: Relays) -> None:
        self.subdomain_host = config.subdomain_host
        self.http = HttpHost(loop, config, running) if config.vhost_http_port else None
        self.https = HttpsHost(loop, config) if config.vhost_https_port else None

    def go_away(self) -> None:
        """Take no visitors and no requests any more; what is under way goes on."""
        if self.http is not None:
            self.http.go_away()
        if self.https is not None:
            self.https.close()

    def close(self) -> None:
        """Drop all visitors that are not with a relay. Idempotent."""
        if self.http is not None:
            self.http.close()
        if self.https is not None:
            self.https.close()
