"""MuxStream as an Endpoint: bytes, windows, ends."""

from __future__ import annotations

import pytest

from frpd.errors import ConnectionLost
from frpd.net.endpoint import Outcome
from tests.helpers.world import World
from tests.unit.transports.links import Links, Reader, Writer

WINDOW = 256 * 1024


@pytest.fixture
def links(world: World) -> Links:
    return Links(world)


def test_bytes_travel_both_ways(links: Links) -> None:
    ours, theirs = links.open()
    there, back = Reader(theirs), Reader(ours)
    ours.write(b"question")
    links.world.settle()
    theirs.write(b"answer")
    links.world.settle()
    assert (bytes(there.got), bytes(back.got)) == (b"question", b"answer")


def test_a_stream_of_any_length_arrives_whole_whatever_the_reader_takes_at_a_time(
    links: Links,
) -> None:
    ours, theirs = links.open()
    data = bytes(range(256)) * 8000
    writer = Writer(ours, data)
    reader = Reader(theirs, limit=30_001)
    links.world.until(lambda: len(reader.got) == len(data))
    assert reader.got == data
    assert writer.blocked


def test_what_a_reader_leaves_is_kept_as_a_copy(links: Links) -> None:
    ours, theirs = links.open()
    heard: list[bytes] = []

    def take_five() -> None:
        data = theirs.read(5)
        if not isinstance(data, Outcome):
            heard.append(bytes(data))
        links.world.loop.call_soon(spoil)

    def spoil() -> None:
        links.world.loop.scratch[:100] = bytes(100)  # as another reader's bytes would

    theirs.watch(take_five, None)
    ours.write(b"12345abcdeABCDE")
    links.world.settle()
    assert heard == [b"12345", b"abcde", b"ABCDE"]


def test_bytes_that_nobody_watches_wait_for_a_reader(links: Links) -> None:
    ours, theirs = links.open()
    ours.write(b"first ")
    links.world.settle()
    ours.write(b"second")
    links.world.settle()
    reader = Reader(theirs)
    links.world.settle()
    assert reader.got == b"first second"


def test_small_pieces_are_joined_up_to_the_limit(links: Links) -> None:
    ours, theirs = links.open()
    for piece in (b"aa", b"bb", b"cc", b"dddddd"):
        ours.write(piece)
        links.world.settle()
    assert theirs.read(7) == b"aabbcc"
    assert theirs.read(7) == b"dddddd"
    assert theirs.read(7) is Outcome.EMPTY


def test_a_callback_comes_once_for_each_chunk_of_the_trunk(links: Links) -> None:
    ours, theirs = links.open()
    reader = Reader(theirs)
    for _ in range(10):
        ours.write(b"x")
    links.world.settle()
    assert reader.got == b"x" * 10
    assert reader.calls <= 2


def test_put_back_bytes_come_first_and_give_no_second_credit(links: Links) -> None:
    ours, theirs = links.open()
    ours.write(b"head and payload")
    links.world.settle()
    data = theirs.read(100)
    assert not isinstance(data, Outcome)
    theirs.unread(bytes(data)[5:])
    assert theirs.read(4) == b"and "
    theirs.unread(b"and ")
    ours.write(b" and more")
    links.world.settle()
    reader = Reader(theirs)
    links.world.settle()
    assert reader.got == b"and payload and more"
    big = bytes(WINDOW * 4)
    writer = Writer(ours, big)  # a credit too many would be our own protocol error
    links.world.until(lambda: not writer.left)
    links.world.settle()
    assert len(reader.got) == 20 + len(big)


def test_a_full_window_blocks_until_the_reader_takes_something(links: Links) -> None:
    ours, theirs = links.open()
    writer = Writer(ours, bytes(WINDOW + 1000))
    links.world.settle()
    assert len(writer.left) == 1000
    assert ours.room() == 0
    assert ours.write(b"x") == 0
    Reader(theirs)
    links.world.until(lambda: not writer.left)
    assert ours.room() > 0


def test_a_reader_that_stands_still_stops_only_its_own_stream(links: Links) -> None:
    stuck, _ = links.open()
    free, theirs = links.open()
    Writer(stuck, bytes(WINDOW * 2))
    data = bytes(WINDOW * 4)
    reader = Reader(theirs)
    writer = Writer(free, data)
    links.world.until(lambda: not writer.left)
    links.world.until(lambda: len(reader.got) == len(data))


def test_half_close_lets_the_late_answer_through(links: Links) -> None:
    ours, theirs = links.open()
    there, back = Reader(theirs), Reader(ours)
    ours.write(b"question")
    ours.shutdown_write()
    ours.shutdown_write()
    links.world.settle()
    assert (bytes(there.got), there.end) == (b"question", "eof")
    with pytest.raises(ConnectionLost):
        ours.write(b"more")
    theirs.write(b"late answer")
    theirs.shutdown_write()
    links.world.settle()
    assert (bytes(back.got), back.end) == (b"late answer", "eof")
    ours.close()
    theirs.close()
    assert links.near.stream_count == links.far.stream_count == 0


