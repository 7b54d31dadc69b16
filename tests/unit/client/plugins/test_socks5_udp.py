"""UDP associations: one peer, and answers only from whom it has asked."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from frpd.client.plugins import socks5_udp
from frpd.proto.socks5 import Command, Reply, decode_packet, encode_packet
from frpd.proto.socks5_server import decode_datagram, encode_datagram
from tests.helpers.peers import Talker
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.plugins.stage import Stage
from tests.unit.client.plugins.test_socks5 import HELLO, LOOPBACK

__all__ = ["world"]


class Datagrams:
    """A UDP socket of the test's."""

    def __init__(self, world: World, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.world = world
        self.sock = world.stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        self.sock.bind((host, 0))
        self.sock.setblocking(False)
        self.port: int = self.sock.getsockname()[1]
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        world.peers.append(self)

    def pump(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self.got.append(self.sock.recvfrom(65536))

    def close(self) -> None:
        self.world.peers.remove(self)
        self.sock.close()

    def next(self) -> tuple[bytes, tuple[str, int]]:
        self.world.until(lambda: self.got, "a datagram")
        return self.got.pop(0)

    def is_quiet(self) -> bool:
        self.world.settle()
        return not self.got


class Scene:
    """A visitor with an association, and a UDP service."""

    def __init__(
        self,
        world: World,
        *,
        announced: bytes = bytes(4),
        port: int = 0,
        source: str = "127.0.0.1",
    ) -> None:
        self.world = world
        self.stage = Stage(world, "socks5")
        self.visitor = self.ask(announced, port, source)
        self.service = Datagrams(world)
        self.peer = Datagrams(world)
        self.address: tuple[str, int] = ("", 0)

    def ask(self, announced: bytes, port: int, source: str) -> Talker:
        ask = encode_packet(Command.UDP_ASSOCIATE, announced, port)
        return self.stage.visit(HELLO + ask, source=source)

    def granted(self) -> Scene:
        self.world.until(lambda: len(self.visitor.payload) >= 12, "an answer")
        found = decode_packet(bytes(self.visitor.payload[2:]))
        assert found is not None
        packet, _ = found
        assert packet.code == Reply.SUCCEEDED
        assert isinstance(packet.host, bytes)
        self.address = (socket.inet_ntoa(packet.host), packet.port)
        return self

    def refused(self) -> int:
        self.world.until(lambda: len(self.visitor.payload) >= 12, "an answer")
        return self.visitor.payload[3]

    def say(
        self, payload: bytes, host: bytes | str = LOOPBACK, peer: Datagrams | None = None
    ) -> None:
        datagram = encode_datagram(host, self.service.port, payload)
        (peer or self.peer).sock.sendto(datagram, self.address)


def test_datagrams_go_to_a_service_and_back(world: World) -> None:
    scene = Scene(world).granted()
    assert scene.address[0] == "127.0.0.1"
    scene.say(b"question")
    data, sender = scene.service.next()
    assert data == b"question"
    scene.service.sock.sendto(b"answer", sender)
    data, sender = scene.peer.next()
    assert sender == scene.address
    found = decode_datagram(data)
    assert found == (LOOPBACK, scene.service.port, b"answer")
    scene.visitor.stream.close()
    world.until(lambda: not scene.stage.server.counters.connections_open)
    counters = scene.stage.server.counters
    assert (counters.bytes_in, counters.bytes_out) == (8, 6)
    scene.stage.leaves_nothing()


def test_it_lives_as_long_as_its_connection(world: World) -> None:
    scene = Scene(world).granted()
    scene.visitor.write(b"ignored")
    world.pass_time(80)
    scene.say(b"still there")
    assert scene.service.next()[0] == b"still there"
    scene.visitor.stream.close()
    scene.visitor.until_end()
    world.settle()
    scene.say(b"too late")
    assert scene.service.is_quiet()


def test_a_name_is_looked_up_once_and_datagrams_wait_for_it(world: World) -> None:
    scene = Scene(world).granted()
    for number in range(3):
        scene.say(b"%d" % number, "localhost")
    assert [scene.service.next()[0] for _ in range(3)] == [b"0", b"1", b"2"]
    scene.say(b"again", "localhost")
    assert scene.service.next()[0] == b"again"
    world.advance(socks5_udp.NAME_SECONDS)
    scene.say(b"anew", "localhost")
    assert scene.service.next()[0] == b"anew"


def test_a_name_that_does_not_exist_loses_its_datagrams_only(world: World) -> None:
    scene = Scene(world).granted()
    scene.say(b"lost", "no such name\n")
    scene.say(b"found")
    assert scene.service.next()[0] == b"found"


def test_one_peer_has_it_for_itself(world: World) -> None:
    scene = Scene(world).granted()
    scene.say(b"first")
    _, ours = scene.service.next()
    other = Datagrams(world)
    scene.say(b"second", peer=other)
    assert scene.service.is_quiet()
    stranger = Datagrams(world, "127.0.0.2")
    stranger.sock.sendto(b"nobody asked", ("127.0.0.1", ours[1]))
    assert scene.peer.is_quiet()
    assert other.is_quiet()


def test_a_peer_from_elsewhere_is_not_let_in(world: World) -> None:
    scene = Scene(world).granted()
    stranger = Datagrams(world, "127.0.0.2")
    scene.say(b"let me in", peer=stranger)
    assert scene.service.is_quiet()
    scene.say(b"me")
    assert scene.service.next()[0] == b"me"


def test_an_announced_address_counts_and_its_port(world: World) -> None:
    peer = Datagrams(world)
    scene = Scene(world, announced=LOOPBACK, port=peer.port, source="192.0.2.1").granted()
    scene.say(b"other port")
    assert scene.service.is_quiet()
    scene.say(b"right port", peer=peer)
    assert scene.service.next()[0] == b"right port"


def test_rubbish_and_fragments_are_dropped(world: World) -> None:
    scene = Scene(world).granted()
    for rubbish in (b"", b"x", encode_datagram(LOOPBACK, 1, b"x")[:6]):
        scene.peer.sock.sendto(rubbish, scene.address)
    whole = encode_datagram(LOOPBACK, scene.service.port, b"x")
    scene.peer.sock.sendto(whole[:2] + b"\x01" + whole[3:], scene.address)
    scene.say(b"fine")
    assert scene.service.next()[0] == b"fine"


@pytest.mark.parametrize("source", ["", "nonsense"])
def test_without_an_address_to_expect_there_is_none(world: World, source: str) -> None:
    scene = Scene(world, source=source)
    assert scene.refused() == Reply.COMMAND_NOT_SUPPORTED
    scene.visitor.until_end("eof")


def test_there_are_so_many_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frpd.client.plugins.socks5.MAX_ASSOCIATIONS", 1)
    scene = Scene(world).granted()
    second = scene.ask(bytes(4), 0, "127.0.0.1")
    world.until(lambda: len(second.payload) >= 12)
    assert second.payload[3] == Reply.GENERAL_FAILURE
    scene.visitor.stream.close()
    world.until(lambda: scene.stage.server.counters.connections_open <= 1)
    third = scene.ask(bytes(4), 0, "127.0.0.1")
    world.until(lambda: len(third.payload) >= 12)
    assert third.payload[3] == Reply.SUCCEEDED


def test_contacts_names_and_what_waits_are_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socks5_udp, "MAX_CONTACTS", 1)
    monkeypatch.setattr(socks5_udp, "MAX_NAMES", 1)
    monkeypatch.setattr(socks5_udp, "MAX_WAITING", 2)
    scene = Scene(world).granted()
    for number in range(4):
        scene.say(b"%d" % number, "localhost")
    world.until(lambda: len(scene.service.got) >= 2)
    world.settle()
    # How many came before the name was known is the kernel's affair, never their order.
    assert scene.service.got[0][0] == b"0"
    sender = scene.service.got[0][1]
    elsewhere = Datagrams(world, "127.0.0.3")
    scene.peer.sock.sendto(
        encode_datagram(bytes((127, 0, 0, 3)), elsewhere.port, b"x"), scene.address
    )
    elsewhere.next()
    scene.service.sock.sendto(b"no contact any more", sender)
    assert scene.peer.is_quiet()
