"""Visitors of the https port until their name is known."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.proto.message.types import StartWorkConn
from frpd.proto.tls_hello import alert
from tests.helpers.peers import Wire
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House
from tests.unit.server.vhost.hellos import client_hello
from tests.unit.server.vhost.web import reserved_port

__all__ = ["world"]

NAME = "a.example.com"


class Secure:
    """A server with one https proxy."""

    def __init__(self, world: World, *, mux: bool = True, **keys: Any) -> None:
        self.world = world
        self.port = reserved_port(world)
        self.house = House(world, **({"vhost_https_port": self.port} | keys))
        self.client = self.house.client(mux=mux)
        answer = self.client.new_proxy("p", 0, "https", custom_domains=[NAME, "*.wild.example.com"])
        assert answer.error == ""

    def visit(self, data: bytes) -> Wire:
        wire = self.house.visit(self.port)
        wire.write(data)
        return wire

    def leaves_nothing(self) -> None:
        for peer in list(self.world.peers):
            if isinstance(peer, Wire):
                peer.close()
        self.house.until_empty()


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "nomux"])
@pytest.mark.parametrize("name", [NAME, "A.EXAMPLE.com", "x.wild.example.com"])
def test_all_bytes_reach_the_service_and_come_back(world: World, name: str, mux: bool) -> None:
    secure = Secure(world, mux=mux)
    hello = client_hello(name)
    visitor = secure.visit(hello + b"more")
    work = secure.client.work()
    work.receive(StartWorkConn)
    world.until(lambda: len(work.payload) >= len(hello) + 4)
    assert bytes(work.payload) == hello + b"more"
    work.write(b"server hello")
    world.until(lambda: bytes(visitor.received) == b"server hello")
    secure.leaves_nothing()


def test_a_hello_may_come_byte_by_byte(world: World) -> None:
    secure = Secure(world)
    hello = client_hello(NAME)
    visitor = secure.visit(b"")
    for byte in hello:
        visitor.write(bytes([byte]))
        world.turn(2)
    work = secure.client.work()
    work.receive(StartWorkConn)
    world.until(lambda: bytes(work.payload) == hello)
    secure.leaves_nothing()


@pytest.mark.parametrize("name", ["nobody.example.com", ""])
def test_a_name_that_nobody_serves_gets_an_alert(world: World, name: str) -> None:
    secure = Secure(world)
    visitor = secure.visit(client_hello(name))
    world.until(lambda: visitor.end)
    assert (bytes(visitor.received), visitor.end) == (alert(112), "eof")
    secure.leaves_nothing()


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x00", b"\0" * 9])
def test_what_is_no_hello_is_dropped(world: World, data: bytes) -> None:
    secure = Secure(world)
    visitor = secure.visit(data)
    world.until(lambda: visitor.end)
    assert visitor.heard_bytes == 0
    secure.leaves_nothing()


def test_a_hello_that_does_not_come_is_not_waited_for(world: World) -> None:
    secure = Secure(world, vhost_https_hello_timeout=30.0)
    visitor = secure.visit(client_hello(NAME)[:50])
    world.settle()
    world.advance(29.0)
    assert not visitor.end
    world.advance(1.1)
    world.until(lambda: visitor.end)
    secure.leaves_nothing()


def test_silent_connections_push_out_the_oldest_of_their_source(world: World) -> None:
    secure = Secure(world, max_pending_per_source=3)
    silent = [secure.visit(b"\x16") for _ in range(4)]
    world.until(lambda: silent[0].end)
    world.settle()
    assert not any(visitor.end for visitor in silent[1:])
    secure.leaves_nothing()


def test_a_visitor_who_leaves_before_its_name_costs_nothing(world: World) -> None:
    secure = Secure(world)
    visitor = secure.visit(client_hello(NAME)[:50])
    world.settle()
    visitor.close()
    secure.leaves_nothing()


def test_shutting_down_drops_who_has_no_name_yet(world: World) -> None:
    secure = Secure(world)
    visitor = secure.visit(b"\x16")
    world.settle()
    secure.house.service.shut_down(lambda: None)
    world.until(lambda: visitor.end)
