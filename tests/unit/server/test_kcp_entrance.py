"""KcpEntrance: whose a datagram is, and that what is nobody's changes nothing."""

from __future__ import annotations

import logging
import random
import socket
from typing import TYPE_CHECKING

import pytest

from frpd.net.address import join_host_port
from frpd.net.endpoint import Outcome
from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.kcp_parting import Farewell, Kind, read_farewell
from frpd.server.kcp_entrance import (
    REMEMBER_SECONDS,
    RESETS_PER_SECOND,
    WINDOW_SEGMENTS,
    KcpEntrance,
)
from frpd.udp.datagram_socket import bind_udp
from tests.helpers.kcp import KcpPeer, udp_socket
from tests.helpers.world import FixedEntropy, World

if TYPE_CHECKING:
    from frpd.transports.kcp_endpoint import KcpEndpoint


class Port:
    """An entrance, and who has come."""

    def __init__(self, world: World, host: str = "127.0.0.1") -> None:
        self.came: list[KcpEndpoint] = []
        self.empty = world.census()
        sock = bind_udp(host, 0)
        self.barred: set[str] = set()
        self.entrance = KcpEntrance(
            world.loop,
            sock,
            FixedEntropy(),
            self.came.append,
            turns_away=self.barred.__contains__,
        )
        self.number = self.entrance.address[1]
        world.owners.callback(self.entrance.close)

    def is_empty(self) -> bool:
        return self.entrance.conversations == 0


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def name_of(peer: KcpPeer) -> str:
    return join_host_port(*peer.address)


def first_datagram(conversation: int, text: bytes = b"hello") -> bytes:
    kcp = KcpConnection(conversation, now=0.0)
    kcp.send(text)
    [datagram] = kcp.datagrams_to_send(0.0)
    return datagram


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_the_first_segment_begins_a_conversation(world: World, host: str) -> None:
    port = Port(world, host)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    [endpoint] = port.came
    world.settle()
    assert endpoint.read(100) == b"hello"
    endpoint.write(b"and you")
    world.until(lambda: peer.received == b"and you")
    assert endpoint.describe() == name_of(peer)
    ends = endpoint.ends()
    assert ends is not None
    assert (ends.local, ends.remote) == (f"127.0.0.1:{port.number}", name_of(peer))
    endpoint.close()
    world.until(port.is_empty)
    assert peer.end == "eof"


def test_one_address_may_have_several_and_many_addresses_one_each(world: World) -> None:
    port = Port(world)
    first = KcpPeer(world, port.number)
    second = KcpPeer(world, port.number, sock=first.sock)
    others = [KcpPeer(world, port.number) for _ in range(3)]
    first.answers = False
    for peer in (first, second, *others):
        peer.write(b"I am %d" % peer.conversation)
    world.until(lambda: len(port.came) == 5)
    world.settle()
    for endpoint in port.came:
        assert endpoint.read(100) == b"I am %d" % endpoint.conversation


