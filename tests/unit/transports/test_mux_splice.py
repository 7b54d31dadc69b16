"""Payload that goes round the session: the rules of splicing, each on real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from frpd.net.endpoint import Outcome
from frpd.proto.yamux.frames import INITIAL_WINDOW_BYTES
from frpd.proto.yamux.window import WindowBudget
from frpd.relay.relay import Ending, Relay, RelayResult
from frpd.relay.splice_half import SpliceHalf
from frpd.transports.mux import SMALL_FRAMES
from frpd.transports.mux_stream import MuxStream
from tests.helpers.world import World
from tests.unit.transports.splice_tunnel import (
    CHUNK,
    KIB,
    MIB,
    Peer,
    Tunnel,
    Visit,
    is_idle,
    pattern,
)

BULK = pattern(6 * MIB)


@pytest.fixture
def tunnel(world: World) -> Iterator[Tunnel]:
    before = world.census()
    made = Tunnel(world, windows=WindowBudget(16 * MIB, MIB))
    yield made
    made.close()
    world.stack.close()
    assert world.census().fds == before.fds


def streams_of(visit: Visit) -> tuple[MuxStream, MuxStream]:
    assert isinstance(visit.stream, MuxStream)
    assert isinstance(visit.far_stream, MuxStream)
    return visit.stream, visit.far_stream


def waiting_in(stream: MuxStream) -> tuple[int, int]:
    """Return the bytes in a stream's pipe and in its memory."""
    in_pipe = 0 if stream._in_pipe is None else stream._in_pipe.held
    return in_pipe, sum(map(len, stream._chunks or ()))


def echo(tunnel: Tunnel, visit: Visit, word: bytes = b"ping") -> None:
    """Check that a visitor's connection works both ways."""
    already, back = len(visit.service.got), len(visit.user.got)
    visit.user.say(word)
    tunnel.world.until(lambda: visit.service.got[already:] == word, "there")
    visit.service.say(word)
    tunnel.world.until(lambda: visit.user.got[back:] == word, "back")


# What goes through, and when it is spliced.


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "direct"])
@pytest.mark.parametrize("pipe_bytes", [64 * KIB, MIB])
def test_bulk_is_spliced_in_both_directions_at_both_ends(
    world: World, mux: bool, pipe_bytes: int
) -> None:
    tunnel = Tunnel(world, mux=mux, pipe_bytes=pipe_bytes)
    visit = tunnel.visit()
    seen: set[str] = set()

    def arrived() -> bool:
        seen.update(visit.splicing().split(", "))
        return len(visit.service.got) == len(visit.user.got) == len(BULK)

    visit.user.say(BULK)
    visit.service.say(BULK[::-1])
    world.until(arrived)
    assert visit.service.got == BULK
    assert visit.user.got == BULK[::-1]
    assert seen >= {"near in", "near out", "far in", "far out"}
    world.settle()
    assert tunnel.pipes_are_home
    visit.user.say_no_more()
    visit.service.say_no_more()
    world.until(lambda: visit.is_over)
    assert [result.ending for result in visit.results] == [Ending.CLEAN] * 2
    tunnel.close()


def test_a_direction_is_copied_again_when_little_comes_and_spliced_again_when_much_does(
    tunnel: Tunnel,
) -> None:
    visit = tunnel.visit()
    for _ in range(3):
        done = len(visit.service.got) + len(BULK)
        spliced: set[str] = set()

        def arrived(done: int = done, spliced: set[str] = spliced) -> bool:
            spliced.add(visit.splicing())
            return len(visit.service.got) == done

        visit.user.say(BULK)
        tunnel.world.until(arrived)
        assert "near in, far in" in spliced
        assert visit.service.got[-len(BULK) :] == BULK
        for _ in range(20):
            echo(tunnel, visit)
        assert visit.splicing() == ""
        assert tunnel.pipes_are_home


