"""The tcp proxy itself: its port."""

from __future__ import annotations

import socket

import pytest

from frpd.proto.message.types import StartWorkConn
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]


def test_it_listens_on_proxy_bind_addr_only(world: World) -> None:
    house = House(world, proxy_bind_addr="127.0.0.2")
    port = house.proxy(house.client())
    with pytest.raises(ConnectionRefusedError):
        house.visit(port)
    socket.create_connection(("127.0.0.2", port), timeout=5).close()


def test_it_tells_the_client_its_port_without_a_host(world: World) -> None:
    house = House(world)
    port = free_port()
    assert house.client().new_proxy("p", port).remote_addr == f":{port}"


def test_close_frees_the_port_for_anyone(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client, "a")
    proxy = house.service.proxies["a"]
    proxy.close()
    proxy.close()
    socket.create_server(("127.0.0.1", port)).close()
    house.proxy(client, "b")


def test_visitors_on_ipv6_are_named_as_such(world: World) -> None:
    house = House(world, proxy_bind_addr="::1")
    client = house.client()
    port = house.proxy(client)
    visitor = socket.create_connection(("::1", port), timeout=5)
    start = client.work().receive(StartWorkConn)
    assert (start.src_addr, start.dst_addr) == ("::1", "::1")
    assert (start.src_port, start.dst_port) == (visitor.getsockname()[1], port)
    visitor.close()
