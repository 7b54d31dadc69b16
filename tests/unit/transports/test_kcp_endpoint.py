"""KcpEndpoint: bytes over datagrams, and how it ends although KCP has no end."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from frpd.errors import ConnectionLost
from frpd.net.address import SockAddr
from frpd.net.endpoint import Buffer, Endpoint, Outcome
from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.kcp_parting import Farewell, Kind
from frpd.transports.kcp_endpoint import (
    CLOSE_SECONDS,
    HALF_OPEN_SECONDS,
    WRITABLE_BYTES,
    KcpEndpoint,
)
from tests.helpers.world import TURN_SECONDS, World
from tests.unit.transports.links import Reader, Writer

DATA = random.Random(9).randbytes(2_000_000)


class Cable:
    """One direction between two endpoints; what is on it arrives on the loop's next turn.

    Attributes:
        drops: whether the n-th datagram is lost.
        sent: all that were given to it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: list[bytes] = []
        self.receiver: KcpEndpoint | None = None
        self.is_cut = False
        self.is_go = False
        self.is_released = False
        self.loses_every = 0

    def send(self, datagrams: Sequence[Buffer]) -> None:
        for datagram in datagrams:
            self.sent.append(bytes(datagram))
            lost = self.loses_every and len(self.sent) % self.loses_every == 0
            beside = self.is_go and datagram[4] == 0x7E
            if not (self.is_cut or lost or beside):
                self.world.loop.call_soon(self.arrive, bytes(datagram))

    def arrive(self, datagram: bytes) -> None:
        if self.receiver is not None:
            self.receiver.receive(datagram)
            self.receiver.serve()

    def local_address(self) -> SockAddr:
        return ("192.0.2.1", 7)

    def release(self) -> None:
        self.is_released = True


class Pair:
    """Two endpoints and the cables between them."""

    def __init__(self, world: World, **far: Any) -> None:
        self.world = world
        self.out, self.back = Cable(world), Cable(world)
        now = world.loop.now()
        self.near = KcpEndpoint(world.loop, KcpConnection(7, now=now), self.out, ("far", 2))
        ahead = far.get("clock_ahead", 0.0)
        kcp = KcpConnection(7, now=now + ahead)
        self.far = KcpEndpoint(world.loop, kcp, self.back, ("near", 1), **far)
        self.out.receiver, self.back.receiver = self.far, self.near

    def become_go(self) -> None:
        """From now on the far end understands, and says, nothing that is beside KCP."""
        self.out.is_go = self.back.is_go = True


class Talk:
    """Writes all of its data, and reads what comes meanwhile."""

    def __init__(self, endpoint: Endpoint, data: bytes) -> None:
        self.endpoint = endpoint
        self.got = bytearray()
        self.left = memoryview(data)
        endpoint.watch(self.read, self.write)

    def read(self) -> None:
        data = self.endpoint.read(1 << 20)
        assert not isinstance(data, Outcome)
        self.got += data

    def write(self) -> None:
        self.left = self.left[self.endpoint.write(self.left) :]
        if not self.left:
            self.endpoint.watch(self.read, None)


def loss_of(endpoint: Endpoint) -> str:
    with pytest.raises(ConnectionLost) as lost:
        endpoint.read(1)
    return str(lost.value)


def test_bytes_come_out_as_they_went_in_both_ways(world: World) -> None:
    pair = Pair(world)
    near, far = Talk(pair.near, DATA), Talk(pair.far, DATA[::-1])
    world.until(lambda: len(near.got) == len(far.got) == len(DATA))
    assert far.got == DATA
    assert near.got == DATA[::-1]


@pytest.mark.parametrize("every", [3, 20])
def test_what_is_lost_on_the_way_is_sent_again(world: World, every: int) -> None:
    pair = Pair(world)
    pair.out.loses_every = pair.back.loses_every = every
    heard = Reader(pair.far)
    writer = Writer(pair.near, DATA[:200_000])
    while len(heard.got) < 200_000:
        world.clock.advance(0.05)
        world.turn(2)
        assert not writer.lost
    assert heard.got == DATA[:200_000]


def test_a_reader_that_pauses_stops_the_writer_and_no_byte_is_lost(world: World) -> None:
    pair = Pair(world)
    heard = Reader(pair.far)
    heard.pause()
    writer = Writer(pair.near, DATA * 2)
    world.turn(200)
    assert (len(heard.got), bool(writer.left)) == (0, True)
    assert pair.near.room() < WRITABLE_BYTES
    heard.resume()
    while len(heard.got) < len(DATA) * 2:
        world.clock.advance(0.05)
        world.turn(2)
    assert heard.got == DATA * 2


