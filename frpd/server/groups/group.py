"""Group: what members of any kind have to agree about, and who may join.

The order of the checks and their words are frp's.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from frpd.errors import ProxyError
from frpd.proto.message.types import NewProxy
from frpd.server.groups.roster import Roster
from frpd.server.groups.strategy import ROUND_ROBIN, STRATEGIES, Member
from frpd.server.proxies.base import ProxyContext

if TYPE_CHECKING:
    from frpd.server.groups.visit import VisitedMember

M = TypeVar("M", bound=Member)


class Group(Generic[M]):
    """One group, made by its first member. Loop thread only.

    Args:
        context: of the first member.
        request: of the first member.
        terms: what all members say alike, such as their domain.
        port: what all members say alike, where that is a port.
        first: whose turn is the first.
    """

    def __init__(
        self,
        context: ProxyContext,
        request: NewProxy,
        terms: Hashable = None,
        *,
        port: int = 0,
        first: int = 0,
    ) -> None:
        self.name = request.group
        self.loop = context.loop
        self.roster: Roster[M] = Roster(request.group_strategy, first)
        self._key = _octets(request.group_key)
        self._owner = context.owner
        self._terms = terms
        self._port = port
        self._strategy = request.group_strategy or ROUND_ROBIN
        if self._strategy not in STRATEGIES:
            context.log.warning("group_strategy [%s] is not known: %s", self._strategy, ROUND_ROBIN)

    def check(
        self, context: ProxyContext, request: NewProxy, terms: Hashable = None, *, port: int = 0
    ) -> None:
        """Let one more member in; arguments as for the first one.

        Raises:
            ProxyError: it may not, with frp's text.
        """
        if context.owner != self._owner:
            raise ProxyError(f"group [{self.name}] belongs to another user")
        if terms != self._terms:
            raise ProxyError("group params invalid")
        if port != self._port:
            raise ProxyError("group should have same remote port")
        if not hmac.compare_digest(_octets(request.group_key), self._key):
            raise ProxyError("group auth failed")
        if request.group_strategy not in ("", self._strategy):
            context.log.warning(
                "group_strategy [%s] does not count: the first member of group [%s] said [%s]",
                request.group_strategy,
                self.name,
                self._strategy,
            )


G = TypeVar("G", bound="Group[Any]")


def join(
    groups: dict[str, G],
    kind: Callable[[ProxyContext, NewProxy, Hashable], G],
    member: VisitedMember,
    terms: Hashable,
    take: Callable[[G], None],
) -> None:
    """Let a proxy into the group that it names, which is made for the first one.

    Args:
        groups: all of this kind, by name.
        kind: makes one.
        member: the proxy.
        terms: what all members say alike.
        take: gets a new group what its members share, such as names.

    Raises:
        ProxyError: it may not, or what they share is not to be had.
    """
    context, request = member.context, member.request
    group = groups.get(request.group)
    if group is None:
        group = kind(context, request, terms)
        take(group)
        groups[group.name] = group
    else:
        group.check(context, request, terms)
    group.roster.add(member)


def leave(groups: dict[str, G], member: VisitedMember) -> bool:
    """Undo join(); True if nobody is left, and what they shared is to be freed."""
    group = groups[member.request.group]
    group.roster.remove(member)
    if group.roster:
        return False
    del groups[group.name]
    return True


def _octets(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
