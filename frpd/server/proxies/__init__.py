"""Proxy types on the server: one file each, one row here.

The key is NewProxy.proxy_type; an empty type means tcp, as in every frp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from frpd.proto.message.types import NewProxy
from frpd.server.proxies.base import Proxy, ProxyContext
from frpd.server.proxies.http import HttpProxy
from frpd.server.proxies.https import HttpsProxy
from frpd.server.proxies.stcp import StcpProxy
from frpd.server.proxies.sudp import SudpProxy
from frpd.server.proxies.tcp import TcpProxy
from frpd.server.proxies.tcpmux import TcpmuxProxy
from frpd.server.proxies.udp import UdpProxy
from frpd.server.proxies.xtcp import XtcpProxy

PROXIES: Final[Mapping[str, Callable[[ProxyContext, NewProxy], Proxy]]] = {
    "": TcpProxy,
    "tcp": TcpProxy,
    "http": HttpProxy,
    "https": HttpsProxy,
    "udp": UdpProxy,
    "stcp": StcpProxy,
    "sudp": SudpProxy,
    "tcpmux": TcpmuxProxy,
    "xtcp": XtcpProxy,
}