def test_an_end_is_heard_behind_all_bytes_and_the_other_direction_goes_on(world: World) -> None:
    pair = Pair(world)
    pair.out.loses_every = 4
    heard = Reader(pair.far)
    Writer(pair.near, DATA[:100_000])
    answered = Reader(pair.near)
    pair.near.shutdown_write()
    with pytest.raises(ConnectionLost):
        pair.near.write(b"more")
    while not heard.end:
        world.clock.advance(0.05)
        world.turn(2)
    assert (heard.end, bytes(heard.got)) == ("eof", DATA[:100_000])
    Writer(pair.far, b"answer")
    pair.far.close()
    world.pass_time(2, step=0.1)
    assert (bytes(answered.got), answered.end) == (b"answer", "eof")
    assert pair.back.is_released
    pair.near.close()
    world.settle()
    assert pair.out.is_released


def test_close_delivers_what_was_taken_and_then_holds_nothing(world: World) -> None:
    pair = Pair(world)
    timers = world.loop.timer_count
    heard = Reader(pair.far)
    pair.near.write(DATA[:200_000])
    pair.near.close()
    world.until(lambda: heard.end)
    assert (heard.end, len(heard.got)) == ("eof", 200_000)
    world.until(lambda: pair.out.is_released)
    with pytest.raises(ConnectionLost):
        pair.far.write(b"nobody reads this")
    pair.far.close()
    assert pair.back.is_released
    assert world.loop.timer_count == timers


def test_close_towards_a_peer_that_says_nothing_takes_ten_seconds(world: World) -> None:
    pair = Pair(world)
    pair.out.is_cut = True
    pair.near.write(b"lost")
    pair.near.close()
    world.pass_time(CLOSE_SECONDS - 1, step=0.1)
    assert not pair.out.is_released
    world.pass_time(1.1, step=0.1)
    assert pair.out.is_released


def test_close_towards_go_ends_once_it_has_all(world: World) -> None:
    pair = Pair(world)
    pair.become_go()
    heard = Reader(pair.far)
    pair.near.write(b"the last words")
    pair.near.close()
    world.pass_time(5, step=0.1)
    assert (bytes(heard.got), heard.end) == (b"the last words", "")
    assert pair.out.is_released
    assert sum(datagram[4] == 0x7E for datagram in pair.out.sent) == 5


def test_go_that_does_not_end_after_us_is_given_up(world: World) -> None:
    pair = Pair(world)
    pair.become_go()
    heard, answered = Reader(pair.far), Reader(pair.near)
    pair.near.shutdown_write()
    world.pass_time(HALF_OPEN_SECONDS - 5)
    Writer(pair.far, b"slowly")
    world.pass_time(HALF_OPEN_SECONDS - 5)
    assert (bytes(answered.got), answered.end) == (b"slowly", "")
    world.pass_time(10)
    assert answered.end == "silent for 60 s after we had ended"
    assert not heard.end


def test_one_of_ours_that_vanishes_is_noticed_while_nobody_writes(world: World) -> None:
    pair = Pair(world)
    timers = world.loop.timer_count
    reader = Reader(pair.near)
    pair.near.write(b"hello")
    world.settle()
    world.pass_time(200)
    assert reader.end == ""
    pair.out.is_cut = True
    world.pass_time(120)
    assert reader.end == "the peer does not answer any more"
    pair.far.abort()
    assert world.loop.timer_count == timers


@pytest.mark.parametrize("half", [True, False])
def test_one_of_ours_may_be_silent_for_as_long_as_it_likes(world: World, half: bool) -> None:
    pair = Pair(world)
    reader = Reader(pair.near)
    if half:
        pair.near.shutdown_write()
    world.pass_time(300, step=2)
    Writer(pair.far, b"at last")
    world.settle()
    assert (bytes(reader.got), reader.end) == (b"at last", "")


def test_go_may_be_silent_for_as_long_as_it_likes(world: World) -> None:
    pair = Pair(world)
    pair.become_go()
    reader = Reader(pair.near)
    pair.near.write(b"hello")
    world.pass_time(300, step=2)
    assert reader.end == ""
    assert sum(datagram[4] == 0x7E for datagram in pair.out.sent) == 5


def test_abort_resets_the_peer(world: World) -> None:
    pair = Pair(world)
    heard = Reader(pair.far)
    pair.near.abort()
    pair.near.abort()
    world.until(lambda: heard.end)
    assert heard.end == "connection reset by peer"
    assert pair.out.is_released
    assert pair.back.is_released
    with pytest.raises(ConnectionLost):
        pair.far.write(b"x")


