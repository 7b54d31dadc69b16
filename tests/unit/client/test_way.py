"""The way to the server: which connections and layers a configuration stands for."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.client.way import way_to_server
from frpd.config.client import ClientConfig
from frpd.config.secret import Secret
from frpd.config.upstream import UpstreamProxy
from frpd.errors import ConfigError
from frpd.net.connector import Connector
from frpd.net.resolver import Resolver
from frpd.transports import TRANSPORTS
from frpd.transports.base import LinkMaker, Transport
from frpd.transports.layers import LayeredTransport
from frpd.transports.tcp import TcpTransport
from tests.helpers.world import FixedEntropy, World


def way(world: World, **common: Any) -> Transport:
    connector = Connector(world.loop, Resolver(world.pool))
    config = ClientConfig(server_addr="frps.example", server_port=7001, **common)
    made = way_to_server(world.loop, connector, config, FixedEntropy())
    assert not isinstance(made, LinkMaker)
    return made


def layers_of(transport: Transport) -> list[str]:
    if isinstance(transport, TcpTransport):
        return []
    assert isinstance(transport, LayeredTransport)
    return [type(layer).__name__ for layer in transport._layers]


def dialled(transport: Transport) -> tuple[str, int]:
    bare = transport._transport if isinstance(transport, LayeredTransport) else transport
    assert isinstance(bare, TcpTransport)
    return bare._host, bare._port


UPSTREAM, WEBSOCKET, TLS = "UpstreamLayer", "WebSocketClientLayer", "TlsClientLayer"


@pytest.mark.parametrize(
    ("settings", "layers"),
    [
        ({}, []),
        ({"tls_enable": True}, [TLS]),
        ({"protocol": "websocket"}, [WEBSOCKET]),
        ({"protocol": "websocket", "tls_enable": True}, [WEBSOCKET, TLS]),
        ({"protocol": "wss"}, [TLS, WEBSOCKET]),
        ({"protocol": "wss", "tls_enable": True}, [TLS, WEBSOCKET]),
    ],
)
@pytest.mark.parametrize("scheme", ["", "http", "socks5", "https"])
def test_layers_lie_in_the_order_of_the_wire(
    world: World, settings: dict[str, Any], layers: list[str], scheme: str
) -> None:
    proxy = UpstreamProxy(scheme, "proxy.example", 3128, "u", Secret("p")) if scheme else None
    transport = way(world, upstream=proxy, **settings)
    ahead = {"": [], "https": [TLS, UPSTREAM]}.get(scheme, [UPSTREAM])
    assert layers_of(transport) == ahead + layers
    assert dialled(transport) == (("proxy.example", 3128) if scheme else ("frps.example", 7001))


@pytest.mark.parametrize(
    ("settings", "head_byte"),
    [
        ({"tls_enable": True}, True),
        ({"tls_enable": True, "disable_custom_tls_first_byte": True}, False),
        ({"protocol": "wss"}, False),
    ],
)
def test_the_head_byte_announces_tls_unless_it_is_switched_off(
    world: World, settings: dict[str, Any], head_byte: bool
) -> None:
    transport = way(world, **settings)
    assert isinstance(transport, LayeredTransport)
    assert transport._layers[0]._head_byte == head_byte  # type: ignore[attr-defined] # TLS


def test_a_certificate_that_cannot_be_used_is_said_at_once(world: World) -> None:
    with pytest.raises(ConfigError, match="tls_trusted_ca_file"):
        way(world, tls_enable=True, tls_trusted_ca_file="/nowhere/ca.crt")


def test_every_protocol_has_its_row() -> None:
    assert list(TRANSPORTS) == ["tcp", "websocket", "wss", "kcp", "quic"]
