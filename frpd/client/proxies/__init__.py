"""Proxy types on the client: one file each where they need one, one row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.client.proxies.general import GeneralProxy
from frpd.client.proxies.sudp import SudpProxy
from frpd.client.proxies.udp import UdpProxy
from frpd.client.proxies.xtcp import XtcpProxy
from frpd.config.proxies import ProxyConfig

PROXIES: Final[Mapping[str, Callable[[ProxyContext, ProxyConfig], ServesWork]]] = {
    "tcp": GeneralProxy,
    "udp": UdpProxy,
    "http": GeneralProxy,
    "https": GeneralProxy,
    "tcpmux": GeneralProxy,
    "stcp": GeneralProxy,
    "xtcp": XtcpProxy,
    "sudp": SudpProxy,
}
