"""Which proxies are in a group at all."""

from __future__ import annotations

from frpd.proto.message.types import CloseProxy, StartWorkConn
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]


def test_kinds_without_groups_take_no_notice(world: World) -> None:
    house = House(world)
    client = house.client()
    assert client.new_proxy("u", free_port(), "udp", group="g").error == ""
    assert client.new_proxy("s", 0, "stcp", group="g").error == ""
    assert len(house.service.proxy_desk.groups) == 0


def test_no_type_is_tcp(world: World) -> None:
    house = House(world)
    client = house.client()
    answer = client.new_proxy("a", 0, "", group="g")
    assert client.new_proxy("b", 0, "tcp", group="g").remote_addr == answer.remote_addr
    house.visit(int(answer.remote_addr[1:]))
    assert client.work().receive(StartWorkConn).proxy_name == "a"


def test_the_last_one_who_leaves_ends_the_group(world: World) -> None:
    house = House(world)
    client, port = house.client(), free_port()
    for name in ("a", "b"):
        assert client.new_proxy(name, port, group="g", group_key=name * 0).error == ""
    for name in ("a", "b"):
        assert len(house.service.proxy_desk.groups) == 1
        client.control.send(CloseProxy(proxy_name=name))
        world.settle()
    assert len(house.service.proxy_desk.groups) == 0
    assert client.new_proxy("c", port, group="g", group_key="another").error == ""
