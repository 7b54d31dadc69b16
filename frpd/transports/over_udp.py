"""Carriers over UDP. No proxy on the way passes them on, so none is asked."""

from __future__ import annotations

from frpd.transports.base import Transport
from frpd.transports.layers import LayeredTransport
from frpd.transports.way import Way


def over_kcp(way: Way) -> Transport:
    """``protocol = kcp``; TLS inside if it is enabled."""
    # Few need it, and its import costs every start.
    from frpd.transports.kcp import KcpTransport  # noqa: PLC0415

    bare = KcpTransport(
        way.loop,
        way.connector.resolver,
        way.entropy,
        way.host,
        way.port,
        timeout_seconds=way.timeout_seconds,
        local_ip=way.local_ip,
    )
    layers = way.tls_layers()
    if not layers:
        return bare
    return LayeredTransport(way.loop, bare, layers, timeout_seconds=way.timeout_seconds)
