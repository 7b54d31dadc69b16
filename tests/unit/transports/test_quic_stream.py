"""QuicStream: bytes, ends, and how much of them waits where."""

from __future__ import annotations

import random

import pytest

from frpd.errors import ConnectionLost
from frpd.net.endpoint import Endpoint, Outcome
from frpd.transports.quic_connection import FIRST_WINDOW_BYTES, WINDOW_BYTES
from frpd.transports.quic_stream import MAX_UNSENT_BYTES
from tests.helpers.quic import QuicPair
from tests.helpers.world import World
from tests.unit.transports.links import Reader, Writer

DATA = random.Random(3).randbytes(600_000)


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


@pytest.mark.parametrize("every", [0, 7])
def test_bytes_come_out_as_they_went_in_both_ways(world: World, every: int) -> None:
    pair = QuicPair(world)
    pair.join()
    near, far = pair.streams()
    pair.out.loses_every = pair.back.loses_every = every
    there, here = Talk(near, DATA), Talk(far, DATA[::-1])
    pair.until(lambda: len(here.got) == len(there.got) == len(DATA))
    assert here.got == DATA
    assert there.got == DATA[::-1]


def test_a_reader_that_pauses_stops_the_writer_after_one_window(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, far = pair.streams()
    writer = Writer(near, bytes(WINDOW_BYTES * 2))
    pair.settle()
    taken = WINDOW_BYTES * 2 - len(writer.left)
    assert FIRST_WINDOW_BYTES <= taken <= FIRST_WINDOW_BYTES + 1 + MAX_UNSENT_BYTES
    heard = Reader(far)
    pair.until(lambda: len(heard.got) == WINDOW_BYTES * 2)


def test_a_stranger_has_small_windows_and_who_was_let_in_large_ones(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    pair.far.let_in()
    near, far = pair.streams()
    writer = Writer(near, bytes(WINDOW_BYTES * 3))
    heard = Reader(far)
    pair.until(lambda: len(heard.got) > FIRST_WINDOW_BYTES)
    heard.pause()
    before = len(heard.got)
    pair.settle()
    taken = WINDOW_BYTES * 3 - len(writer.left) - before
    assert FIRST_WINDOW_BYTES * 2 < taken <= WINDOW_BYTES + MAX_UNSENT_BYTES


def test_one_that_is_not_read_does_not_stop_the_others(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    pair.far.let_in()
    pair.far.let_streams_in(8)
    stalled, _ = pair.streams()
    Writer(stalled, bytes(WINDOW_BYTES * 2))
    pair.settle()
    near, far = pair.streams()
    heard = Reader(far)
    Writer(near, DATA)
    pair.until(lambda: len(heard.got) == len(DATA))


def test_an_end_travels_alone_and_the_other_direction_goes_on(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, far = pair.streams()
    heard, answered = Reader(far), Reader(near)
    near.write(b"question")
    near.shutdown_write()
    with pytest.raises(ConnectionLost):
        near.write(b"more")
    pair.until(lambda: heard.end)
    assert (heard.end, bytes(heard.got)) == ("eof", b"question")
    far.write(b"answer")
    far.close()
    pair.until(lambda: answered.end)
    assert (answered.end, bytes(answered.got)) == ("eof", b"answer")
    near.close()
    pair.settle()
    assert (pair.near.stream_count, pair.far.stream_count) == (0, 0)


def test_what_a_peer_wrote_before_it_closed_can_be_read_and_writes_go_nowhere(
    world: World,
) -> None:
    pair = QuicPair(world)
    pair.join()
    near, far = pair.streams()
    far.write(b"last words")
    far.close()
    pair.settle()
    assert near.write(b"into the void") == 13
    assert near.read(100) == b"last words"
    assert near.read(100) is Outcome.EOF
    with pytest.raises(ConnectionLost):
        near.write(b"x")
    near.close()
    pair.settle()
    assert (pair.near.stream_count, pair.far.stream_count) == (0, 0)


def test_an_abort_is_a_loss_for_the_peer(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, far = pair.streams()
    heard = Reader(far)
    near.abort()
    pair.until(lambda: heard.end)
    assert heard.end == "connection reset by peer"
    far.close()
    pair.settle()
    assert (pair.near.stream_count, pair.far.stream_count) == (0, 0)


def test_what_is_put_back_is_read_first_and_earns_no_credit_again(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, far = pair.streams()
    near.write(b"0123456789")
    pair.settle()
    assert far.read(4) == b"0123"
    far.unread(b"0123")
    assert far.read(2) == b"01"
    assert far.read(100) == b"23"
    assert far.read(100) == b"456789"
    assert far.read(100) is Outcome.EMPTY
    assert far._read == 11


def test_a_callback_that_fails_costs_its_stream_only(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    pair.far.let_streams_in(8)
    near, far = pair.streams()
    failures: list[str] = []

    def explode() -> None:
        raise ValueError("a bug")

    far.on_failure = lambda: failures.append("told")
    far.watch(explode, None)
    near.write(b"x")
    heard = Reader(near)
    pair.until(lambda: heard.end)
    assert (heard.end, failures) == ("connection reset by peer", ["told"])
    assert pair.streams()


def test_streams_are_lost_with_their_session(world: World) -> None:
    pair = QuicPair(world)
    pair.join()
    near, far = pair.streams()
    told: list[str] = []
    far.on_failure = lambda: told.append("lost")
    near.write(b"end")
    near.shutdown_write()
    pair.settle()
    assert far.read(10) == b"end"
    assert far.read(10) is Outcome.EOF
    heard = Reader(near)
    pair.far.abort("stopping")
    pair.until(lambda: heard.end)
    assert heard.end == "stopping"
    pair.until(lambda: told)
