"""Groups of tcpmux proxies: their names, which the first member takes and the last one frees."""

from __future__ import annotations

from frpd.errors import ConnectionLost
from frpd.net.address import host_of
from frpd.net.stream import SocketStream
from frpd.net.visitor_gate import Refusal
from frpd.proto.message.types import NewProxy
from frpd.server.groups.group import Group, join, leave
from frpd.server.groups.visit import GroupVisit, VisitedMember
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.tcpmux import TcpmuxProxy
from frpd.server.proxies.visit import tell_refused


class TcpmuxGroup(Group[VisitedMember]):
    """One group; a ConnectSite of the virtual hosts. Loop thread only."""

    def turned_away(self, stream: SocketStream) -> Refusal | None:
        """See ConnectSite.turned_away."""
        refusal = self.roster.refusal(host_of(stream.peer))
        if refusal is None:
            return None
        tell_refused(refusal[0].context, stream, refusal[1])
        return refusal[1]

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """See ConnectSite.admits: all members have the same user and password."""
        member = self.roster.members[0]
        return isinstance(member, TcpmuxMember) and member.admits(credentials)

    def on_user(self, stream: SocketStream, opening: bytes) -> None:
        """See ConnectSite.on_user."""
        try:
            destination = stream.local_address()
        except ConnectionLost:
            stream.abort()
            return
        GroupVisit.begin(self.roster, stream, destination, now=self.loop.now(), opening=opening)


class TcpmuxMember(TcpmuxProxy):
    """A tcpmux proxy in a group. Loop thread only.

    Args:
        groups: all groups of tcpmux proxies, by name.
        context: of the client's session.
        request: what the client asked for.

    Raises:
        ProxyError: as TcpmuxProxy, or it may not join.
    """

    def __init__(
        self, groups: dict[str, TcpmuxGroup], context: ProxyContext, request: NewProxy
    ) -> None:
        self._groups = groups
        super().__init__(context, request)

    def _enter(self) -> None:
        """See NamedProxy._enter."""
        request = self.request
        same = (request.route_by_http_user, request.http_user, request.http_pwd)

        def take(group: TcpmuxGroup) -> None:
            self.host.add(self.domains, request.route_by_http_user, group)

        join(self._groups, TcpmuxGroup, self, (frozenset(self.domains), *same), take)

    def _leave(self) -> None:
        """See NamedProxy._leave."""
        if leave(self._groups, self):
            super()._leave()
