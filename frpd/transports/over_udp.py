"""Carriers over UDP. No proxy on the way passes them on, so none is asked."""

from __future__ import annotations

import importlib.util
from typing import Final

from frpd.errors import ConfigError
from frpd.transports.base import LinkMaker, Transport
from frpd.transports.layers import LayeredTransport
from frpd.transports.way import Way

NO_QUIC: Final = "QUIC needs the library aioquic, which is not installed: pip install 'frpd[quic]'"


def has_quic() -> bool:
    """Return whether QUIC can be had: only with aioquic."""
    return importlib.util.find_spec("aioquic") is not None


def require_quic(key: str) -> None:
    """Make sure that QUIC can be had, which this key of [common] asks for.

    Raises:
        ConfigError: it cannot.
    """
    if not has_quic():
        raise ConfigError(NO_QUIC, key=key)


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


def over_quic(way: Way) -> LinkMaker:
    """``protocol = quic``; TLS is part of it.

    Raises:
        ConfigError: the library is not installed.
    """
    require_quic("protocol")
    # Few need it, and its import is as long as a start.
    from frpd.transports.quic import QuicTransport  # noqa: PLC0415

    return QuicTransport(way)
