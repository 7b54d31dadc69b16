"""https proxies: TLS is routed by the name in it, and passes through untouched."""

from __future__ import annotations

from frpd.proto.message.types import CloseProxy, StartWorkConn
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House
from tests.unit.server.vhost.hellos import client_hello
from tests.unit.server.vhost.web import reserved_port

__all__ = ["world"]

NAME = "a.example.com"


def test_there_is_none_without_a_port(world: World) -> None:
    answer = House(world).client().new_proxy("p", 0, "https", custom_domains=[NAME])
    assert answer.error == "type [https] not support when vhost_https_port is not set"


def test_a_name_belongs_to_who_came_first(world: World) -> None:
    house = House(world, vhost_https_port=reserved_port(world))
    first, second = house.client(), house.client()
    assert first.new_proxy("p", 0, "https", custom_domains=[NAME]).error == ""
    domains = ["b.example.com", NAME]
    refused = second.new_proxy("q", 0, "https", custom_domains=domains)
    assert refused.error == "router config conflict"
    first.control.send(CloseProxy(proxy_name="p"))
    world.settle()
    assert second.new_proxy("q", 0, "https", custom_domains=domains).error == ""


def test_work_connections_name_the_visitor_and_where_it_came(world: World) -> None:
    port = reserved_port(world)
    house = House(world, vhost_https_port=port)
    client = house.client()
    answer = client.new_proxy("p", 0, "https", custom_domains=[NAME])
    assert answer.remote_addr == f"{NAME}:{port}"
    visitor = house.visit(port)
    visitor.write(client_hello(NAME))
    start = client.work().receive(StartWorkConn)
    assert (start.src_addr, start.src_port) == visitor.address
    assert (start.dst_addr, start.dst_port) == ("127.0.0.1", port)