def test_parity_repairs_what_was_lost(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    world.settle()
    said = random.Random(4).randbytes(13_000)
    peer.kcp.send(said)
    datagrams = peer.kcp.datagrams_to_send(world.loop.now())
    peer.answers = False
    peer.say(*datagrams[:3], *datagrams[4:])
    world.settle()
    assert port.came[0].read(100_000) == b"hello" + said


# What is nobody's.


def rubbish() -> list[bytes]:
    seeds = random.Random(7)
    whole = first_datagram(5, bytes(1000))
    later = KcpConnection(5, now=0.0)
    later.send(bytes(3000))
    middle = later.datagrams_to_send(0.0)[1]
    return [
        *(seeds.randbytes(length) for length in (0, 1, 8, 23, 24, 31, 32, 33, 1350, 4000)),
        *(seeds.randbytes(4) + b"\xf1\0" + seeds.randbytes(length) for length in (2, 26, 60)),
        *(seeds.randbytes(4) + b"\xf2\0" + seeds.randbytes(length) for length in (2, 26, 1300)),
        *(whole[:length] for length in (8, 24, 31, 32, 500, len(whole) - 1)),
        whole + b"\0",
        middle,
        Farewell(5, Kind.TAKEN).encode(),
        Farewell(5, Kind.RESET).encode(),
    ]


def test_random_and_truncated_datagrams_begin_nothing(world: World) -> None:
    port = Port(world)
    sock = udp_socket(world, port.number)
    empty = world.census()
    for datagram in rubbish():
        sock.send(datagram)
    world.settle()
    assert port.came == []
    assert port.is_empty()
    assert empty.is_back()
    assert empty.timers_are_back()


def test_they_change_nothing_for_who_is_there(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number, conversation=5)
    peer.write(b"hello")
    world.until(lambda: port.came)
    other = udp_socket(world, port.number)
    for datagram in rubbish():
        other.send(datagram)
        if read_farewell(datagram) is None and datagram[8:12] != b"\5\0\0\0":
            peer.say(datagram)
    world.settle()
    [endpoint] = port.came
    assert endpoint.read(100) == b"hello"
    peer.write(b" again")
    world.settle()
    assert endpoint.read(100) == b" again"


def test_what_is_played_again_from_the_same_address_is_not_heard_twice(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    world.settle()
    assert port.came[0].read(100) == b"hello"
    peer.say(*peer.sent * 3)
    world.settle()
    assert port.came[0].read(100) is Outcome.EMPTY
    assert len(port.came) == 1


def test_what_we_say_ourselves_is_no_conversation_when_it_comes_back(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    port.came[0].close()
    world.until(port.is_empty)
    sock = udp_socket(world, port.number)
    for datagram in peer.heard:
        sock.send(datagram)
    world.settle()
    assert len(port.came) == 1


def test_a_number_of_somebody_else_opens_nothing_and_is_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    thieves = [udp_socket(world, port.number) for _ in range(3)]
    for sock in thieves:
        sock.send(first_datagram(peer.conversation, b"let me in"))
    world.settle()
    assert len(port.came) == 1
    assert port.came[0].read(100) == b"hello"
    [line] = warnings(caplog)
    assert "wants to begin KCP conversation" in line
    assert f"that of {name_of(peer)}" in line
    assert port.entrance.suspicious == 3
    assert [silent_for(sock) for sock in thieves] == [True] * 3


def silent_for(sock: socket.socket) -> bool:
    try:
        sock.recv(2000)
    except BlockingIOError:
        return True
    return False


def test_a_recorded_login_opens_nothing_after_its_conversation_either(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    port.came[0].let_in()
    port.came[0].close()
    world.until(port.is_empty)
    again = udp_socket(world, port.number)
    again.send(peer.sent[0])
    world.settle()
    assert len(port.came) == 1
    assert "which is over" in warnings(caplog)[0]
    world.advance(REMEMBER_SECONDS)
    again.send(peer.sent[0])
    world.until(lambda: len(port.came) == 2)


def test_a_number_that_got_nowhere_may_be_used_again(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    port.came[0].abort()
    world.until(port.is_empty)
    peer.say(peer.sent[0])
    world.until(lambda: len(port.came) == 2)


# What is said to it.


def test_one_of_ours_hears_that_its_conversation_is_over(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    peer.answers = False  # so that it misses the end
    port.came[0].abort()
    world.settle()
    peer.heard.clear()
    later = KcpConnection(peer.conversation, now=0.0)
    later.send(bytes(3000))
    middle = later.datagrams_to_send(0.0)[1]
    peer.say(middle)
    world.until(lambda: peer.heard)
    [answer] = peer.heard
    assert read_farewell(answer) == Farewell(peer.conversation, Kind.RESET)
    assert len(answer) <= len(middle)


def test_that_is_said_so_often_and_no_more(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    for _ in range(RESETS_PER_SECOND + 50):
        peer.say(Farewell(peer.conversation, Kind.END).encode())
        world.turn()
    world.settle()
    assert len(peer.heard) == RESETS_PER_SECOND
    world.advance(1.0)
    peer.say(Farewell(peer.conversation, Kind.GONE).encode())
    world.until(lambda: len(peer.heard) == RESETS_PER_SECOND + 1)


# Strangers.


def test_who_does_not_show_that_he_receives_gets_three_times_what_he_sent(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(bytes(300))
    peer.answers = False
    world.until(lambda: port.came)
    port.came[0].write(bytes(100_000))
    world.pass_time(20, step=0.1)
    assert 0 < peer.heard_bytes <= 3 * peer.sent_bytes


def test_what_a_stranger_may_fill_is_less_than_a_window(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.kcp.send(bytes(250_000))
    peer.flush()
    world.until(lambda: port.came)
    world.pass_time(3, step=0.05)
    [endpoint] = port.came
    waiting = endpoint.read(1 << 20)
    assert not isinstance(waiting, Outcome)
    assert len(waiting) < 64 * 1024 < WINDOW_SEGMENTS * 1300
    endpoint.let_in()
    got = len(waiting)
    while got < 250_000:
        world.clock.advance(0.05)
        world.settle()
        if not isinstance(data := endpoint.read(1 << 20), Outcome):
            got += len(data)


# Its own end.


def test_a_port_that_is_left_is_free_when_the_last_has_gone(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    port.entrance.retire()
    late = KcpPeer(world, port.number)
    late.write(b"me too")
    peer.write(b" again")
    world.settle()
    [endpoint] = port.came
    assert endpoint.read(100) == b"hello again"
    peer.close()
    late.close()
    assert not port.empty.is_back()
    endpoint.abort()
    world.until(port.empty.is_back)


def test_one_that_is_come_back_to_takes_newcomers_again(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    port.entrance.retire()
    port.entrance.revive()
    KcpPeer(world, port.number).write(b"me too")
    world.until(lambda: len(port.came) == 2)


def test_close_drops_everybody(world: World) -> None:
    port = Port(world)
    peer = KcpPeer(world, port.number)
    peer.write(b"hello")
    world.until(lambda: port.came)
    port.entrance.close()
    port.entrance.close()
    assert port.is_empty()
    assert port.entrance.is_closed
    world.until(lambda: peer.end)
    assert peer.end == "reset"


def test_who_cannot_be_taken_is_dropped_and_the_port_goes_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_endpoint: KcpEndpoint) -> None:
        raise ZeroDivisionError

    sock = bind_udp("127.0.0.1", 0)
    entrance = KcpEntrance(world.loop, sock, FixedEntropy(), fail, turns_away=lambda _host: False)
    world.owners.callback(entrance.close)
    sock = udp_socket(world, entrance.address[1])
    for number in (1, 2):
        sock.send(first_datagram(number))
    world.until(lambda: len(warnings(caplog)) == 2)
    assert "accepting 127.0.0.1" in warnings(caplog)[1]
    assert entrance.conversations == 0
