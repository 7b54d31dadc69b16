"""Balancers in front of frps: whose word is taken, for what, and who else is let alone."""

from __future__ import annotations

import pytest

from frpd.net.address import format_address
from frpd.net.listener import Listener, bind_tcp
from frpd.net.stream import SocketStream
from frpd.proto.message.types import StartWorkConn
from frpd.proto.proxy_protocol import encode
from frpd.server.balancers import Balancers
from frpd.server.door import DoorLimits
from tests.helpers.peers import ScriptedClient, Wire
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House
from tests.unit.server.test_reception import waiting

__all__ = ["world"]

LOCAL = ("127.0.0.0/8",)
LIMITS = DoorLimits(timeout_seconds=10, max_pending=3, max_pending_per_source=1)
ANN = ("203.0.113.9", 40_000)
HERE = ("198.51.100.1", 443)
LINE = encode("v1", ANN, HERE)


class Port:
    """A port behind balancers, and who came to it."""

    def __init__(self, world: World, *networks: str) -> None:
        self.world = world
        self.crowd: set[str] = set()
        self.balancers = Balancers(world.loop, networks, LIMITS, self.crowd.__contains__)
        self.came: list[SocketStream] = []
        self.listener = Listener(
            world.loop,
            bind_tcp("127.0.0.1", 0),
            lambda stream: self.balancers.welcome(stream, self.came.append),
        )
        world.owners.callback(self.close)

    def close(self) -> None:
        self.listener.close()
        self.balancers.close()
        for stream in self.came:
            stream.close()

    def connect(self, data: bytes = b"") -> Wire:
        wire = Wire.to(self.world, self.listener.address[1])
        self.world.settle()
        wire.write(data)
        self.world.settle()
        return wire


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("piece", [1, 1000], ids=["byte by byte", "at once"])
def test_the_header_says_who_comes_and_the_rest_is_still_to_be_read(
    world: World, version: str, piece: int
) -> None:
    port = Port(world, *LOCAL)
    wire = port.connect()
    data = encode(version, ANN, HERE) + b"payload"
    for at in range(0, len(data), piece):
        assert at < len(data) - len(b"payload") or port.came
        wire.write(data[at : at + piece])
        world.settle()
    [stream] = port.came
    assert format_address(stream.peer) == "203.0.113.9:40000"
    assert stream.describe() == "203.0.113.9:40000"
    assert waiting(stream, world) == b"payload"


@pytest.mark.parametrize("networks", [(), ("192.0.2.0/24", "2001:db8::/32")])
def test_others_are_not_listened_to(world: World, networks: tuple[str, ...]) -> None:
    port = Port(world, *networks)
    wire = port.connect()
    [stream] = port.came
    assert stream.peer == wire.address
    wire.write(LINE)
    assert waiting(stream, world) == LINE


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"])
def test_a_balancer_that_speaks_for_itself_is_who_it_is(world: World, header: bytes) -> None:
    port = Port(world, *LOCAL)
    wire = port.connect(header)
    [stream] = port.came
    assert stream.peer == wire.address


def test_a_balancer_without_a_header_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    port = Port(world, *LOCAL)
    wire = port.connect(b"GET / HTTP/1.1\r\n")
    world.until(lambda: wire.end)
    assert not port.came
    assert "no PROXY protocol header" in caplog.text


def test_a_balancer_that_says_nothing_is_refused_in_time(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    port = Port(world, *LOCAL)
    wire = port.connect(LINE[:-1])
    world.advance(11.0)
    world.until(lambda: wire.end)
    assert not port.came
    assert "no PROXY protocol header within 10 s" in caplog.text


def test_all_that_wait_may_be_of_one_balancer_up_to_the_cap(world: World) -> None:
    port = Port(world, *LOCAL)
    wires = [port.connect() for _ in range(4)]
    world.until(lambda: wires[0].end)
    assert [wire.end for wire in wires[1:]] == [""] * 3


def test_a_balancer_that_only_tries_the_port_is_no_news(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    port = Port(world, *LOCAL)
    port.connect().close()
    port.connect().reset()
    world.settle()
    assert not port.came
    assert not caplog.records


def test_it_can_change_its_mind(world: World) -> None:
    port = Port(world)
    port.balancers.use(LOCAL, LIMITS)
    port.connect()
    assert not port.came
    port.balancers.use((), LIMITS)
    port.connect()
    assert len(port.came) == 1


def test_a_service_is_told_the_address_that_the_balancer_said(world: World) -> None:
    house = House(world, accept_proxy_protocol=("127.0.0.0/8",))
    client = behind_balancer(world, house)
    port = free_port()
    assert client.new_proxy("web", port).error == ""
    visitor = house.visit(port)
    visitor.write(LINE + b"question")
    work = client.work()
    start = work.receive(StartWorkConn)
    assert (start.src_addr, start.src_port) == ANN
    world.until(lambda: bytes(work.payload) == b"question")


def test_a_client_comes_from_where_the_balancer_says(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    house = House(world, accept_proxy_protocol=("127.0.0.0/8",))
    behind_balancer(world, house)
    assert "ip [203.0.113.9:40000]" in caplog.text


def test_a_visitor_whose_proxy_has_gone_meanwhile_goes_too(world: World) -> None:
    house = House(world, accept_proxy_protocol=("127.0.0.0/8",))
    client = behind_balancer(world, house)
    port = free_port()
    assert client.new_proxy("web", port).error == ""
    visitor = house.visit(port)
    world.settle()
    house.service.proxies["web"].close()
    visitor.write(LINE)
    world.until(lambda: visitor.end)


def proxied(world: World, port: int) -> Wire:
    """Connect as a balancer does."""
    wire = Wire.to(world, port)
    wire.write(LINE)
    return wire


def behind_balancer(world: World, house: House) -> ScriptedClient:
    """Return a client that has logged in through a balancer."""
    client = ScriptedClient(world, house.port, mux=False, dial=proxied)
    assert client.login().error == ""
    return client
