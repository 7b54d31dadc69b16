"""Carriers between frpc and frps, and the layers around them: one row here for each carrier.

The key is the value of frpc's ``protocol``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from frpd.transports.base import LinkMaker, Transport
from frpd.transports.over_tcp import over_tcp, over_websocket, over_wss
from frpd.transports.over_udp import over_kcp, over_quic
from frpd.transports.way import Way

TRANSPORTS: Final[Mapping[str, Callable[[Way], Transport | LinkMaker]]] = {
    "tcp": over_tcp,
    "websocket": over_websocket,
    "wss": over_wss,
    "kcp": over_kcp,
    "quic": over_quic,
}