def test_rule_2_the_trunk_reads_exactly_while_frames_are_large_and_in_bulk_while_small(
    tunnel: Tunnel,
) -> None:
    visit = tunnel.visit()
    assert not tunnel.far._exact
    exact = []

    def arrived() -> bool:
        exact.append(tunnel.far._exact)
        return len(visit.service.got) == len(BULK)

    visit.user.say(BULK)
    tunnel.world.until(arrived)
    assert any(exact)
    for _ in range(20):
        echo(tunnel, visit)
    assert not tunnel.far._exact
    assert visit.service.got[: len(BULK)] == BULK


def test_rule_2_a_small_frame_between_large_ones_does_not_end_the_exact_reading(
    tunnel: Tunnel,
) -> None:
    """Where bulk meets the end of a window a few bytes travel alone."""
    visit, other = tunnel.visit(), tunnel.visit()
    tunnel.warm_up(visit)
    tunnel.far._smalls = 0
    tunnel.far._exact = True  # wherever the last window happened to end
    for _ in range(SMALL_FRAMES - 1):
        echo(tunnel, other)
        assert tunnel.far._exact
    visit.user.say(BULK)
    tunnel.world.until(lambda: visit.service.got == BULK)
    for _ in range(SMALL_FRAMES + 1):
        echo(tunnel, other)
    assert not tunnel.far._exact


# Rule 0: a full pipe is not an empty source.


def fill_with_segments(tunnel: Tunnel, visit: Visit) -> bytes:
    """Fill a pipe of 16 slots with small segments; return them."""
    sent = b""
    other, _ = tunnel.world.sockets()
    for number in range(100):
        sent += pattern(100, number)
        visit.user.sock.sendall(sent[-100:])
        other.sendall(b"in between, so that the kernel cannot join them")
    tunnel.world.settle()
    assert visit.near is not None
    half = visit.near._ab
    assert isinstance(half, SpliceHalf)
    assert half.blocked
    assert visit.user_end._pipe is not None
    assert visit.user_end._pipe.held < 5000
    return sent


def test_rule_0_a_pipe_full_of_small_segments_stops_the_reading_and_nothing_spins(
    tunnel: Tunnel,
) -> None:
    visit, other = tunnel.visit(), tunnel.visit()
    tunnel.warm_up(other)
    tunnel.warm_up(visit)
    bulk = tunnel.clog(other)
    sent = fill_with_segments(tunnel, visit)
    assert is_idle(tunnel.world)
    tunnel.resume_trunk()
    tunnel.world.until(lambda: visit.service.got == sent, "the segments")
    tunnel.world.until(lambda: other.service.got == bulk, "the bulk")


# Rule 1: escrow.


def test_rule_1_a_promised_frame_is_paid_though_the_visitor_is_reset(tunnel: Tunnel) -> None:
    killed, other = tunnel.visit(), tunnel.visit()
    tunnel.warm_up(killed)
    bulk = tunnel.clog(killed)
    assert "near in" in killed.splicing()
    killed.user.reset()
    tunnel.world.settle()
    assert len(killed.results) == 1
    assert tunnel.near_pool.lent == 1  # started, so it is paid
    tunnel.resume_trunk()
    tunnel.world.until(lambda: killed.service.end, "the reset arrives")
    assert killed.service.end == "reset"
    assert bulk.startswith(killed.service.got)
    echo(tunnel, other)
    assert tunnel.pipes_are_home
    assert tunnel.closed == []


def test_rule_1_only_what_the_pipe_holds_is_reserved(tunnel: Tunnel) -> None:
    visit = tunnel.visit()
    tunnel.warm_up(visit)
    bulk = tunnel.clog(visit)
    pipe = visit.user_end._pipe
    assert pipe is not None
    assert 0 < pipe.promised <= pipe.held
    tunnel.resume_trunk()
    tunnel.world.until(lambda: visit.service.got == bulk)


# Rule 3: a full pipe never stops the trunk.


