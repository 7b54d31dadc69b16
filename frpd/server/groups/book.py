"""GroupBook: all groups of a server, and how a proxy that is in one is made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from frpd.proto.message.types import NewProxy
from frpd.server.groups.http import HttpGroup, HttpMember
from frpd.server.groups.https import HttpsGroup, HttpsMember
from frpd.server.groups.tcp import TcpGroup, TcpMember
from frpd.server.groups.tcpmux import TcpmuxGroup, TcpmuxMember
from frpd.server.proxies.base import Proxy, ProxyContext

Build = Callable[[ProxyContext, NewProxy], Proxy]


class GroupBook:
    """The groups of each kind by their names: one name may stand once in each. Loop thread only."""

    def __init__(self) -> None:
        self._tcp: dict[str, TcpGroup] = {}
        self._http: dict[str, HttpGroup] = {}
        self._https: dict[str, HttpsGroup] = {}
        self._tcpmux: dict[str, TcpmuxGroup] = {}
        tcp = partial(TcpMember, self._tcp)
        self._builders: dict[str, Build] = {
            "": tcp,
            "tcp": tcp,
            "http": partial(HttpMember, self._http),
            "https": partial(HttpsMember, self._https),
            "tcpmux": partial(TcpmuxMember, self._tcpmux),
        }

    def __len__(self) -> int:
        return len(self._tcp) + len(self._http) + len(self._https) + len(self._tcpmux)

    def builder(self, request: NewProxy) -> Build | None:
        """Return what makes this proxy; None when it is in no group: then PROXIES has it.

        Kinds that know no groups take no notice of theirs, as in frp.
        """
        return self._builders.get(request.proxy_type) if request.group else None
