"""A channel over scripted streams: what passes, what is dropped, how it ends."""

from __future__ import annotations

import pytest

from frpd.net.endpoint import Buffer
from frpd.proto.udp_binary import KEEPALIVE, MAX_DATAGRAM_BYTES, BinaryPackets
from frpd.udp.packet_channel import FLUSH_BYTES, MAX_QUEUED_BYTES, READ_BYTES, PacketChannel
from frpd.udp.traffic import Traffic
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import World, world

__all__ = ["world"]

ANN, BOB = b"ann", b"bob"


class Play:
    """A channel, and what it said to its owner."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.traffic = Traffic()
        self.found: list[tuple[bytes, bytes]] = []
        self.lost: list[str] = []
        self.channel = PacketChannel(world.loop, self.traffic, self._came, self.lost.append)

    def attach(self, limit_bytes: int = MAX_DATAGRAM_BYTES) -> ScriptedEndpoint:
        stream = ScriptedEndpoint(self.world.loop)
        self.channel.attach(stream, BinaryPackets(), limit_bytes)
        return stream

    def put(self, *sent: tuple[bytes, bytes]) -> None:
        for visitor, datagram in sent:
            self.channel.put(visitor, datagram)
        self.channel.flush()

    def _came(self, found: dict[bytes, list[Buffer]]) -> None:
        self.found += [(name, bytes(data)) for name, some in found.items() for data in some]


@pytest.fixture
def play(world: World) -> Play:
    return Play(world)


def wire(*sent: tuple[bytes, bytes]) -> bytes:
    out = bytearray()
    for visitor, datagram in sent:
        BinaryPackets.append(out, visitor, datagram)
    return bytes(out)


def test_what_was_put_leaves_in_one_write(play: Play) -> None:
    stream = play.attach()
    sent = [(ANN, b"1"), (BOB, b"2"), (ANN, b"")]
    for visitor, datagram in sent:
        assert play.channel.put(visitor, datagram)
    assert stream.got == b""
    play.channel.flush()
    assert stream.got == wire(*sent)
    assert play.channel.queued_bytes == 0


def test_much_leaves_before_the_end_of_the_turn(play: Play) -> None:
    stream = play.attach()
    for _ in range(10):
        play.channel.put(ANN, bytes(FLUSH_BYTES))
    assert play.channel.queued_bytes < 2 * FLUSH_BYTES
    play.channel.flush()
    assert stream.got == wire(*[(ANN, bytes(FLUSH_BYTES))] * 10)


def test_what_comes_is_handed_on_by_visitor_and_in_order(play: Play) -> None:
    stream = play.attach()
    sent = [(ANN, b"1"), (ANN, b"2"), (BOB, b"3")]
    data = wire(*sent)
    stream.say(data[:7], data[7:], KEEPALIVE)
    play.world.until(lambda: len(play.found) == 3)
    assert play.found == sent


def test_a_stream_that_takes_little_gets_all_in_order(play: Play) -> None:
    stream = play.attach()
    stream.capacity = 10
    sent = [(ANN, bytes([number]) * 50) for number in range(50)]
    for one in sent:
        play.put(one)
    assert stream.wants == "rw"
    for _ in range(10):
        stream.take(333)
        play.world.turn(3)
    assert stream.got == wire(*sent)
    assert stream.wants == "r"
    assert play.traffic.dropped == 0


def test_a_blocked_stream_costs_the_newest_and_memory_stays_bounded(play: Play) -> None:
    stream = play.attach()
    stream.capacity = 0
    kept = [number for number in range(2000) if play.channel.put(ANN, number.to_bytes(2) * 500)]
    assert kept == list(range(len(kept)))
    assert MAX_QUEUED_BYTES <= play.channel.queued_bytes < MAX_QUEUED_BYTES + 2000
    assert play.traffic.dropped_blocked == 2000 - len(kept)
    stream.take()
    play.world.until(lambda: not play.channel.queued_bytes)
    assert stream.got == wire(*[(ANN, number.to_bytes(2) * 500) for number in kept])
    assert play.channel.put(ANN, b"again")


def test_a_flood_of_the_largest_datagrams_is_bounded_too(play: Play) -> None:
    stream = play.attach()
    stream.capacity = 0
    for _ in range(100):
        play.channel.put(ANN, bytes(MAX_DATAGRAM_BYTES))
    assert play.channel.queued_bytes < MAX_QUEUED_BYTES + MAX_DATAGRAM_BYTES + 100


def test_what_is_longer_than_the_other_end_takes_is_dropped(play: Play) -> None:
    stream = play.attach(limit_bytes=1500)
    play.put((ANN, bytes(1501)), (ANN, bytes(1500)))
    assert stream.got == wire((ANN, bytes(1500)))
    assert play.traffic.dropped_long == 1


def test_the_format_has_a_limit_of_its_own(play: Play) -> None:
    play.attach(limit_bytes=1 << 20)
    assert not play.channel.put(ANN, bytes(MAX_DATAGRAM_BYTES + 1))


def test_without_a_stream_datagrams_are_dropped(play: Play) -> None:
    assert not play.channel.attached
    play.put((ANN, b"early"))
    stream = play.attach()
    play.channel.flush()
    assert (stream.got, play.traffic.dropped_blocked) == (b"", 1)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda stream: stream.end(), "closed by the other end"),
        (lambda stream: stream.reset(), "connection reset by peer"),
        (lambda stream: stream.say(b"\0\0\1"), "udp-binary: record of 0 + 1 bytes"),
    ],
    ids=["end", "reset", "rubbish"],
)
def test_the_end_of_the_stream_is_told_once(play: Play, how: object, reason: str) -> None:
    stream = play.attach()
    assert callable(how)
    how(stream)
    play.world.until(lambda: play.lost)
    play.world.settle()
    assert play.lost == [reason]
    assert stream.acts == ["abort"]
    assert not play.channel.attached


def test_datagrams_before_the_end_arrive(play: Play) -> None:
    stream = play.attach()
    stream.say(wire((ANN, b"last words")))
    stream.end()
    play.world.until(lambda: play.lost)
    assert play.found == [(ANN, b"last words")]


def test_a_write_that_fails_is_told_later_and_once(play: Play) -> None:
    stream = play.attach()
    stream.break_writes()
    play.put((ANN, b"x"))
    assert play.lost == []
    play.world.settle()
    assert play.lost == ["broken pipe"]
    assert stream.acts == ["abort"]


def test_nobody_hears_of_a_loss_when_there_is_a_new_stream_or_none_is_wanted(play: Play) -> None:
    for after in (play.attach, play.channel.close):
        play.attach().break_writes()
        play.put((ANN, b"x"))
        after()
        play.world.settle()
    assert play.lost == []


def test_a_new_stream_replaces_the_old_one_and_what_waited_for_it(play: Play) -> None:
    old = play.attach()
    old.capacity = 5
    play.put((ANN, b"half of this is out"))
    new = play.attach()
    assert old.acts == ["close"]
    play.put((ANN, b"whole"))
    assert new.got == wire((ANN, b"whole"))
    old.say(wire((BOB, b"late")))
    play.world.settle()
    assert play.found == []


def test_a_new_stream_begins_between_records(play: Play) -> None:
    play.attach().say(wire((ANN, b"cut off"))[:5])
    play.world.settle()
    play.attach().say(wire((BOB, b"whole")))
    play.world.until(lambda: play.found)
    assert play.found == [(BOB, b"whole")]


def test_keep_alive_speaks_only_when_nothing_else_does(play: Play) -> None:
    play.channel.keep_alive()
    stream = play.attach()
    play.channel.keep_alive()
    assert stream.got == KEEPALIVE
    stream.capacity = 0
    play.put((ANN, b"x"))
    play.channel.keep_alive()
    stream.take()
    play.world.settle()
    assert stream.got == KEEPALIVE + wire((ANN, b"x"))


def test_it_notes_when_the_peer_was_heard(play: Play) -> None:
    stream = play.attach()
    play.world.clock.advance(50.0)
    stream.say(KEEPALIVE)
    play.world.settle()
    assert play.channel.heard_at == play.world.clock.now()


def test_one_turn_reads_a_bounded_amount(play: Play) -> None:
    stream = play.attach()
    stream.say(wire(*[(ANN, bytes(1000))] * 200))
    play.world.until(lambda: len(play.found) == 200)
    assert stream.most_read == READ_BYTES


def test_an_owner_that_fails_loses_the_stream(play: Play) -> None:
    stream = play.attach()

    def fail(found: dict[bytes, list[Buffer]]) -> None:
        raise ValueError(found)

    play.channel._on_datagrams = fail
    stream.say(wire((ANN, b"x")))
    play.world.until(lambda: play.lost)
    assert play.lost == ["internal error, see the log"]


def test_close_is_silent_and_idempotent(play: Play) -> None:
    stream = play.attach()
    play.channel.close()
    play.channel.close()
    play.world.settle()
    assert (stream.acts, play.lost) == (["close"], [])
