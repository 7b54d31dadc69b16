"""Groups of tcpmux proxies: who may join, whose turn it is, who takes over."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.proto.message.types import CloseProxy, StartWorkConn
from frpd.proto.native import FEATURES, offer
from frpd.server.vhost.connect_host import CONNECTED
from tests.helpers.peers import Wire
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House
from tests.unit.server.vhost.test_connect_host import MUX, connect
from tests.unit.server.vhost.web import reserved_port

__all__ = ["world"]

GROUP: dict[str, Any] = {**MUX, "group": "g", "group_key": "k", "http_user": "u", "http_pwd": "p"}


class Site:
    """A server with a tcpmux group of members a and b, of one client."""

    def __init__(self, world: World, **keys: Any) -> None:
        self.world = world
        self.port = reserved_port(world)
        self.house = House(world, tcpmux_httpconnect_port=self.port, **keys)
        self.client = self.house.client(frpd=offer(FEATURES))
        for name in ("a", "b"):
            assert self.add(name) == ""

    def add(self, name: str, **fields: object) -> str:
        return self.client.new_proxy(name, 0, "tcpmux", **(GROUP | fields)).error

    def visit(self) -> Wire:
        visitor = self.house.visit(self.port)
        visitor.write(connect(user="u:p"))
        return visitor


def test_members_take_turns(world: World) -> None:
    site = Site(world)
    names = []
    for _ in range(3):
        site.visit()
        names.append(site.client.work().receive(StartWorkConn).proxy_name)
    assert names == ["a", "b", "a"]


@pytest.mark.parametrize("passthrough", [False, True])
def test_a_member_that_refuses_is_passed_over(world: World, passthrough: bool) -> None:
    site = Site(world, tcpmux_passthrough=passthrough)
    visitor = site.visit()
    first = site.client.work()
    assert first.receive(StartWorkConn).proxy_name == "a"
    first.stream.reset()
    second = site.client.work()
    assert second.receive(StartWorkConn).proxy_name == "b"
    second.write(b"hello")
    expected = b"hello" if passthrough else CONNECTED + b"hello"
    world.until(lambda: bytes(visitor.received) == expected)
    if passthrough:
        world.until(lambda: bytes(second.payload) == connect(user="u:p"))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"http_pwd": "other"}, "group params invalid"),
        ({"custom_domains": ["b.example.com"]}, "group params invalid"),
        ({"route_by_http_user": "x"}, "group params invalid"),
        ({"group_key": "wrong"}, "group auth failed"),
    ],
)
def test_who_does_not_agree_may_not_join(
    world: World, fields: dict[str, object], error: str
) -> None:
    assert Site(world).add("c", **fields) == error


def test_the_last_member_frees_the_names(world: World) -> None:
    site = Site(world)
    for name in ("a", "b"):
        site.client.control.send(CloseProxy(name))
    assert site.client.new_proxy("other", 0, "tcpmux", **MUX).error == ""
