"""KcpTransport: a dial is a socket; whether anybody is there shows later."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from frpd.errors import TransportError
from frpd.net.resolver import Addresses, Resolver
from frpd.proto.kcp.connection import conversation_of
from frpd.transports.kcp import KcpDialing, KcpTransport
from tests.helpers.ports import free_port
from tests.helpers.world import FixedEntropy, World
from tests.unit.transports.links import Reader

if TYPE_CHECKING:
    from frpd.net.endpoint import Endpoint


class Dialer:
    """A transport, and what came of its dials."""

    def __init__(self, world: World, host: str, port: int, **settings: str) -> None:
        self.made: list[Endpoint] = []
        self.failed: list[str] = []
        self.world = world
        resolver = Resolver(world.pool)
        self.transport = KcpTransport(
            world.loop, resolver, FixedEntropy(), host, port, timeout_seconds=5, **settings
        )
        world.owners.callback(self.close)

    def dial(self) -> KcpDialing:
        return self.transport.dial(self.made.append, lambda error: self.failed.append(str(error)))

    def close(self) -> None:
        for endpoint in self.made:
            endpoint.abort()


def server(world: World) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    world.stack.callback(sock.close)
    return sock


def test_each_dial_has_a_socket_and_a_number_of_its_own(world: World) -> None:
    sock = server(world)
    dialer = Dialer(world, "127.0.0.1", sock.getsockname()[1])
    for _ in range(2):
        dialer.dial()
        assert not dialer.made[1:]  # never from within
    world.until(lambda: len(dialer.made) == 2)
    for endpoint in dialer.made:
        endpoint.write(b"hello")
    world.settle()
    came = [sock.recvfrom(2000) for _ in range(2)]
    assert len({sender for _, sender in came}) == 2
    assert {conversation_of(datagram) for datagram, _ in came} == {1, 2}
    bearer = dialer.transport.bearer
    assert bearer is not None
    assert bearer.carrier == "kcp"
    assert dialer.transport.local_address == bearer.local_address()


def test_it_comes_from_the_address_that_it_is_told(world: World) -> None:
    sock = server(world)
    dialer = Dialer(world, "127.0.0.1", sock.getsockname()[1], local_ip="127.0.0.9")
    dialer.dial()
    world.until(lambda: dialer.made)
    dialer.made[0].write(b"x")
    world.settle()
    assert sock.recvfrom(2000)[1][0] == "127.0.0.9"


@pytest.mark.parametrize(
    ("local_ip", "why"),
    [("::1", "reaches no address of that family"), ("203.0.113.7", "cannot assign requested")],
)
def test_an_address_that_cannot_be_used_is_told(world: World, local_ip: str, why: str) -> None:
    dialer = Dialer(world, "127.0.0.1", free_port(), local_ip=local_ip)
    dialer.dial()
    world.until(lambda: dialer.failed)
    assert why in dialer.failed[0]
    assert dialer.made == []


def test_that_nobody_is_there_is_the_first_that_is_heard(world: World) -> None:
    port = free_port()
    dialer = Dialer(world, "127.0.0.1", port)
    dialer.dial()
    world.until(lambda: dialer.made)
    reader = Reader(dialer.made[0])
    dialer.made[0].write(b"anybody?")
    world.until(lambda: reader.end)
    assert reader.end == f"nobody takes datagrams at 127.0.0.1:{port}: connection refused"


class Lookups:
    """A resolver that answers when it is told to."""

    def __init__(self) -> None:
        self.answer: list[object] = []

    def resolve(self, host: str, port: int, on_done: object, on_failed: object) -> None:
        self.answer = [on_done, on_failed]


def test_a_name_that_is_not_found_in_time_and_one_that_is_not_there(world: World) -> None:
    dialer, lookups = Dialer(world, "frps.example", 7000), Lookups()
    dialer.transport._resolver = lookups  # type: ignore[assignment] # it looks up as much
    dialer.dial()
    world.advance(5.1)
    assert dialer.failed == ["dial udp frps.example:7000: i/o timeout"]
    on_done, on_failed = lookups.answer
    assert callable(on_done)
    addresses: Addresses = [(socket.AF_INET, ("127.0.0.1", 1))]
    on_done(addresses)
    world.settle()
    assert dialer.made == []
    dialer.dial()
    _, on_failed = lookups.answer
    assert callable(on_failed)
    on_failed(TransportError("no such host"))
    world.settle()
    assert dialer.failed[1:] == ["no such host"]


def test_who_gives_up_hears_nothing(world: World) -> None:
    timers = world.loop.timer_count
    dialer = Dialer(world, "127.0.0.1", free_port())
    dialing = dialer.dial()
    dialing.cancel()
    dialing.cancel()
    world.settle()
    assert (dialer.made, dialer.failed) == ([], [])
    assert world.loop.timer_count == timers