def stall(world: World, talker: Peer, listener: Peer, stream: MuxStream) -> bytes:
    """Let a peer stop reading when the pipe and the memory of its stream hold bytes.

    Returns:
        What it has read or will read, in order.
    """
    said = b""
    while not all(waiting_in(stream)):
        listener.reads, listener.most_read = True, 10_000
        while not all(waiting_in(stream)):
            assert len(said) < 64 * MIB
            said += pattern(MIB, len(said))
            talker.say(said[-MIB:])
            world.until(lambda: talker.all_said or all(waiting_in(stream)))
        listener.reads = False
        world.settle()  # the kernel may have room for all that the pipe held
    listener.most_read = MIB
    return said


def stall_service(tunnel: Tunnel, visit: Visit) -> bytes:
    tunnel.warm_up(visit)
    return stall(tunnel.world, visit.user, visit.service, streams_of(visit)[1])


def test_rule_3_what_does_not_fit_the_pipe_spills_into_bounded_memory_and_others_go_on(
    tunnel: Tunnel,
) -> None:
    visit, other = tunnel.visit(), tunnel.visit()
    stall_service(tunnel, visit)
    _, stream = streams_of(visit)
    in_pipe, in_memory = waiting_in(stream)
    assert in_pipe
    assert in_memory
    assert in_pipe + in_memory <= MIB
    other.user.say(BULK)
    tunnel.world.until(lambda: other.service.got == BULK, "the other stream's bytes")
    assert is_idle(tunnel.world)


def test_rule_3_the_pipe_comes_before_the_spill_and_nothing_enters_it_until_that_is_gone(
    tunnel: Tunnel,
) -> None:
    visit = tunnel.visit()
    said = stall_service(tunnel, visit)
    _, stream = streams_of(visit)
    assert not stream.takes_pipe
    visit.service.most_read = 5000
    visit.service.reads = True
    tunnel.world.turn(200)
    visit.service.most_read = MIB
    tunnel.world.until(lambda: len(visit.service.got) == len(said))
    assert visit.service.got == said
    tunnel.world.settle()
    assert tunnel.pipes_are_home


# Rule 4: credit.


def test_rule_4_what_waits_in_pipe_and_memory_earns_no_credit(tunnel: Tunnel) -> None:
    visit = tunnel.visit()
    stall_service(tunnel, visit)
    ours, theirs = streams_of(visit)
    books = tunnel.far.session._streams[theirs.stream_id].receive
    assert books.unconsumed == sum(waiting_in(theirs)) + theirs._uncredited
    assert tunnel.near.session.window(ours.stream_id) == books.remaining
    assert is_idle(tunnel.world)


def test_rule_4_a_slow_reader_earns_no_credit_before_its_memory_is_empty(
    tunnel: Tunnel,
) -> None:
    """Or what comes for it would always find bytes in memory, and be copied for ever."""
    visit = tunnel.visit()
    stall_service(tunnel, visit)
    _, stream = streams_of(visit)
    books = tunnel.far.session._streams[stream.stream_id].receive
    visit.service.reads, visit.service.most_read = True, 20_000
    granted = [books.remaining + books.owed]

    def memory_is_empty() -> bool:
        if not waiting_in(stream)[1]:
            return True
        granted.append(books.remaining + books.owed)
        return False

    tunnel.world.until(memory_is_empty)
    assert len(granted) > 3
    assert granted == sorted(granted, reverse=True)
    assert stream._uncredited == 0


# Rule 5: resets.


def test_rule_5_a_reset_withdraws_what_was_not_started(tunnel: Tunnel) -> None:
    killed, other = tunnel.visit(), tunnel.visit()
    tunnel.warm_up(other)
    tunnel.warm_up(killed)
    bulk = tunnel.clog(other)
    killed.user.say(BULK[: 40 * KIB])
    tunnel.world.settle()
    pipe = killed.user_end._pipe
    assert pipe is not None
    assert pipe.promised == 40 * KIB
    killed.user.reset()
    tunnel.world.settle()
    assert pipe.promised == 0
    assert tunnel.near_pool.lent == 1  # the other's
    tunnel.resume_trunk()
    tunnel.world.until(lambda: other.service.got == bulk)
    tunnel.world.until(lambda: killed.service.end == "reset")
    assert not killed.service.got


