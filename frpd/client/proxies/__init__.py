"""Proxy types on the client: one file each where they need one, one row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from frpd.late_table import LateTable

if TYPE_CHECKING:
    from frpd.client.proxies.base import ProxyContext, ServesWork
    from frpd.config.proxies import ProxyConfig

PROXIES: Final[LateTable[Callable[[ProxyContext, ProxyConfig], ServesWork]]] = LateTable(
    __name__,
    {
        "tcp": "general:GeneralProxy",
        "udp": "udp:UdpProxy",
        "http": "general:GeneralProxy",
        "https": "general:GeneralProxy",
        "tcpmux": "general:GeneralProxy",
        "stcp": "general:GeneralProxy",
        "xtcp": "xtcp:XtcpProxy",
        "sudp": "sudp:SudpProxy",
    },
)
