"""HttpHost: the http virtual hosts of a server: their routes and their visitors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from frpd.config.server import ServerConfig
from frpd.errors import ProxyError
from frpd.http.site import Site, Spares
from frpd.metrics.access import ProxyAccess
from frpd.net.stream import SocketStream
from frpd.proto.http.head import RequestHead
from frpd.proto.http.host import canonical_host
from frpd.relay.relay import Relays
from frpd.selector_loop import SelectorLoop
from frpd.server.door import Door
from frpd.server.vhost.http_visitor import HttpVisitor
from frpd.server.vhost.names import Route
from frpd.server.vhost.router import Router
from frpd.server.vhost.settings import head_limits, http_limits


class Sites(Protocol):
    """What a route leads to: one proxy, or a group of them."""

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """Whether who names this user and password may ask."""

    def choose(self, visitor_ip: str) -> Site:
        """Return who serves this visitor's next request."""

    @property
    def spares(self) -> Spares | None:
        """Who else may; None where there is nobody else."""


class HttpHost:
    """Visitors of all http proxies. Loop thread only.

    Args:
        loop: the loop.
        config: of the server.
        running: counts the exchanges under way.
        page: to show for 404 in place of the built-in one.
        access: where requests that lead to no proxy are told.

    Attributes:
        port: that visitors come to; 0 while there is none.
        limits: of visitors that come from now on.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        config: ServerConfig,
        running: Relays,
        page: bytes | None = None,
        access: ProxyAccess | None = None,
    ) -> None:
        self.loop = loop
        self.access = access
        self.running = running
        self.limits = http_limits(config)
        self.port = config.vhost_http_port
        self.page = page
        self.is_leaving = False
        # A head on its way is what a login is at the other door.
        self.door = Door(loop, head_limits(config), awaited="head of a request")
        self._router: Router[Sites] = Router()
        self._visitors: dict[HttpVisitor, None] = {}

    def use(self, config: ServerConfig, page: bytes | None) -> None:
        """Go on with another configuration; who is here stays, within the limits of then."""
        self.limits = http_limits(config)
        self.port = config.vhost_http_port
        self.page = page
        self.door.use(head_limits(config))

    @property
    def visitors(self) -> int:
        """Connections of visitors."""
        return len(self._visitors)

    def on_visitor(self, stream: SocketStream) -> None:
        """Take a visitor's connection."""
        self._visitors[HttpVisitor(self, stream)] = None

    def visitor_left(self, visitor: HttpVisitor) -> None:
        """A connection is no more."""
        self._visitors.pop(visitor, None)

    def add(self, routes: Iterable[Route], user: str, sites: Sites) -> None:
        """Let these routes lead there: all of them or none.

        Raises:
            ProxyError: one exists already.
        """
        added: list[Route] = []
        try:
            for route in routes:
                self._router.add(route.domain, route.location, user, sites)
                added.append(route)
        except ProxyError:
            self.remove(added, user)
            raise

    def remove(self, routes: Iterable[Route], user: str) -> None:
        """Undo add(): no request takes these routes from now on."""
        for route in routes:
            self._router.remove(route.domain, route.location, user)

    def find(self, head: RequestHead, user: str) -> Sites | None:
        """Return who may serve a request of this http user."""
        return self._router.find(canonical_host(head.host), head.path, user)

    def has_users(self, head: RequestHead) -> bool:
        """Whether somebody would serve this request, if only the right user made it."""
        return self._router.knows_users(canonical_host(head.host), head.path)

    def go_away(self) -> None:
        """Take no requests any more; those under way go on."""
        self.is_leaving = True
        for visitor in list(self._visitors):
            visitor.go_away()

    def close(self) -> None:
        """Drop all visitors. Idempotent."""
        self.is_leaving = True
        for visitor in list(self._visitors):
            visitor.abort()
        self.door.close()