def test_rule_5_a_peers_reset_in_mid_frame_leaves_the_rest_to_be_paid(tunnel: Tunnel) -> None:
    killed, other = tunnel.visit(), tunnel.visit()
    tunnel.warm_up(killed)
    tunnel.clog(killed)
    stream, far_stream = streams_of(killed)
    due = tunnel.near.session.next_segment()
    far_stream.abort()
    tunnel.far.flush()
    tunnel.world.settle()
    assert len(killed.results) == 1
    assert due is not None
    assert stream.stream_id not in tunnel.near._streams
    assert tunnel.near_pool.lent == 1
    tunnel.resume_trunk()
    echo(tunnel, other)
    assert tunnel.pipes_are_home


def test_a_reader_that_waits_for_a_paid_pipe_hears_of_the_reset(tunnel: Tunnel) -> None:
    """The service has ended before, so only writing can tell that the stream is lost."""
    visit, other = tunnel.visit(), tunnel.visit()
    visit.service.say(b"bye")
    visit.service.say_no_more()
    tunnel.world.until(lambda: visit.user.end == "eof")
    tunnel.warm_up(other)
    tunnel.warm_up(visit)
    tunnel.clog(other)
    fill_with_segments(tunnel, visit)
    tunnel.near.abort("the link is gone")
    tunnel.world.until(lambda: visit.results, "the visitor's relay ends")
    tunnel.resume_trunk()
    tunnel.world.until(lambda: visit.is_over)
    assert tunnel.pipes_are_home


# The end of the link.


def clog_beside_a_stalled_visitor(tunnel: Tunnel, up: Visit, down: Visit) -> None:
    """Clog the trunk at a moment when both visitors' bytes wait in pipes.

    A busy kernel may take what a pipe holds when it was thought to be full; then it is
    tried again.
    """
    for _ in range(20):
        stall(tunnel.world, down.service, down.user, streams_of(down)[0])
        said = tunnel.clog(up)
        if tunnel.near_pool.lent == 2:
            return
        tunnel.resume_trunk()
        tunnel.world.until(lambda said=said: len(up.service.got) == len(said))  # type: ignore[misc]
        up.service.got.clear()
        tunnel.warm_up(up)
    pytest.fail("there was always an empty pipe")


def test_the_pipes_of_a_dead_link_go_home(tunnel: Tunnel) -> None:
    up, down = tunnel.visit(), tunnel.visit()
    tunnel.warm_up(up)
    down.service.say(BULK)
    tunnel.world.until(lambda: len(down.user.got) == len(BULK))
    clog_beside_a_stalled_visitor(tunnel, up, down)
    tunnel.near.abort("gone")
    tunnel.resume_trunk()
    tunnel.world.until(lambda: len(up.results) == 2)
    down.user.reads = True
    tunnel.world.until(lambda: down.is_over)
    assert tunnel.pipes_are_home


def test_a_relay_that_is_aborted_gives_up_pipes_with_bytes_in_them(tunnel: Tunnel) -> None:
    visit = tunnel.visit()
    stall_service(tunnel, visit)
    assert tunnel.far_pool.lent
    assert visit.far is not None
    visit.far.abort("shut down")
    tunnel.world.until(lambda: visit.is_over)
    assert tunnel.pipes_are_home


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "direct"])
def test_a_go_peers_end_discards_what_the_visitor_still_sends(world: World, mux: bool) -> None:
    tunnel = Tunnel(world, mux=mux, b_half_closes=False)
    visit = tunnel.visit()
    if mux:
        stall_service(tunnel, visit)
    else:
        visit.user.say(BULK)
        world.until(lambda: len(visit.service.got) > MIB)
    visit.service.say(b"that is all")
    visit.service.reads = True
    visit.service.most_read = 30_000
    visit.service.say_no_more()
    world.until(lambda: visit.user.end == "eof")
    assert visit.user.got == b"that is all"
    assert visit.results == []
    world.advance(1.1)
    world.until(lambda: visit.is_over)
    assert tunnel.pipes_are_home
    tunnel.close()


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "direct"])
def test_rule_9_the_tail_arrives_before_the_end_does(world: World, mux: bool) -> None:
    tunnel = Tunnel(world, mux=mux)
    visit = tunnel.visit()
    visit.user.say(BULK)
    visit.user.say_no_more()
    visit.service.most_read = 100_000
    world.until(lambda: visit.service.end)
    assert visit.service.got == BULK
    visit.service.say(BULK)
    visit.service.say_no_more()
    world.until(lambda: visit.is_over)
    world.until(lambda: visit.user.end)
    assert visit.user.got == BULK
    assert {(result.a_to_b, result.b_to_a) for result in visit.results} == {(len(BULK),) * 2}
    tunnel.close()


