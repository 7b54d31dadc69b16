"""Groups of http proxies: their routes, which the first member takes and the last one frees.

Each request goes to the next member, also of those that come on one connection.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from frpd.errors import ProxyError
from frpd.http.site import Site, Spares
from frpd.proto.message.types import NewProxy
from frpd.server.groups.group import Group
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.http import HttpProxy

if TYPE_CHECKING:
    from frpd.net.visitor_gate import Refusal
    from frpd.server.vhost.http_host import HttpHost
    from frpd.server.vhost.names import Route

SECOND: Final = 1
"""frp counts before it chooses: the first request is the second member's."""


class HttpGroup(Group["HttpMember"]):
    """One group; what a route of the virtual hosts leads to. Loop thread only."""

    @property
    def spares(self) -> Spares:
        """See Sites.spares."""
        return self

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """See Sites.admits: whoever may be asked in the end has to agree."""
        members = self.roster.members
        return all([member.admits(credentials) for member in members])

    def refusal(self, visitor_ip: str) -> tuple[HttpMember, Refusal] | None:
        """See Sites.refusal."""
        return self.roster.refusal(visitor_ip)

    def choose(self, visitor_ip: str) -> HttpMember:
        """See Sites.choose."""
        member = self.roster.choose(visitor_ip, self.loop.now())
        assert member is not None, "a group without members has no route, and somebody was willing"
        return member

    def other(self, visitor_ip: str, tried: Collection[Site]) -> HttpMember | None:
        """See Spares.other."""
        return self.roster.choose(visitor_ip, self.loop.now(), tried)

    def refused(self, site: Site) -> None:
        """See Spares.refused."""
        self.roster.refused(site, self.loop.now())


class HttpMember(HttpProxy):
    """An http proxy in a group. Loop thread only.

    Args:
        groups: all groups of http proxies, by name.
        context: of the client's session.
        request: what the client asked for.

    Raises:
        ProxyError: as HttpProxy, or it may not join.
    """

    def __init__(
        self, groups: dict[str, HttpGroup], context: ProxyContext, request: NewProxy
    ) -> None:
        self.context = context
        self._groups = groups
        super().__init__(context, request)

    def _enter(self, host: HttpHost, routes: list[Route]) -> None:
        """See HttpProxy._enter."""
        request, context = self._request, self.context
        terms = (frozenset(routes), request.route_by_http_user)
        group = self._groups.get(request.group)
        if group is not None:
            group.check(context, request, terms)
        if len(terms[0]) < len(routes):
            raise ProxyError("group proxy repeated")
        if group is None:
            group = HttpGroup(context, request, terms, first=SECOND)
            host.add(routes, request.route_by_http_user, group)
            self._groups[group.name] = group
        group.roster.add(self)

    def _leave(self, host: HttpHost, routes: list[Route]) -> None:
        """See HttpProxy._leave."""
        group = self._groups[self._request.group]
        group.roster.remove(self)
        if not group.roster:
            del self._groups[group.name]
            super()._leave(host, routes)
