"""over_tcp: the carriers that begin with a TCP connection."""

from __future__ import annotations

import pytest

from frpd.net.connector import Connector
from frpd.net.resolver import Resolver
from frpd.transports.layers import Layer, LayeredTransport
from frpd.transports.over_tcp import over_tcp, over_websocket, over_wss
from frpd.transports.tcp import TcpTransport
from frpd.transports.way import Way
from tests.helpers.world import FixedEntropy, World


def no_tls(_may_announce: bool) -> Layer:
    pytest.fail("nobody asked for TLS")


def bare_way(world: World) -> Way:
    return Way(
        loop=world.loop,
        connector=Connector(world.loop, Resolver(world.pool)),
        entropy=FixedEntropy(),
        host="frps.example",
        port=7000,
        timeout_seconds=5,
        keepalive_seconds=0,
        make_tls=no_tls,
    )


def test_plain_tcp_costs_no_layers(world: World) -> None:
    assert isinstance(over_tcp(bare_way(world)), TcpTransport)


def test_websocket_is_one_layer(world: World) -> None:
    transport = over_websocket(bare_way(world))
    assert isinstance(transport, LayeredTransport)
    assert len(transport._layers) == 1


def test_wss_needs_tls_whatever_tls_enable_says(world: World) -> None:
    with pytest.raises(pytest.fail.Exception, match="nobody asked"):
        over_wss(bare_way(world))