# Rule 8: the budget.


def both_have(size: int, *peers: Peer) -> bool:
    return all(len(peer.got) == size for peer in peers)


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "direct"])
@pytest.mark.parametrize("budget", [0, 64 * KIB])
def test_rule_8_without_pipes_all_is_copied(world: World, mux: bool, budget: int) -> None:
    tunnel = Tunnel(world, mux=mux, budget_bytes=budget)
    visits = [tunnel.visit() for _ in range(3)]
    for visit in visits:
        visit.user.say(BULK)
        visit.service.say(BULK)
    for visit in visits:
        user, service = visit.user, visit.service
        world.until(partial(both_have, len(BULK), user, service))
        assert user.got == service.got == BULK
    tunnel.close()


def test_rule_8_a_trunk_whose_streams_find_no_pipe_reads_in_bulk(world: World) -> None:
    tunnel = Tunnel(world, budget_bytes=0)
    visit = tunnel.visit()
    exact = []

    def arrived() -> bool:
        exact.append(tunnel.far._exact)
        return len(visit.service.got) == len(BULK)

    visit.user.say(BULK)
    world.until(arrived)
    assert not any(exact)
    tunnel.close()


# Windows.


def test_windows_grow_only_while_drained_and_the_budget_comes_back(world: World) -> None:
    windows = WindowBudget(4 * MIB, MIB)
    tunnel = Tunnel(world, windows=windows)
    drained, stalled = tunnel.visit(), tunnel.visit()
    stalled.service.reads = False
    stalled.user.say(BULK)
    drained.user.say(BULK)
    world.until(lambda: drained.service.got == BULK)
    limits = [
        tunnel.far.session._streams[streams_of(visit)[1].stream_id].receive.limit
        for visit in (drained, stalled)
    ]
    assert limits[0] == MIB
    assert windows.left <= 4 * MIB - (MIB - INITIAL_WINDOW_BYTES)
    assert sum(waiting_in(streams_of(stalled)[1])) <= limits[1]
    tunnel.close()
    assert windows.left == 4 * MIB


# A relay from stream to stream, as between a visitor's frpc and a service's.


class Chain:
    """Two links, and a relay that joins a stream of one to a stream of the other."""

    def __init__(self, world: World) -> None:
        self.world = world
        windows = WindowBudget(16 * MIB, MIB)
        self.left, self.right = Tunnel(world, windows=windows), Tunnel(world, windows=windows)
        self.source, a = self.left.join()
        b, self.sink = self.right.join()
        assert isinstance(a, MuxStream)
        assert isinstance(b, MuxStream)
        self.a, self.b = a, b
        self.results: list[RelayResult] = []
        self.pool = self.left.far_pool
        self.relay = Relay(
            world.loop, a, b, b_half_closes=True, pipes=self.pool, on_done=self.results.append
        )

    def stall_and_fill(self, pump: Pump) -> None:
        """Upload, stall the second link on the way, and fill its trunk; no more."""
        pump.say(pattern(3 * MIB))
        self.world.until(lambda: len(pump.got) == len(pump.said))
        self.right.stall_trunk()
        while not self.right.near._trunk_blocked:
            pump.say(pattern(CHUNK, len(pump.said)))
            self.world.settle()
        assert self.a._in_pipe is not None
        assert self.a._in_pipe.promised
        assert not self.a._in_pipe.free_to_promise

    def close(self) -> None:
        self.relay.abort("over")
        self.left.close()
        self.right.close()


