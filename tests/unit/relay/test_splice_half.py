"""When a direction is spliced, and what its half does; the mux's share stands in transports."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from frpd.errors import ConnectionLost
from frpd.net.endpoint import Outcome
from frpd.net.pipes import Pipe, PipePool
from frpd.net.stream import SocketStream
from frpd.relay.halves import FULL_BYTES, FULL_READS, CopyHalf
from frpd.relay.relay import Ending, Relay, RelayResult
from frpd.relay.splice_half import SHORT_BYTES, SHORT_TURNS, SpliceHalf
from frpd.selector_loop import SelectorLoop
from tests.helpers.endpoint import ScriptedEndpoint
from tests.unit.net.conftest import MakeTcp


class SplicingEndpoint(ScriptedEndpoint):
    """Its pipe really holds what was said; as a sink it promises, and pays when told to.

    Attributes:
        pipe: what a reader gets.
        full: the next read_pipe finds no room.
        promises: bytes it will promise before it blocks.
    """

    pipe: Pipe | None = None
    full = False
    promises = 1 << 30
    splices = True
    pool: PipePool | None = None
    lost = ""
    asked = 0

    def splice_with(self, pool: PipePool | None) -> None:
        self.pool = pool
        if pool is None and self.pipe is not None:
            self.pipe.give_back()
            self.pipe = None

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        assert self.pool is not None
        self.asked += 1
        if self.full:
            return Outcome.FULL
        data = self.read(limit)
        if isinstance(data, Outcome):
            return data
        if self.pipe is None:
            self.pipe = self.pool.acquire()
            assert self.pipe is not None
        with open(self.pipe.write_fd, "wb", closefd=False, buffering=0) as end:
            assert end.write(data) == len(data)
        self.pipe.held += len(data)
        return self.pipe

    def pipe_moved(self, nbytes: int) -> None:
        if self.pipe is not None and not self.pipe.held:
            self.pipe.give_back()
            self.pipe = None

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        if self.lost:
            raise ConnectionLost(self.lost)
        promised = min(limit, self.promises)
        self.promises -= promised
        pipe.promised += promised
        return promised

    def pay(self, pipe: Pipe, nbytes: int) -> None:
        self._got += pipe.read(nbytes)
        pipe.settle(nbytes)
        self.take(0)

    def lose(self, reason: str) -> None:
        self.lost = reason
        self.break_writes(reason)


class Play:
    """A source and a sink that splice, and a relay."""

    def __init__(self, loop: SelectorLoop) -> None:
        self.loop = loop
        self.pool = PipePool(1 << 20, 4 << 20)
        self.a = SplicingEndpoint(loop, "a")
        self.b = SplicingEndpoint(loop, "b")
        self.results: list[RelayResult] = []
        self.relay = Relay(
            loop,
            self.a,
            self.b,
            b_half_closes=True,
            pipes=self.pool,
            on_done=self.results.append,
        )

    def run(self, turns: int = 10) -> None:
        for _ in range(turns):
            self.loop.run_turn()

    def promote(self) -> None:
        self.a.say(*[bytes(FULL_BYTES)] * FULL_READS)
        self.run()
        assert isinstance(self.relay._ab, SpliceHalf)


@pytest.fixture
def play(loop: SelectorLoop) -> Iterator[Play]:
    made = Play(loop)
    yield made
    made.relay.abort("over")
    made.pool.close()


def test_a_direction_is_spliced_after_two_full_reads_in_a_row(play: Play) -> None:
    play.a.say(bytes(FULL_BYTES), b"little", bytes(FULL_BYTES))
    play.run()
    assert type(play.relay._ab) is CopyHalf
    play.a.say(bytes(FULL_BYTES))
    play.run()
    assert type(play.relay._ab) is SpliceHalf
    assert type(play.relay._ba) is CopyHalf
    assert play.relay.a_to_b == 3 * FULL_BYTES + 6


def test_a_direction_is_copied_again_after_some_short_turns_in_a_row(play: Play) -> None:
    play.promote()
    for size in [SHORT_BYTES - 1] * (SHORT_TURNS - 1) + [SHORT_BYTES]:
        play.a.say(bytes(size))
        play.run()
    assert type(play.relay._ab) is SpliceHalf
    play.a.say(*[b"k"] * SHORT_TURNS)
    play.run(2 * SHORT_TURNS)
    assert type(play.relay._ab) is CopyHalf
    assert play.a.pool is None


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_direction_with_an_end_whose_bytes_change_is_copied(side: str, play: Play) -> None:
    getattr(play, side).splices = False
    play.a.say(*[bytes(FULL_BYTES)] * 5)
    play.run()
    assert type(play.relay._ab) is CopyHalf


def test_rule_0_a_full_pipe_stops_the_reading_until_it_has_drained(play: Play) -> None:
    play.promote()
    play.a.say(bytes(50_000))
    play.run()
    pipe = play.a.pipe
    assert pipe is not None
    play.a.full = True
    play.a.say(b"more")
    play.run(50)
    assert play.a.asked == 2  # promoted, 50,000 bytes, FULL
    assert play.a.wants == ""
    play.relay.update()  # an unpaid pipe stays one, whoever calls
    play.run(50)
    assert play.a.asked == 2
    play.a.full = False
    play.b.pay(pipe, 1)
    play.run()
    assert play.a.asked == 3
    assert pipe.promised == 50_000 - 1 + 4


def test_rule_0_a_full_pipe_whose_sink_is_lost_does_not_wait_for_ever(play: Play) -> None:
    play.promote()
    play.b.end()
    play.run()
    play.a.say(bytes(50_000))
    play.run()
    play.a.full = True
    play.a.say(b"more")
    play.run()
    play.b.lose("reset by peer")
    play.run()
    assert play.a.pipe is None
    assert play.a.wants == "r"  # what still comes is thrown away
    assert play.b.got == bytes(FULL_BYTES * FULL_READS)


def test_what_the_sink_did_not_take_is_offered_again_before_anything_new(play: Play) -> None:
    play.promote()
    play.b.promises = 10
    play.a.say(b"0123456789ABCDEF")
    play.a.say(b"next")
    play.run()
    pipe = play.a.pipe
    assert pipe is not None
    assert (pipe.promised, pipe.held) == (10, 16)
    assert play.a.wants == ""
    play.b.promises = 1 << 30
    play.b.take(0)
    play.run()
    assert pipe.promised == 20
    play.b.pay(pipe, 20)
    assert play.b.got[-20:] == b"0123456789ABCDEFnext"


def test_a_lost_sink_gives_the_pipe_back_though_the_relay_lives_on(play: Play) -> None:
    play.promote()
    play.b.promises = 0
    play.a.say(b"for nobody")
    play.run()
    assert play.pool.lent == 1
    play.b.lose("broken pipe")
    play.run()
    assert play.results == []
    assert play.pool.lent == 0


# Socket to socket.


@pytest.fixture
def pipes() -> Iterator[PipePool]:
    pool = PipePool(65_536)
    yield pool
    assert pool.lent == 0
    pool.close()


def test_a_sink_that_is_reset_in_the_middle_of_a_splice_resets_the_source(
    no_fd_leaks: None, loop: SelectorLoop, make_tcp: MakeTcp, pipes: PipePool
) -> None:
    results: list[RelayResult] = []
    (a, user), (b, service) = make_tcp(), make_tcp()
    relay = Relay(
        loop,
        SocketStream(loop, a, ("user", 1)),
        SocketStream(loop, b, ("service", 2)),
        b_half_closes=True,
        pipes=pipes,
        on_done=results.append,
    )
    user.setblocking(False)
    for _ in range(2000):
        try:
            user.send(bytes(300_000))
        except BlockingIOError:
            if relay._ab.blocked:
                break
        loop.run_turn(0.001)
    assert isinstance(relay._ab, SpliceHalf)
    assert pipes.lent == 1
    service.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    service.close()
    for _ in range(1000):
        if results:
            break
        loop.run_turn(0.001)
    assert results[0].ending is Ending.RESET
    with pytest.raises(ConnectionResetError):
        user.recv(1)


# A service that takes nothing before its own words are taken, as an echo does.


@pytest.mark.parametrize("spliced", [False, True], ids=["copied", "spliced"])
def test_a_side_whose_words_nobody_takes_is_read_on_so_that_it_takes_the_rest(
    spliced: bool, play: Play
) -> None:
    if spliced:
        play.promote()
    play.a.capacity = 0
    play.b.say(b"the rest")
    play.run()
    play.a.say(*[bytes(1000)] * 50)
    play.b.lose("reset by peer")
    play.run(100)
    assert play.a.unread_bytes == 0
    assert play.results == []
    play.a.take()
    play.b.reset("reset by peer")
    play.run()
    assert play.a.got == b"the rest"
    assert play.results[0].ending is Ending.RESET
    assert play.pool.lent == 0


def test_a_side_that_ends_while_nobody_takes_its_words_is_watched_no_more(play: Play) -> None:
    play.a.capacity = 0
    play.b.say(b"the rest")
    play.run()
    play.b.lose("reset by peer")
    play.a.say(b"for nobody")
    play.a.end()
    play.run(50)
    calls = play.a.reader_calls
    play.run(50)
    assert play.a.reader_calls == calls
    play.a.take()
    play.b.end()
    play.run()
    assert play.a.got == b"the rest"
