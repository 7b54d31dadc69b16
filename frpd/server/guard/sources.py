"""Sources: whom an address counts for. Of IPv6 who has one has a whole network."""

from __future__ import annotations

import socket

from frpd.config.penalties import NetBlockSize

_V4_BITS = 32
_V6_BITS = 128


def source_of(host: str, size: NetBlockSize) -> str:
    """Return what stands for an address: itself, or its network such as ``2001:db8::/64``.

    Args:
        host: as host_of() gives it; what is no address stands for itself.
        size: how wide a source is.
    """
    is_v6 = ":" in host
    bits = size.v6 if is_v6 else size.v4
    if not is_v6 and bits == _V4_BITS:
        return host
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    try:
        packed = socket.inet_pton(family, host.partition("%")[0])
    except (OSError, ValueError):
        return host
    whole = _V6_BITS if is_v6 else _V4_BITS
    kept = int.from_bytes(packed, "big") >> (whole - bits) << (whole - bits)
    network = socket.inet_ntop(family, kept.to_bytes(whole // 8, "big"))
    return network if bits == whole else f"{network}/{bits}"