@pytest.fixture
def chain(world: World) -> Iterator[Chain]:
    made = Chain(world)
    yield made
    made.close()


class Pump:
    """Writes and reads endpoints without a relay."""

    def __init__(self, chain: Chain) -> None:
        self.said = bytearray()
        self.got = bytearray()
        self.ended = False
        self._sent = 0
        self._chain = chain
        chain.sink.watch(self._read, None)

    def say(self, data: bytes) -> None:
        self.said += data
        self._chain.source.watch(None, self._write)

    def _write(self) -> None:
        while self._sent < len(self.said):
            taken = self._chain.source.write(bytes(self.said[self._sent : self._sent + CHUNK]))
            self._sent += taken
            if not taken:
                return
        self._chain.source.watch(None, None)

    def _read(self) -> None:
        data = self._chain.sink.read(1 << 20)
        if data is Outcome.EOF:
            self.ended = True
            self._chain.sink.watch(None, None)
        elif not isinstance(data, Outcome):
            self.got += data


def test_bulk_passes_from_stream_to_stream_through_pipes(chain: Chain) -> None:
    pump = Pump(chain)
    pump.say(BULK)
    used = []

    def arrived() -> bool:
        used.append(chain.pool.lent)
        return len(pump.got) == len(BULK)

    chain.world.until(arrived)
    assert max(used) == 1
    assert pump.got == BULK
    assert chain.pool.lent == 0


def test_a_promised_pipe_between_two_links_waits_without_spinning(chain: Chain) -> None:
    pump = Pump(chain)
    chain.stall_and_fill(pump)
    assert is_idle(chain.world)
    chain.right.resume_trunk()
    chain.world.until(lambda: pump.got == pump.said)
    assert chain.pool.lent == 0


def test_a_stream_that_is_copied_again_does_not_read_what_its_pipe_has_promised(
    chain: Chain,
) -> None:
    pump = Pump(chain)
    chain.stall_and_fill(pump)
    for number in range(20):
        pump.say(pattern(100, number))
        chain.world.settle()
    assert not isinstance(chain.relay._ab, SpliceHalf)
    assert chain.pool.lent == 1
    chain.right.resume_trunk()
    chain.world.until(lambda: pump.got == pump.said)
    assert chain.pool.lent == 0


def test_an_end_behind_a_promised_pipe_is_passed_on_at_once(chain: Chain) -> None:
    pump = Pump(chain)
    chain.stall_and_fill(pump)
    chain.source.shutdown_write()
    chain.world.settle()
    assert chain.relay._ab.over
    chain.right.resume_trunk()
    chain.world.until(lambda: pump.ended)
    assert pump.got == pump.said


def test_a_stream_closed_with_a_promised_pipe_gives_credit_once(chain: Chain) -> None:
    pump = Pump(chain)
    chain.stall_and_fill(pump)
    chain.a.close()
    chain.b.close()
    assert chain.pool.lent == 1
    chain.right.resume_trunk()
    chain.world.until(lambda: pump.ended)
    assert pump.got == pump.said
    assert chain.left.closed == chain.right.closed == []
    assert chain.pool.lent == 0


def test_what_a_reset_withdraws_earns_no_second_credit(chain: Chain) -> None:
    """The other end of the second link resets the stream while frames wait for the trunk."""
    pump = Pump(chain)
    chain.stall_and_fill(pump)
    assert isinstance(chain.sink, MuxStream)
    chain.sink.abort()
    chain.right.far.flush()
    chain.world.settle()
    assert chain.results
    assert chain.results[0].ending is Ending.RESET
    assert chain.left.closed == []
    chain.right.resume_trunk()
    chain.world.settle()
    assert chain.pool.lent == 0
