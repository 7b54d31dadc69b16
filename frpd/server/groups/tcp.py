"""Groups of tcp proxies: one port, which its first member takes and its last one frees."""

from __future__ import annotations

from frpd.net.stream import SocketStream
from frpd.proto.message.types import NewProxy
from frpd.server.groups.group import Group
from frpd.server.groups.visit import GroupVisit, VisitedMember
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.tcp_port import TcpPort


class TcpGroup(Group[VisitedMember]):
    """One group. Loop thread only.

    Args:
        context: of its first member.
        request: of its first member.

    Raises:
        ProxyError: the port is not to be had.
    """

    def __init__(self, context: ProxyContext, request: NewProxy) -> None:
        super().__init__(context, request, port=request.remote_port)
        self.port = TcpPort(
            context,
            request.proxy_name,
            request.remote_port,
            self._on_user,
            owner=f"group {request.group}",
        )

    def _on_user(self, stream: SocketStream) -> None:
        destination = self.port.came_to(stream)
        if destination is not None:
            GroupVisit.begin(self.roster, stream, destination, now=self.loop.now())


class TcpMember:
    """A tcp proxy in a group. Loop thread only.

    Args:
        groups: all groups of tcp proxies, by name.
        context: of the client's session.
        request: what the client asked for.

    Raises:
        ProxyError: it may not join, or the port is not to be had.
    """

    proxy_type = "tcp"
    ports_used = 1

    def __init__(
        self, groups: dict[str, TcpGroup], context: ProxyContext, request: NewProxy
    ) -> None:
        self.name = request.proxy_name
        self.counters = context.counters
        self.context = context
        self.request = request
        self.gate = context.gate
        self._groups = groups
        self._closed = False
        group = groups.get(request.group)
        if group is None:
            group = groups[request.group] = TcpGroup(context, request)
        else:
            group.check(context, request, port=request.remote_port)
        group.roster.add(self)
        self._group = group
        self.remote_addr = f":{group.port.number}"

    def close(self) -> None:
        """Take no visitors any more; those connected stay. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._group.roster.remove(self)
        if not self._group.roster:
            del self._groups[self._group.name]
            self._group.port.close()
