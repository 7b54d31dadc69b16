"""A port that visitors come to, without a proxy."""

from __future__ import annotations

import pytest

from frpd.net.address import host_of
from frpd.net.stream import SocketStream
from frpd.proto.message.types import NewProxy
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.tcp_port import TcpPort
from tests.helpers.peers import Wire
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]


def context_of(house: House, host: str) -> ProxyContext:
    control = next(iter(house.service.controls.values()))
    context = house.service.proxy_desk.context(control, NewProxy(proxy_name="p"))
    assert context.bind_addr == host
    return context


def port_of(world: World, host: str, visitors: list[SocketStream]) -> TcpPort:
    house = House(world, proxy_bind_addr=host)
    client = house.client()
    assert client.new_proxy("own", 0).error == ""
    port = TcpPort(context_of(house, host), "p", free_port(), visitors.append)
    world.owners.callback(port.close)
    return port


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_visitors_have_come_to_the_address_they_named(world: World, host: str) -> None:
    visitors: list[SocketStream] = []
    port = port_of(world, host, visitors)
    Wire.to(world, port.number)
    world.until(lambda: visitors)
    world.owners.callback(visitors[0].abort)
    address = port.came_to(visitors[0])
    assert address is not None
    assert (host_of(address), address[1]) == ("127.0.0.1", port.number)


def test_a_visitor_that_is_gone_came_nowhere(world: World) -> None:
    visitors: list[SocketStream] = []
    port = port_of(world, "0.0.0.0", visitors)
    Wire.to(world, port.number)
    world.until(lambda: visitors)
    visitors[0].abort()
    assert port.came_to(visitors[0]) is None


def test_close_gives_the_number_back_once(world: World) -> None:
    port = port_of(world, "127.0.0.1", [])
    port.close()
    port.close()
    again = House(world).client().new_proxy("p", port.number)
    assert again.error == ""
