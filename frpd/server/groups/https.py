"""Groups of https proxies: their names, which the first member takes and the last one frees.

A ClientHello may be said to several members: no data of the visitor's are in it, and
those it may send right behind it are made to be repeated (RFC 8446, 8).
"""

from __future__ import annotations

from frpd.errors import ConnectionLost
from frpd.net.endpoint import Outcome
from frpd.net.stream import SocketStream
from frpd.proto.message.types import NewProxy
from frpd.proto.tls_hello import MAX_HELLO_BYTES
from frpd.server.groups.group import Group, join, leave
from frpd.server.groups.visit import GroupVisit, VisitedMember
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.https import HttpsProxy


class HttpsGroup(Group[VisitedMember]):
    """One group; a TlsSite of the virtual hosts. Loop thread only."""

    def on_user(self, stream: SocketStream) -> None:
        """See TlsSite.on_user."""
        try:
            destination = stream.local_address()
            heard = stream.read(MAX_HELLO_BYTES + 1)
        except ConnectionLost:
            stream.abort()
            return
        opening = b"" if isinstance(heard, Outcome) else bytes(heard)
        GroupVisit.begin(self.roster, stream, destination, now=self.loop.now(), opening=opening)


class HttpsMember(HttpsProxy):
    """An https proxy in a group. Loop thread only.

    Args:
        groups: all groups of https proxies, by name.
        context: of the client's session.
        request: what the client asked for.

    Raises:
        ProxyError: as HttpsProxy, or it may not join.
    """

    def __init__(
        self, groups: dict[str, HttpsGroup], context: ProxyContext, request: NewProxy
    ) -> None:
        self._groups = groups
        super().__init__(context, request)

    def _enter(self) -> None:
        """See NamedProxy._enter."""

        def take(group: HttpsGroup) -> None:
            self.host.add(self.domains, group)

        join(self._groups, HttpsGroup, self, frozenset(self.domains), take)

    def _leave(self) -> None:
        """See NamedProxy._leave."""
        if leave(self._groups, self):
            super()._leave()
