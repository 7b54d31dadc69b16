"""UdpPort: datagrams come in with whom to answer, and answers go out."""

from __future__ import annotations

import socket

import pytest

from frpd.net.address import SockAddr
from frpd.server.nathole.udp_desk import MAX_DATAGRAM_BYTES
from frpd.server.nathole.udp_port import DATAGRAMS_PER_TURN, UdpPort
from frpd.udp.datagram_socket import Ancillary, bind_udp
from tests.helpers.udp import udp_socket
from tests.helpers.world import World


class Listening:
    """A port that notes what comes."""

    def __init__(self, world: World, host: str) -> None:
        self.came: list[tuple[bytes, SockAddr, Ancillary]] = []
        self.port = UdpPort(world.loop, bind_udp(host, 0), self._came)
        world.owners.callback(self.port.close)
        self.number = self.port.address[1]

    def _came(self, datagram: bytes, address: SockAddr, via: Ancillary) -> None:
        self.came.append((datagram, address, via))


def talker(world: World) -> socket.socket:
    sock = udp_socket()
    world.stack.callback(sock.close)
    return sock


@pytest.mark.parametrize(("host", "where"), [("127.0.0.1", "127.0.0.1"), ("", "127.0.0.2")])
def test_an_answer_comes_from_the_address_that_was_asked(
    world: World, host: str, where: str
) -> None:
    listening, asker = Listening(world, host), talker(world)
    asker.sendto(b"question", (where, listening.number))
    world.until(lambda: listening.came)
    datagram, address, via = listening.came[0]
    assert datagram == b"question"
    listening.port.send(b"answer", address, via)
    assert asker.recvfrom(100) == (b"answer", (where, listening.number))


def test_what_is_too_long_is_dropped(world: World) -> None:
    listening, asker = Listening(world, "127.0.0.1"), talker(world)
    for size in (MAX_DATAGRAM_BYTES + 1, MAX_DATAGRAM_BYTES):
        asker.sendto(bytes(size), ("127.0.0.1", listening.number))
    world.until(lambda: listening.came)
    assert [len(datagram) for datagram, _, _ in listening.came] == [MAX_DATAGRAM_BYTES]


def test_a_flood_leaves_room_for_others_in_each_turn(world: World) -> None:
    listening, asker = Listening(world, "127.0.0.1"), talker(world)
    for _ in range(DATAGRAMS_PER_TURN + 1):
        asker.sendto(b"x", ("127.0.0.1", listening.number))
    world.loop.run_turn(0.0)
    assert len(listening.came) == DATAGRAMS_PER_TURN
    world.until(lambda: len(listening.came) == DATAGRAMS_PER_TURN + 1)


def test_nothing_is_sent_or_read_after_close(world: World) -> None:
    listening, asker = Listening(world, "127.0.0.1"), talker(world)
    for _ in range(2):
        asker.sendto(b"x", ("127.0.0.1", listening.number))
    listening.port._on_datagram = lambda *_: listening.port.close()
    world.settle()
    listening.port.send(b"late", asker.getsockname(), [])
    listening.port.close()
    with socket.socket(type=socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", listening.number))
