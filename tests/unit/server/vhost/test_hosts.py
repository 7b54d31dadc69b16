"""Which ports serve what, one kind or all on one."""

from __future__ import annotations

import pytest

from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from frpd.proto.message.types import StartWorkConn
from frpd.server.service import Service
from tests.helpers.peers import Wire
from tests.helpers.world import FixedEntropy, World
from tests.unit.server.conftest import world
from tests.unit.server.house import House
from tests.unit.server.vhost.hellos import client_hello
from tests.unit.server.vhost.web import GET, OK, Web, reserved_port

__all__ = ["world"]

NAME = "a.example.com"


def test_without_ports_no_proxies_are_taken(world: World) -> None:
    client = House(world).client()
    for kind in ("http", "https"):
        error = client.new_proxy("web", 0, kind, custom_domains=[NAME]).error
        assert error == f"type [{kind}] not support when vhost_{kind}_port is not set"


def test_a_page_that_cannot_be_read_is_found_at_the_start(world: World) -> None:
    config = ServerConfig(bind_port=0, vhost_http_port=1, custom_404_page="/nonexistent/page")
    with pytest.raises(ConfigError, match="custom_404_page"):
        Service(world.loop, world.pool, config, FixedEntropy())


class Shared:
    """Clients, http and https on one port."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = reserved_port(world)
        port = self.port
        self.house = House(world, bind_port=port, vhost_http_port=port, vhost_https_port=port)

    def say(self, data: bytes, step: int) -> Wire:
        """Connect and send in pieces of ``step`` bytes, each in its own turn."""
        wire = Wire.to(self.world, self.port)
        for start in range(0, len(data), step):
            wire.write(data[start : start + step])
            self.world.turn(3)
        return wire

    def leaves_nothing(self) -> None:
        for peer in list(self.world.peers):
            if isinstance(peer, Wire):
                peer.close()
        self.house.until_empty()


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("mux", [True, False], ids=["mux", "nomux"])
def test_all_may_come_to_one_port(world: World, mux: bool, step: int) -> None:
    shared = Shared(world)
    assert len(shared.house.service._entrances.addresses) == 1
    client = shared.house.client(mux=mux)
    domains = {"custom_domains": [NAME]}
    assert client.new_proxy("h", 0, "http", **domains).error == ""
    assert client.new_proxy("s", 0, "https", **domains).error == ""
    plain = shared.say(GET, step)
    work = client.work()
    assert work.receive(StartWorkConn).proxy_name == "h"
    work.write(OK)
    world.until(lambda: bytes(plain.received) == OK)
    hello = client_hello(NAME)
    shared.say(hello, step)
    work = client.work()
    assert work.receive(StartWorkConn).proxy_name == "s"
    world.until(lambda: bytes(work.payload) == hello)
    shared.leaves_nothing()


@pytest.mark.parametrize("data", [b"", b"G", b"\x16"])
def test_who_is_silent_there_is_closed_at_the_deadline(world: World, data: bytes) -> None:
    shared = Shared(world)
    visitor = shared.say(data, 1)
    world.settle()
    world.advance(31.0)
    world.until(lambda: visitor.end)
    assert visitor.heard_bytes == 0
    shared.leaves_nothing()


def test_a_port_of_its_own_serves_nobody_else(world: World) -> None:
    web = Web(world)
    visitor = web.visit(b"\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00")
    web.gets_page(visitor, 400, closed=True)
    web.leaves_nothing()