def test_an_end_behind_bytes_that_waited_is_still_seen(links: Links) -> None:
    ours, theirs = links.open()
    reader = Reader(theirs)
    reader.pause()
    ours.write(b"some bytes")
    ours.shutdown_write()
    links.world.settle()
    reader.resume()
    links.world.settle()
    assert (bytes(reader.got), reader.end) == (b"some bytes", "eof")


def test_a_reset_behind_bytes_that_waited_is_still_seen(links: Links) -> None:
    ours, theirs = links.open()
    reader = Reader(theirs)
    reader.pause()
    ours.write(b"some bytes")
    links.world.settle()
    ours.abort()
    links.world.settle()
    reader.resume()
    links.world.settle()
    assert (bytes(reader.got), reader.end) == (b"some bytes", "connection reset by peer")


def test_a_clean_end_stays_clean_when_the_link_goes_after_it(links: Links) -> None:
    ours, theirs = links.open()
    reader = Reader(theirs)
    reader.pause()
    ours.write(b"all of it")
    ours.shutdown_write()
    links.world.settle()
    links.near.close()
    links.world.settle()
    reader.resume()
    links.world.settle()
    assert (bytes(reader.got), reader.end) == (b"all of it", "eof")
    with pytest.raises(ConnectionLost):
        theirs.write(b"x")


@pytest.mark.parametrize("resetter", ["opener", "accepter"])
def test_a_reset_reaches_the_other_side_from_both(links: Links, resetter: str) -> None:
    ours, theirs = links.open()
    one, other = (ours, theirs) if resetter == "opener" else (theirs, ours)
    reader = Reader(other)
    one.abort()
    one.abort()
    with pytest.raises(ConnectionLost, match="reset here"):
        one.write(b"x")
    links.world.settle()
    assert reader.end == "connection reset by peer"
    with pytest.raises(ConnectionLost, match="reset by peer"):
        other.write(b"x")
    assert links.near.stream_count == links.far.stream_count == 0
    assert links.closed == links.far_closed == []


def test_a_reset_wakes_a_writer_that_waits_for_room(links: Links) -> None:
    ours, theirs = links.open()
    writer = Writer(ours, bytes(WINDOW * 2))
    links.world.settle()
    theirs.abort()
    links.world.settle()
    assert writer.lost == "connection reset by peer"


def test_the_loss_of_the_link_wakes_a_writer_that_waits_for_room(links: Links) -> None:
    ours, _ = links.open()
    writer = Writer(ours, bytes(WINDOW * 2))
    links.world.settle()
    links.near.abort("cut")
    links.world.settle()
    assert writer.lost == "cut"


@pytest.mark.parametrize("loss", ["reset", "link"])
def test_a_loss_after_the_end_was_read_is_told_though_nobody_watches(
    links: Links, loss: str
) -> None:
    near, far = links.open()
    told: list[str] = []
    near.on_failure = lambda: told.append("let go")
    reader = Reader(near)
    far.shutdown_write()
    links.world.until(lambda: reader.end == "eof")
    if loss == "reset":
        far.abort()
    else:
        links.far.abort("gone")
    links.world.until(lambda: told)
    links.world.settle()
    assert told == ["let go"]


def test_close_throws_away_what_still_comes(links: Links) -> None:
    ours, theirs = links.open()
    theirs.write(b"unread")
    links.world.settle()
    ours.close()
    ours.close()
    ours.abort()  # too late to be a reset
    links.world.settle()
    reader = Reader(theirs)
    links.world.settle()
    assert reader.end == "eof"
    assert links.near.stream_count == 0


def test_a_callback_that_raises_kills_only_its_own_stream(
    links: Links, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = links.open()
    others, far_others = links.open()
    failures: list[str] = []

    def bug() -> None:
        raise ValueError("a bug")

    theirs.watch(bug, None)
    theirs.on_failure = lambda: failures.append("told")
    back, reader = Reader(ours), Reader(far_others)
    ours.write(b"x")
    others.write(b"fine")
    links.world.settle()
    assert failures == ["told"]
    assert back.end == "connection reset by peer"
    assert reader.got == b"fine"
    assert caplog.text.count("ValueError: a bug") == 1


def test_a_writer_s_callback_that_raises_kills_only_its_own_stream(links: Links) -> None:
    ours, theirs = links.open()
    back = Reader(theirs)

    def bug() -> None:
        raise ValueError("a bug")

    ours.watch(None, bug)
    links.world.settle()
    assert back.end == "connection reset by peer"
    assert links.closed == []


def test_callbacks_never_run_inside_watch(links: Links) -> None:
    ours, theirs = links.open()
    ours.write(b"x")
    links.world.settle()
    calls: list[str] = []
    theirs.watch(lambda: calls.append("readable"), lambda: calls.append("writable"))
    assert calls == []
    links.world.loop.run_turn(0.0)
    assert calls == ["readable", "writable"]


def test_a_dropped_interest_is_not_called_again(links: Links) -> None:
    ours, theirs = links.open()
    ours.write(b"x")
    links.world.settle()
    reader = Reader(theirs)
    reader.pause()
    links.world.settle()
    assert reader.calls == 0


def test_it_names_the_peer_and_its_number(links: Links) -> None:
    ours, theirs = links.open()
    assert ours.describe() == "far-end:2#1"
    assert theirs.describe() == "near-end:1#1"
