"""Proxy types on the server: one file each, one row here.

The key is NewProxy.proxy_type; an empty type means tcp, as in every frp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from frpd.late_table import LateTable

if TYPE_CHECKING:
    from frpd.proto.message.types import NewProxy
    from frpd.server.proxies.base import Proxy, ProxyContext

PROXIES: Final[LateTable[Callable[[ProxyContext, NewProxy], Proxy]]] = LateTable(
    __name__,
    {
        "": "tcp:TcpProxy",
        "tcp": "tcp:TcpProxy",
        "http": "http:HttpProxy",
        "https": "https:HttpsProxy",
        "udp": "udp:UdpProxy",
        "stcp": "stcp:StcpProxy",
        "sudp": "sudp:SudpProxy",
        "tcpmux": "tcpmux:TcpmuxProxy",
        "xtcp": "xtcp:XtcpProxy",
    },
)
