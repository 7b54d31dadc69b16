"""Punching: two ends that send to each other until something gets through."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from frpd.client.nathole.discovery import bind_ipv4
from frpd.client.nathole.generation import HoleContext
from frpd.client.nathole.plan import Plan
from frpd.client.nathole.punch import Punching
from frpd.errors import FrpError
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.types import NatHoleSid
from frpd.proto.punch import decode_detect, encode_detect
from frpd.udp.datagram_socket import DatagramSocket
from tests.helpers.world import World
from tests.unit.client.nathole.stage import hole_context

KEY = derive_key("sk")
NOTHING = Plan("sid", False, 0, 0.0, 5.0, (), (), (), 0, 0)


class End:
    """One end, and what comes of it."""

    def __init__(self, world: World, context: HoleContext | None = None) -> None:
        self.world = world
        self.context = context or hole_context(world)
        self.sock = DatagramSocket(world.loop, bind_ipv4(("127.0.0.1", 0)), lambda: None)
        self.got: list[socket.socket] = []
        self.failed: list[str] = []
        self.punching: Punching | None = None

    @property
    def address(self) -> tuple[str, int]:
        return self.sock.address[0], self.sock.address[1]

    def punch(self, plan: Plan, key: bytes = KEY) -> End:
        self.punching = Punching(
            self.context,
            plan,
            key,
            self.sock,
            on_punched=self._punched,
            on_failed=self._failed,
        )
        self.punching.start()
        return self

    def _punched(self, sock: socket.socket) -> None:
        self.world.stack.callback(sock.close)
        self.got.append(sock)

    def _failed(self, error: FrpError) -> None:
        self.failed.append(str(error))


class Stranger:
    """A plain socket that plays the far end by hand."""

    def __init__(self, world: World) -> None:
        self.sock = socket.socket(type=socket.SOCK_DGRAM)
        world.stack.callback(self.sock.close)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.world = world
        self.heard: list[NatHoleSid] = []
        self.raw: list[bytes] = []
        world.peers.append(self)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.sock.getsockname()
        return host, port

    def pump(self) -> None:
        try:
            self.raw.append(self.sock.recv(2000))
        except BlockingIOError:
            return
        self.heard.append(decode_detect(self.raw[-1], KEY))

    def say(self, end: End, said: NatHoleSid, key: bytes = KEY) -> None:
        self.sock.sendto(encode_detect(said, key, bytes(IV_BYTES)), end.address)


def sender(*direct: tuple[str, int]) -> Plan:
    return replace(NOTHING, is_sender=True, direct=direct)


def talk(world: World, one: End, other: End) -> None:
    """Show that the sockets of both ends are connected to each other."""
    world.until(lambda: one.got and other.got)
    (near,), (far,) = one.got, other.got
    near.send(b"through")

    def arrived() -> bool:
        try:
            return far.recv(2000) == b"through"
        except BlockingIOError:
            return False

    world.until(arrived)


def test_a_sender_and_a_receiver_find_each_other(world: World) -> None:
    one, other = End(world), End(world)
    other.punch(replace(NOTHING, ttl=7, direct=(one.address,)))
    one.punch(sender(("127.0.0.1", 9), other.address))
    talk(world, one, other)
    assert world.loop.timer_count == 0
    assert world.loop.watch_count == 0


def test_a_sender_waits_as_it_was_told(world: World) -> None:
    far, one = Stranger(world), End(world)
    one.punch(replace(sender(far.address), delay_seconds=3.0))
    world.advance(2.9)
    assert not far.heard
    world.advance(0.2)
    world.until(lambda: far.heard)
    assert one.punching is not None
    one.punching.cancel()


def test_a_lost_datagram_is_sent_again_and_an_answer_twice(world: World) -> None:
    far, one = Stranger(world), End(world)
    one.punch(sender(far.address))
    world.until(lambda: far.heard)
    world.advance(1.0)
    world.until(lambda: len(far.heard) == 2)
    assert far.heard[0].transaction_id == far.heard[1].transaction_id
    assert far.raw[0] != far.raw[1]
    other = End(world).punch(NOTHING)
    far.heard.clear()
    far.say(other, NatHoleSid(transaction_id="mine", sid="sid"))
    world.until(lambda: len(far.heard) == 2 and other.got)
    assert all(said.response and said.transaction_id == "mine" for said in far.heard)
    far.say(one, NatHoleSid(transaction_id="x", sid="sid"))
    assert one.punching is not None
    one.punching.cancel()


def test_guessed_ports_are_tried_one_after_the_other(world: World) -> None:
    one, other = End(world), End(world)
    host, port = other.address
    guessed = tuple((host, near) for near in range(port - 5, port + 6))
    other.punch(NOTHING)
    one.punch(replace(NOTHING, is_sender=True, guessed=guessed))
    world.pass_time(0.05, step=0.002)
    talk(world, one, other)


def test_a_receiver_may_be_hit_at_any_of_many_ports(world: World) -> None:
    far, one = Stranger(world), End(world)
    one.punch(replace(NOTHING, listened_ports=8, direct=(far.address,)))
    world.until(lambda: len(far.heard) == 9)
    assert world.loop.watch_count == 9
    ports = {said.transaction_id for said in far.heard}
    assert len(ports) == 1
    assert one.punching is not None
    extra = one.punching._socks[5]
    encoded = encode_detect(NatHoleSid(transaction_id="far", sid="sid"), KEY, bytes(IV_BYTES))
    far.sock.sendto(encoded, ("127.0.0.1", extra.address[1]))
    world.until(lambda: one.got)
    assert one.got[0].getsockname()[1] == extra.address[1]
    assert one.got[0].getpeername() == far.address
    assert world.loop.watch_count == 0
    assert one.context.sockets.take(5000) == 1024


def test_random_ports_are_tried_while_waiting(world: World) -> None:
    one = End(world)
    plan = replace(NOTHING, is_sender=True, random_ips=("127.0.0.1",), random_ports=20)
    one.punch(plan)
    world.pass_time(1.0, step=0.05)
    assert not one.failed
    world.advance(5.0)
    assert one.failed == ["wait detect message timeout"]
    assert world.loop.timer_count == 0


@pytest.mark.parametrize(
    ("is_sender", "said", "key"),
    [
        (False, NatHoleSid(transaction_id="far", sid="sid"), derive_key("other")),
        (False, NatHoleSid(transaction_id="far", sid="another"), KEY),
        (False, NatHoleSid(transaction_id="far", sid="sid", response=True), KEY),
        (True, NatHoleSid(transaction_id="far", sid="sid"), KEY),
        (True, NatHoleSid(transaction_id="far", sid="sid", response=True), KEY),
    ],
    ids=["another sk", "another hole", "answer to a receiver", "no answer", "another's answer"],
)
def test_what_does_not_belong_here_changes_nothing(
    world: World, is_sender: bool, said: NatHoleSid, key: bytes
) -> None:
    far, one = Stranger(world), End(world)
    one.punch(replace(NOTHING, is_sender=is_sender))
    far.say(one, said, key)
    far.sock.sendto(b"", one.address)
    world.settle()
    assert not one.got
    world.advance(5.0)
    assert one.failed == ["wait detect message timeout"]
    assert not far.heard


def test_our_own_datagram_sent_back_to_us_is_nobody(world: World) -> None:
    far, one = Stranger(world), End(world)
    one.punch(replace(NOTHING, direct=(far.address,)))
    world.until(lambda: far.raw)
    far.sock.sendto(far.raw[0], one.address)
    world.settle()
    assert not one.got
    assert one.punching is not None
    one.punching.cancel()
    one.punching.cancel()
    assert world.loop.watch_count == 0
    assert world.loop.timer_count == 0
