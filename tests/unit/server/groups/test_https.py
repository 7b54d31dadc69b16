"""Groups of https proxies: the ClientHello may be said to several members."""

from __future__ import annotations

from typing import Any

from frpd.proto.message.types import CloseProxy, StartWorkConn
from frpd.proto.native import FEATURES, offer
from tests.helpers.peers import ScriptedClient, Talker, Wire
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House
from tests.unit.server.vhost.hellos import client_hello
from tests.unit.server.vhost.web import reserved_port

__all__ = ["world"]

NAME = "a.example.com"
HELLO = client_hello(NAME)
GROUP: dict[str, Any] = {"custom_domains": [NAME], "group": "g", "group_key": "k"}


class Site:
    """A server with an https group of members a and b, of one client."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = reserved_port(world)
        self.house = House(world, vhost_https_port=self.port)
        self.client = self.house.client(frpd=offer(FEATURES))
        for name in ("a", "b"):
            assert self.add(self.client, name) == ""

    def add(self, client: ScriptedClient, name: str, **fields: object) -> str:
        return client.new_proxy(name, 0, "https", **(GROUP | fields)).error

    def visit(self) -> Wire:
        visitor = self.house.visit(self.port)
        visitor.write(HELLO)
        return visitor

    def asked(self) -> tuple[str, Talker]:
        """Bring a work connection; return who has got a hello on it."""
        work = self.client.work()
        name = work.receive(StartWorkConn).proxy_name
        self.world.until(lambda: len(work.payload) >= len(HELLO))
        assert work.payload == HELLO
        work.payload.clear()
        return name, work


def test_members_take_turns(world: World) -> None:
    site = Site(world)
    names = []
    for _ in range(3):
        site.visit()
        names.append(site.asked()[0])
    assert names == ["a", "b", "a"]


def test_a_refused_hello_is_said_to_another_member(world: World) -> None:
    site = Site(world)
    visitor = site.visit()
    name, work = site.asked()
    assert name == "a"
    work.stream.reset()
    name, work = site.asked()
    assert name == "b"
    work.write(b"server hello")
    world.until(lambda: visitor.received == b"server hello")
    visitor.write(b"finished")
    world.until(lambda: work.payload == b"finished")
    assert site.house.service.proxies["b"].counters.connections_open == 1
    visitor.close()
    work.until_end()
    work.stream.close()
    world.until(lambda: not site.house.service.relays)
    counters = site.house.service.proxies["b"].counters
    assert (counters.bytes_in, counters.bytes_out) == (len(HELLO) + 8, 12)


def test_who_says_more_stays_with_its_member(world: World) -> None:
    site = Site(world)
    visitor = site.visit()
    _, work = site.asked()
    visitor.write(b"early")
    world.until(lambda: work.payload == b"early")
    (relay,) = site.house.service.relays
    assert relay.progress().bytes_in == len(HELLO) + 5
    work.stream.reset()
    world.until(lambda: visitor.end)
    assert site.house.service.proxies["b"].counters.connections_total == 0


def test_members_ask_for_the_same_names(world: World) -> None:
    site = Site(world)
    other = site.house.client()
    wrong = {"custom_domains": ["b.example.com"], "group_key": "x"}
    assert site.add(other, "c", **wrong) == "group params invalid"
    assert site.add(other, "c", group_key="x") == "group auth failed"
    assert site.add(other, "c", group="h") == "router config conflict"
    assert site.add(other, "c") == ""


def test_the_names_are_free_when_the_last_member_has_left(world: World) -> None:
    site = Site(world)
    for name in ("a", "b"):
        assert site.add(site.client, "c", group="") == "router config conflict"
        site.client.control.send(CloseProxy(proxy_name=name))
        world.settle()
    assert site.add(site.client, "c", group="") == ""


def test_nothing_is_left(world: World) -> None:
    site = Site(world)
    refused = site.visit()
    for _ in range(2):
        site.asked()[1].stream.reset()
    world.until(lambda: refused.end)
    silent = site.visit()
    site.asked()
    for peer in (refused, silent, site.client):
        peer.close()
    site.house.until_empty()
