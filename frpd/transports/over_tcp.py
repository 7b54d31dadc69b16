"""Carriers over a TCP connection: bare, in WebSocket, in WebSocket in TLS."""

from __future__ import annotations

from collections.abc import Sequence

from frpd.transports.base import Transport
from frpd.transports.layers import Layer, LayeredTransport
from frpd.transports.tcp import TcpTransport
from frpd.transports.way import Way


def over_tcp(way: Way) -> Transport:
    """``protocol = tcp``; TLS inside if it is enabled."""
    return _in_layers(way, way.tls_layers())


def over_websocket(way: Way) -> Transport:
    """``protocol = websocket``: TLS is inside, where no HTTP proxy on the way can see it."""
    return _in_layers(way, [_websocket(way, way.port), *way.tls_layers()])


def over_wss(way: Way) -> Transport:
    """``protocol = wss``: TLS is outside, so that any web server can end it."""
    return _in_layers(way, [way.make_tls(False), _websocket(way, None)])


def _websocket(way: Way, port: int | None) -> Layer:
    # Few need it, and its import costs every start.
    from frpd.transports.websocket import WebSocketClientLayer  # noqa: PLC0415

    return WebSocketClientLayer(way.host, port, way.entropy)


def _in_layers(way: Way, layers: Sequence[Layer]) -> Transport:
    host, port = way.proxy or (way.host, way.port)
    bare = TcpTransport(
        way.connector,
        host,
        port,
        timeout_seconds=way.timeout_seconds,
        keepalive_seconds=way.keepalive_seconds,
        local_ip=way.local_ip,
    )
    layers = [*way.proxy_layers, *layers]
    if not layers:
        return bare
    return LayeredTransport(way.loop, bare, layers, timeout_seconds=way.timeout_seconds)
