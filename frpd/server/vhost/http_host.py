"""HttpHost: the http virtual hosts of a server: their routes and their visitors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Protocol

from frpd.config.server import ServerConfig
from frpd.errors import ConnectionLost, ProxyError
from frpd.http.pages import error_response
from frpd.http.site import Site, Spares
from frpd.metrics.access import ProxyAccess
from frpd.net.address import host_of
from frpd.net.stream import SocketStream
from frpd.net.visitor_gate import Refusal, VisitorGate
from frpd.proto.http.head import RequestHead
from frpd.proto.http.host import canonical_host
from frpd.relay.relay import Relays
from frpd.selector_loop import SelectorLoop
from frpd.server.door import Door
from frpd.server.guard.guesses import Guesses
from frpd.server.vhost.http_visitor import HttpVisitor
from frpd.server.vhost.names import Route
from frpd.server.vhost.router import Router
from frpd.server.vhost.settings import head_limits, http_limits


class Sites(Protocol):
    """What a route leads to: one proxy, or a group of them."""

    name: str

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """Whether who names this user and password may ask."""

    def refusal(self, visitor_ip: str) -> tuple[Site, Refusal] | None:
        """Return who refuses this visitor's next request and why; None if somebody takes it."""

    def choose(self, visitor_ip: str) -> Site:
        """Return who serves this visitor's next request; at once after nobody refused it."""

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
        gate: counts connections; None where nobody limits them.
        guesses: remembers wrong passwords.

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
        *,
        gate: VisitorGate | None = None,
        guesses: Guesses,
    ) -> None:
        self.loop = loop
        self.access = access
        self.guesses = guesses
        self._gate = gate
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
        gate = self._gate
        if gate is not None:
            refusal = gate.refusal(host_of(stream.peer))
            if refusal is not None:
                self._turn_away(gate, stream, refusal)
                return
            gate.enter()
        self._visitors[HttpVisitor(self, stream)] = None

    def _turn_away(self, gate: VisitorGate, stream: SocketStream, refusal: Refusal) -> None:
        """Answer before anything was asked: what waits for a request holds a descriptor."""
        gate.turned_away(refusal, stream.describe())
        with contextlib.suppress(ConnectionLost):
            stream.write(error_response(refusal.status, close=True, extra=refusal.headers))
        stream.close()

    def visitor_left(self, visitor: HttpVisitor) -> None:
        """A connection is no more."""
        if visitor in self._visitors:
            del self._visitors[visitor]
            if self._gate is not None:
                self._gate.left()

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
