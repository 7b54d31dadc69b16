"""Carriers between frpc and frps: one file each, one row here.

The key is the value of frpc's ``protocol``.
"""

from __future__ import annotations

from typing import Final

from frpd.transports.tcp import TcpTransport

TRANSPORTS: Final = {
    "tcp": TcpTransport,
}
