"""Groups of tcp proxies, seen from their visitors and their clients."""

from __future__ import annotations

import socket

from frpd.proto.message.types import CloseProxy, ReqWorkConn, StartWorkConn
from tests.helpers.peers import ScriptedClient, Talker
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]

GROUP = {"group": "g", "group_key": "k"}


def visited(house: House, client: ScriptedClient, port: int) -> str:
    """Return the member of one client that a new visitor comes to."""
    house.visit(port)
    return client.work().receive(StartWorkConn).proxy_name


def test_members_take_turns_from_the_first_on(world: World) -> None:
    house, port = House(world), free_port()
    client = house.client()
    for name in ("a", "b", "c"):
        assert client.new_proxy(name, port, **GROUP).remote_addr == f":{port}"
    assert [visited(house, client, port) for _ in range(5)] == ["a", "b", "c", "a", "b"]


def test_members_belong_to_different_clients(world: World) -> None:
    house, port = House(world), free_port()
    one, other = house.client(), house.client(mux=False)
    for name, client in (("a", one), ("b", other)):
        assert client.new_proxy(name, port, **GROUP).error == ""
    house.visit(port)
    house.visit(port)
    assert one.work().receive(StartWorkConn).proxy_name == "a"
    start = other.work().receive(StartWorkConn)
    assert (start.proxy_name, start.dst_addr, start.dst_port) == ("b", "127.0.0.1", port)


def test_a_client_that_dies_is_out_at_once_and_its_waiting_visitors_go_elsewhere(
    world: World,
) -> None:
    house, port = House(world), free_port()
    one, other = house.client(), house.client()
    one.new_proxy("a", port, **GROUP)
    other.new_proxy("b", port, **GROUP)
    house.visit(port)
    one.control.receive(ReqWorkConn)
    one.close()
    assert other.work().receive(StartWorkConn).proxy_name == "b"
    assert [visited(house, other, port) for _ in range(3)] == ["b"] * 3


def test_the_port_is_free_when_the_last_member_has_left(world: World) -> None:
    house, port = House(world), free_port()
    client = house.client()
    for name in ("a", "b"):
        client.new_proxy(name, port, **GROUP)
    client.control.send(CloseProxy(proxy_name="a"))
    world.settle()
    assert house.client().new_proxy("c", port).error == "port already used"
    assert visited(house, client, port) == "b"
    client.control.send(CloseProxy(proxy_name="b"))
    world.settle()
    socket.create_server(("127.0.0.1", port)).close()


def test_port_0_is_one_port_for_all_who_say_0(world: World) -> None:
    house = House(world)
    first = house.client().new_proxy("a", 0, **GROUP)
    assert first.remote_addr.startswith(":")
    assert house.client().new_proxy("b", 0, **GROUP).remote_addr == first.remote_addr
    port = int(first.remote_addr[1:])
    refused = house.client().new_proxy("c", port, **GROUP)
    assert refused.error == "group should have same remote port"


def test_a_port_that_is_taken_makes_no_group(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client, "alone")
    assert client.new_proxy("a", port, **GROUP).error == "port already used"
    assert len(house.service.proxy_desk.groups) == 0


def test_each_member_counts_for_its_client_s_limit(world: World) -> None:
    house, port = House(world, max_ports_per_client=2), free_port()
    client = house.client()
    answers = [client.new_proxy(name, port, **GROUP).error for name in ("a", "b", "c")]
    assert answers == ["", "", "exceed the max_ports_per_client"]


def test_nothing_is_left_of_a_group(world: World) -> None:
    house, port = House(world), free_port()
    client = house.client()
    for name in ("a", "b"):
        client.new_proxy(name, port, **GROUP)
    visitor = house.visit(port)
    work = client.work()
    work.receive(StartWorkConn)
    work.write(b"hello")
    world.until(lambda: visitor.received == b"hello")
    assert isinstance(work, Talker)
    visitor.close()
    client.close()
    house.until_empty()
