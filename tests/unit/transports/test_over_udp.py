"""over_udp: carriers that no proxy passes on."""

from __future__ import annotations

from dataclasses import replace

from frpd.net.endpoint import Endpoint
from frpd.transports.base import Dialing, OnEndpoint, OnFailed
from frpd.transports.kcp import KcpTransport
from frpd.transports.layers import Layer, LayeredTransport
from frpd.transports.over_udp import over_kcp
from tests.helpers.world import World
from tests.unit.transports.test_over_tcp import bare_way


class NoLayer:
    """Is only counted."""

    def begin(self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed) -> Dialing:
        raise AssertionError


def test_kcp_costs_no_layers(world: World) -> None:
    assert isinstance(over_kcp(bare_way(world)), KcpTransport)


def test_tls_is_inside(world: World) -> None:
    def make_tls(may_announce: bool) -> Layer:
        assert may_announce
        return NoLayer()

    transport = over_kcp(replace(bare_way(world), tls_enable=True, make_tls=make_tls))
    assert isinstance(transport, LayeredTransport)
    assert len(transport._layers) == 1


def test_a_proxy_on_the_way_is_not_asked(world: World) -> None:
    way = replace(bare_way(world), proxy=("proxy.example", 3128), proxy_layers=(NoLayer(),))
    transport = over_kcp(way)
    assert isinstance(transport, KcpTransport)
    assert (transport._host, transport._port) == ("frps.example", 7000)
