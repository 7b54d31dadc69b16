"""Discovery: two addresses of a STUN server, asked with one socket."""

from __future__ import annotations

import socket

import pytest

from frpd.client.nathole import discovery as discovery_module
from frpd.client.nathole.discovery import Discovery, Found, Means, split_server
from frpd.entropy import SystemEntropy
from frpd.errors import FrpError
from frpd.net.resolver import Resolver
from tests.helpers.stun_server import StunServer
from tests.helpers.world import World


class Seeker:
    """One discovery and what came of it."""

    def __init__(self, world: World, server: str) -> None:
        self.world = world
        self.found: list[Found] = []
        self.failed: list[str] = []
        self.census = world.census()
        means = Means(world.loop, Resolver(world.pool), SystemEntropy())
        self.discovery = Discovery(means, server, self.found.append, self._failed)
        self.discovery.start()

    def _failed(self, error: FrpError) -> None:
        self.failed.append(str(error))

    def until_failed(self) -> str:
        self.world.until(lambda: self.failed)
        assert self.census.is_back()
        assert self.world.loop.timer_count == 0
        return self.failed[0]


class Silent:
    """A STUN server that says what it is told to, and nothing else."""

    def __init__(self, world: World) -> None:
        self.sock = socket.socket(type=socket.SOCK_DGRAM)
        world.stack.callback(self.sock.close)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.asked: list[bytes] = []
        self.asker = ("", 0)
        world.peers.append(self)

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.sock.getsockname()[1]}"

    def pump(self) -> None:
        try:
            data, self.asker = self.sock.recvfrom(2000)
        except BlockingIOError:
            return
        self.asked.append(data)


@pytest.mark.parametrize("is_old", [False, True], ids=["RFC 5389", "RFC 3489"])
def test_both_addresses_see_the_socket_that_is_handed_on(world: World, is_old: bool) -> None:
    with StunServer(is_old=is_old) as stun:
        seeker = Seeker(world, stun.where)
        world.until(lambda: seeker.found)
    (found,) = seeker.found
    port = found.sock.address[1]
    assert found.mapped_texts() == [f"127.0.0.1:{port}"] * 2
    assert found.nat.describe() == "EasyNAT (BehaviorNoChange)"
    assert found.assisted_texts() == [f"{ip}:{port}" for ip in found.local_ips]
    assert world.loop.timer_count == 0
    seeker.discovery.cancel()
    assert not found.sock.closed
    found.sock.close()


def test_a_lost_request_is_repeated_and_silence_ends_it(world: World) -> None:
    silent = Silent(world)
    seeker = Seeker(world, silent.where)
    world.until(lambda: silent.asked)
    world.pass_time(2.5, step=0.25)
    assert len(silent.asked) == 3
    assert len(set(silent.asked)) == 1
    assert not seeker.failed
    world.advance(0.5)
    assert seeker.until_failed().startswith("wait response from stun server timeout")


def test_strangers_are_not_heard_and_a_broken_answer_ends_it(world: World) -> None:
    silent = Silent(world)
    seeker = Seeker(world, silent.where)
    world.until(lambda: silent.asked)
    silent.sock.sendto(b"hello", silent.asker)
    silent.sock.sendto(b"\x01\x01\0\0" + silent.asked[0][4:8] + bytes(12), silent.asker)
    world.settle()
    assert not seeker.failed
    silent.sock.sendto(b"\x01\x01\0\1" + silent.asked[0][4:], silent.asker)
    assert "the length" in seeker.until_failed()


def test_an_answer_without_an_address_is_none(world: World) -> None:
    silent = Silent(world)
    seeker = Seeker(world, silent.where)
    world.until(lambda: silent.asked)
    silent.sock.sendto(b"\x01\x01\0\0" + silent.asked[0][4:], silent.asker)
    assert seeker.until_failed() == "no external address found"


def test_a_server_with_one_address_is_not_enough(world: World) -> None:
    with StunServer(other=None) as stun:
        seeker = Seeker(world, stun.where)
        world.until(lambda: seeker.failed)
    assert "need 2, got: [127.0.0.1:" in seeker.failed[0]


def test_who_cancels_hears_nothing(world: World) -> None:
    silent = Silent(world)
    seeker = Seeker(world, silent.where)
    world.until(lambda: silent.asked)
    seeker.discovery.cancel()
    seeker.discovery.cancel()
    silent.sock.sendto(b"\x01\x01\0\0" + silent.asked[0][4:], silent.asker)
    world.advance(10.0)
    assert not seeker.failed
    assert seeker.census.is_back()


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ("", "not the address of a STUN server"),
        ("host:port", "not the address of a STUN server"),
        ("host:65536", "not the address of a STUN server"),
        ("[::1]:3478", "lookup"),
        ("::1:3478", "no address of IPv4"),
    ],
)
def test_a_server_that_cannot_be_asked(world: World, server: str, reason: str) -> None:
    seeker = Seeker(world, server)
    assert not seeker.failed
    assert reason in seeker.until_failed()


def test_no_socket_no_discovery(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(_address: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(discovery_module, "bind_ipv4", refuses)
    seeker = Seeker(world, "127.0.0.1:9")
    assert seeker.until_failed() == "listen udp 0.0.0.0:0: Too many open files"


def test_the_port_of_stun_goes_without_saying() -> None:
    assert split_server("stun.example") == ("stun.example", 3478)
    assert split_server("stun.example:19302") == ("stun.example", 19302)
