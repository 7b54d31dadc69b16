"""Socket addresses as people write them: ``host:port``, IPv6 in brackets."""

from __future__ import annotations

import socket
from typing import TypeAlias

SockAddr: TypeAlias = tuple[str, int] | tuple[str, int, int, int]


def join_host_port(host: str, port: int) -> str:
    """Return ``host:port``, or ``[host]:port`` when host is an IPv6 literal."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def format_address(address: SockAddr) -> str:
    """Return a socket address as ``host:port``; a mapped IPv4 one as plain IPv4."""
    return join_host_port(host_of(address), address[1])


def host_of(address: SockAddr) -> str:
    """Return the host part, with ``::ffff:1.2.3.4`` written as ``1.2.3.4``."""
    host = address[0]
    if host.startswith("::ffff:") and "." in host:
        return host[7:]
    return host


def literal_family(host: str) -> socket.AddressFamily | None:
    """Return the family of an IP literal, or None when ``host`` is a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            # Only IPv6 has zones.
            socket.inet_pton(family, host.partition("%")[0] if family == socket.AF_INET6 else host)
        except (OSError, ValueError):  # ValueError: NUL, or bytes that were not UTF-8
            continue
        return family
    return None


def is_localhost(host: str) -> bool:
    """Whether a name is this machine whatever a hosts file says (RFC 6761, 6.3)."""
    return host.rstrip(".").lower() == "localhost"
