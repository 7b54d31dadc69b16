"""The IPv4 addresses of this machine that others may reach it by, as the kernel tells them.

Reference: rtnetlink(7), RTM_GETADDR.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from struct import Struct
from typing import Final

_RTM_NEWADDR: Final = 20
_RTM_GETADDR: Final = 22
_NLM_F_REQUEST: Final = 0x1
_NLM_F_DUMP: Final = 0x300
_NLMSG_DONE: Final = 3
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2

_HEAD: Final = Struct("=IHHII")  # length, type, flags, sequence, port
_ADDRESS: Final = Struct("=BBBBI")  # family, prefix, flags, scope, interface
_ATTRIBUTE: Final = Struct("=HH")
_REPLY_BYTES: Final = 64 * 1024
_MAX_REPLIES: Final = 64


def local_ipv4(limit: int) -> list[str]:
    """Return up to ``limit`` addresses, by interface; none where the kernel does not tell."""
    try:
        found = _dump()
    except OSError:  # such as a sandbox without this address family
        return []
    return [str(ip) for ip in found if not (ip.is_loopback or ip.is_link_local)][:limit]


def _dump() -> list[ipaddress.IPv4Address]:
    found: list[ipaddress.IPv4Address] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        size = _HEAD.size + _ADDRESS.size
        head = _HEAD.pack(size, _RTM_GETADDR, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0)
        sock.send(head + _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0))
        for _ in range(_MAX_REPLIES):  # the kernel answers at once, and has an end
            for kind, body in _cut(sock.recv(_REPLY_BYTES), _HEAD):
                if kind == _NLMSG_DONE:
                    return found
                if kind == _RTM_NEWADDR:
                    found += _addresses(body)
    return found


def _cut(data: bytes, head: Struct) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each netlink message, or attribute, in a row of them."""
    while len(data) >= head.size:
        size, kind = head.unpack_from(data)[:2]
        if size < head.size:
            return
        yield kind, data[head.size : size]
        data = data[size + 3 & ~3 :]


def _addresses(body: bytes) -> Iterator[ipaddress.IPv4Address]:
    """Yield the one that a message tells: our own, where the link has two ends."""
    told = dict(_cut(body[_ADDRESS.size :], _ATTRIBUTE))
    address = told.get(_IFA_LOCAL, told.get(_IFA_ADDRESS, b""))
    if len(address) == 4:
        yield ipaddress.IPv4Address(address)