def test_what_came_before_the_loss_can_be_read(world: World) -> None:
    pair = Pair(world)
    pair.near.write(b"last words")
    world.settle()
    pair.near.abort()
    world.settle()
    assert pair.far.read(100) == b"last words"
    assert loss_of(pair.far) == "connection reset by peer"


def test_a_peer_that_vanishes_is_noticed_by_who_writes_to_it(world: World) -> None:
    pair = Pair(world)
    timers = world.loop.timer_count
    pair.near.write(b"hello")
    world.settle()
    pair.out.is_cut = pair.back.is_cut = True
    reader = Reader(pair.near)
    pair.near.write(b"are you there?")
    for _ in range(1200):
        world.clock.advance(0.1)
        world.turn(2)
    assert reader.end == "the peer does not answer any more"
    assert pair.out.is_released
    pair.far.abort()
    assert world.loop.timer_count == timers


def test_an_error_in_a_callback_ends_that_connection(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    pair = Pair(world)
    failures: list[str] = []
    pair.far.on_failure = lambda: failures.append("told")

    def fail() -> None:
        raise ZeroDivisionError

    pair.far.watch(fail, None)
    pair.near.write(b"x")
    world.until(lambda: failures)
    assert pair.back.is_released
    assert "a callback of near:1 failed" in caplog.text


def test_bytes_put_back_are_read_first(world: World) -> None:
    pair = Pair(world)
    pair.near.write(b"world")
    world.settle()
    pair.far.unread(b"hello ")
    assert pair.far.read(3) == b"hel"
    heard = Reader(pair.far)
    world.until(lambda: len(heard.got) == 8)
    assert heard.got == b"lo world"


# Strangers.


def test_a_stranger_who_receives_nothing_gets_three_times_what_he_sent_at_most(
    world: World,
) -> None:
    pair = Pair(world, is_stranger=True, clock_ahead=77_777.7)
    pair.near.write(b"who are you?")
    world.settle()
    pair.back.is_cut = True
    pair.far.write(DATA[:200_000])
    world.pass_time(20, step=0.1)
    sent = sum(map(len, pair.back.sent))
    assert sent <= 3 * sum(map(len, pair.out.sent))


def test_a_stranger_who_receives_what_we_send_may_have_all_of_it(world: World) -> None:
    pair = Pair(world, is_stranger=True, clock_ahead=77_777.7)
    heard = Reader(pair.near)
    pair.near.write(bytes(500))
    world.settle()
    Writer(pair.far, DATA[:100_000])
    world.pass_time(2, step=0.05)
    assert heard.got == DATA[:100_000]


def test_who_was_let_in_is_no_stranger(world: World) -> None:
    pair = Pair(world, is_stranger=True, clock_ahead=77_777.7)
    pair.near.write(b"login")
    world.settle()
    pair.back.is_cut = True
    pair.far.let_in()
    pair.far.write(DATA[:40_000])
    world.settle()
    assert sum(map(len, pair.back.sent)) > 20_000


# Over a socket.


def udp_pair(world: World) -> tuple[socket.socket, socket.socket]:
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for sock in (near, far):
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        world.stack.callback(sock.close)
    near.connect(far.getsockname())
    far.connect(near.getsockname())
    return near, far


def test_over_a_socket_bytes_go_both_ways(world: World) -> None:
    census = world.census()
    near, far = (KcpEndpoint.over_socket(world.loop, sock, 1) for sock in udp_pair(world))
    talks = Talk(near, DATA), Talk(far, DATA[::-1])
    while len(talks[0].got) + len(talks[1].got) < 2 * len(DATA):
        world.clock.advance(0.001)  # kernel's buffers may be small
        world.loop.run_turn(TURN_SECONDS)
    assert talks[1].got == DATA
    assert talks[0].got == DATA[::-1]
    heard = Reader(far)
    assert near.peer == far.local_address()
    ends = near.ends(), far.ends()
    assert ends[0] is not None
    assert ends[1] is not None
    assert (ends[0].local, ends[0].remote) == (ends[1].remote, ends[1].local)
    near.close()
    world.until(lambda: heard.end)
    far.close()
    world.until(census.is_back)
    assert census.timers_are_back()


def test_a_farewell_of_another_conversation_is_not_ours(world: World) -> None:
    pair = Pair(world)
    pair.far.receive(Farewell(8, Kind.RESET).encode())
    pair.far.serve()
    pair.near.write(b"x")
    world.settle()
    assert pair.far.read(1) == b"x"
    assert pair.far.read(1) is Outcome.EMPTY
