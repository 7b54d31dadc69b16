"""Carriers between frpc and frps, and the layers around them: one row here for each carrier.

The key is the value of frpc's ``protocol``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from frpd.late_table import LateTable

if TYPE_CHECKING:
    from frpd.transports.base import LinkMaker, Transport
    from frpd.transports.way import Way

TRANSPORTS: Final[LateTable[Callable[[Way], Transport | LinkMaker]]] = LateTable(
    __name__,
    {
        "tcp": "over_tcp:over_tcp",
        "websocket": "over_tcp:over_websocket",
        "wss": "over_tcp:over_wss",
        "kcp": "over_udp:over_kcp",
        "quic": "over_udp:over_quic",
    },
)
