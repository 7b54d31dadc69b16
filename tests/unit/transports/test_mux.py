"""MuxLink: one connection, many streams; both ends on one loop, or a raw peer."""

from __future__ import annotations

import struct

import pytest

from frpd.errors import TransportError
from frpd.proto.yamux.session import YamuxSession
from frpd.transports.mux import MuxLink
from frpd.transports.mux_stream import MuxStream
from tests.helpers.compiled import needs_source
from tests.helpers.peers import MuxPeer, Wire
from tests.helpers.world import World
from tests.unit.transports.links import Links, Reader, Writer, carrier_sends, fail

SYN, ACK, FIN, RST = 1, 2, 4, 8


def frame(kind: int, flags: int, stream_id: int, value: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BBHII", 0, kind, flags, stream_id, value) + payload


class RawPeer:
    """A MuxLink of ours, as a server, and the bare connection at its other end."""

    def __init__(self, world: World) -> None:
        near, far = world.pair()
        self.wire = Wire(world, far)
        self.streams: list[MuxStream] = []
        self.closed: list[str] = []
        self.link = MuxLink(
            world.loop,
            near,
            YamuxSession(is_client=False, now=world.loop.now()),
            on_stream=self.streams.append,
            on_closed=self.closed.append,
        )


@pytest.mark.parametrize("count", [300, 1500])  # the second waits more than once
def test_many_opens_at_once_wait_for_their_acknowledgements_and_all_get_through(
    world: World, count: int
) -> None:
    links = Links(world)
    opened: list[MuxStream] = []
    for _ in range(count):
        links.near.open_stream(opened.append, fail)
    assert len(opened) == 256
    world.until(lambda: len(links.accepted) == count)
    assert len(opened) == count
    ids = [stream.stream_id for stream in opened]
    assert ids == sorted(ids)
    assert (links.near.stream_count, links.far.stream_count) == (count, count)


def test_an_open_on_a_dead_link_fails(world: World) -> None:
    links = Links(world)
    links.near.abort("enough")
    errors: list[TransportError] = []
    links.near.open_stream(lambda _: pytest.fail("opened"), errors.append)
    assert [str(error) for error in errors] == ["the connection is closed"]


def test_opens_that_wait_fail_with_the_link(world: World) -> None:
    links = Links(world)
    opened: list[MuxStream] = []
    errors: list[TransportError] = []
    for _ in range(300):
        links.near.open_stream(opened.append, errors.append)
    links.near.abort("enough")
    assert errors == []  # never inside abort()
    world.settle()
    assert [str(error) for error in errors] == ["enough"] * 44


def test_opens_that_wait_fail_when_the_peer_takes_no_more(world: World) -> None:
    near, far = world.pair()
    peer = MuxPeer(world, Wire(world, far), is_client=False)
    session = YamuxSession(is_client=True, now=0.0)
    link = MuxLink(world.loop, near, session, on_stream=fail_stream, on_closed=pytest.fail)
    opened: list[MuxStream] = []
    errors: list[TransportError] = []
    peer.answers = False
    for _ in range(300):
        link.open_stream(opened.append, errors.append)
    world.settle()
    peer.session.go_away()
    peer.answers = True
    world.settle()
    assert len(opened) == 256
    assert len(errors) == 44
    assert "no new streams" in str(errors[0])


def fail_stream(stream: MuxStream) -> None:
    raise AssertionError(stream)


def test_after_a_go_away_nothing_can_be_opened_but_streams_go_on(world: World) -> None:
    links = Links(world)
    ours, theirs = links.open()
    links.far.go_away()
    world.settle()
    errors: list[TransportError] = []
    links.near.open_stream(lambda _: pytest.fail("opened"), errors.append)
    assert len(errors) == 1
    ours.write(b"still here")
    reader = Reader(theirs)
    world.settle()
    assert reader.got == b"still here"
    assert links.closed == links.far_closed == []


def test_keepalive_pings_are_answered_for_ever(world: World) -> None:
    links = Links(world)
    for _ in range(20):
        world.advance(15)
    assert links.closed == links.far_closed == []


def test_a_silent_peer_ends_the_link_after_the_keepalive(world: World) -> None:
    peer = RawPeer(world)
    world.advance(29.9)
    assert peer.wire.received == b""
    world.advance(0.2)
    assert peer.wire.received == frame(2, SYN, 0, 0)
    world.advance(9.8)
    assert peer.closed == []
    world.advance(0.2)
    assert peer.closed == ["yamux keepalive: no answer"]
    world.until(lambda: peer.wire.end)
    assert world.loop.watch_count == 0
    assert world.loop.timer_count == 0


def test_without_a_keepalive_an_open_that_is_never_acknowledged_still_ends_the_link(
    world: World,
) -> None:
    near, far = world.pair()
    closed: list[str] = []
    session = YamuxSession(is_client=True, now=world.loop.now(), keepalive_seconds=None)
    link = MuxLink(world.loop, near, session, on_stream=fail_stream, on_closed=closed.append)
    link.open_stream(lambda _: None, fail)
    world.advance(76)
    assert closed == ["yamux: the peer did not acknowledge an open"]
    far.close()


def test_frames_of_one_turn_leave_in_one_send(world: World) -> None:
    links = Links(world)
    streams = [links.open()[0] for _ in range(20)]
    sizes = carrier_sends(links.near_carrier)
    for stream in streams:
        stream.write(b"hello")
    assert sizes == []
    world.turn()
    assert sizes == [20 * (12 + 5)]


def test_much_output_does_not_wait_for_the_end_of_the_turn(world: World) -> None:
    links = Links(world)
    ours, _ = links.open()
    sizes = carrier_sends(links.near_carrier)
    ours.write(bytes(100_000))
    assert sum(sizes) == 100_012


def test_answers_to_what_one_chunk_brought_leave_in_one_send(world: World) -> None:
    links = Links(world)
    pairs = [links.open() for _ in range(10)]
    for _, theirs in pairs:
        theirs.watch(lambda stream=theirs: echo(stream), None)  # type: ignore[misc]
    for ours, _ in pairs:
        ours.write(b"question")
    sizes = carrier_sends(links.far_carrier)
    world.settle()
    assert sizes == [10 * (12 + 8)]


def echo(stream: MuxStream) -> None:
    data = stream.read(1000)
    assert not isinstance(data, str)
    if isinstance(data, bytes | memoryview):
        stream.write(data)


def test_a_blocked_trunk_wakes_its_streams_in_turn(world: World) -> None:
    near, far = world.pair()
    wire = Wire(world, far)
    wire.reads = False
    peer = MuxPeer(world, wire, is_client=False)
    session = YamuxSession(is_client=True, now=0.0, keepalive_seconds=None)
    link = MuxLink(world.loop, near, session, on_stream=fail_stream, on_closed=pytest.fail)
    streams: list[MuxStream] = []
    for _ in range(30):
        link.open_stream(streams.append, fail)
    data = bytes(range(256)) * 900  # within each stream's window, above the trunk's in sum
    writers = [Writer(stream, data) for stream in streams]
    world.settle()
    assert any(writer.left for writer in writers)
    stuck = [len(writer.left) for writer in writers]
    wire.reads = True
    world.until(lambda: not any(writer.left for writer in writers))
    world.settle()
    assert all(bytes(stream.received) == data for stream in peer.streams.values())
    assert any(stuck)


def test_a_trunk_that_takes_nothing_does_not_pile_up_more_than_the_high_water(
    world: World,
) -> None:
    near, far = world.pair()
    wire = Wire(world, far)
    wire.reads = False
    session = YamuxSession(is_client=True, now=0.0, keepalive_seconds=None)
    link = MuxLink(world.loop, near, session, on_stream=fail_stream, on_closed=pytest.fail)
    streams: list[MuxStream] = []
    for _ in range(100):
        link.open_stream(streams.append, fail)
    writers = [Writer(stream, bytes(200_000)) for stream in streams]
    world.settle()
    assert all(writer.left for writer in writers[60:])
    assert session.output_bytes < 300 * 1024


def test_close_sends_what_was_queued(world: World) -> None:
    links = Links(world)
    ours, theirs = links.open()
    reader = Reader(theirs)
    world.settle()
    ours.write(b"last words")
    links.near.close()
    links.near.close()
    world.until(lambda: reader.end)
    assert reader.got == b"last words"
    assert links.closed == ["closed here"]
    assert links.far_closed == ["closed by the peer"]
    assert world.loop.watch_count == world.loop.timer_count == 0


def blocked_link(world: World) -> tuple[MuxLink, MuxStream, Wire, list[str]]:
    """Return a link whose peer reads nothing and whose trunk is full."""
    near, far = world.pair()
    wire = Wire(world, far)
    wire.reads = False
    closed: list[str] = []
    session = YamuxSession(is_client=True, now=world.loop.now())
    link = MuxLink(world.loop, near, session, on_stream=fail_stream, on_closed=closed.append)
    streams: list[MuxStream] = []
    for _ in range(50):
        link.open_stream(streams.append, fail)
    for stream in streams:
        Writer(stream, bytes(200_000))
    world.settle()
    assert session.output_bytes
    return link, streams[0], wire, closed


def test_close_waits_for_a_trunk_that_is_full(world: World) -> None:
    link, _, wire, closed = blocked_link(world)
    link.close()
    world.settle()
    assert closed == []
    wire.reads = True
    world.until(lambda: closed)
    assert closed == ["closed here"]
    world.until(lambda: wire.end)


def test_close_does_not_wait_for_ever_for_a_peer_that_talks_and_never_reads(world: World) -> None:
    link, _, wire, closed = blocked_link(world)
    link.close()
    for _ in range(12):
        wire.write(frame(2, ACK, 0, 99))  # a sign of life, so that no keepalive ends it
        world.advance(1)
    assert closed == ["closed here"]
    assert world.loop.watch_count == world.loop.timer_count == 0


def test_the_loss_of_the_link_reaches_every_stream_behind_its_bytes(world: World) -> None:
    links = Links(world)
    pairs = [links.open() for _ in range(5)]
    for ours, _ in pairs:
        ours.write(b"before the end")
    world.settle()
    links.near.abort("cut")
    world.settle()
    readers = [Reader(theirs) for _, theirs in pairs]
    world.settle()
    assert [bytes(reader.got) for reader in readers] == [b"before the end"] * 5
    assert {reader.end for reader in readers} == {"connection reset by peer"}
    assert links.far_closed == ["connection reset by peer"]
    assert links.closed == ["cut"]
    assert links.near.stream_count == links.far.stream_count == 0


def test_on_closed_never_comes_inside_a_call(world: World) -> None:
    links = Links(world)
    links.near.abort("cut")
    assert links.closed == []
    world.settle()
    assert links.closed == ["cut"]


@pytest.mark.parametrize(
    ("bytes_", "reason"),
    [
        (b"\x01" + bytes(11), "unknown version"),
        (frame(9, 0, 1, 0), "unknown frame type"),
        (frame(1, SYN, 1, 0) * 2, "a SYN for a stream in use"),
        (frame(1, SYN, 1, 0) + frame(1, FIN, 1, 0) * 2, "a second FIN"),
        (frame(1, SYN, 1, 0) + frame(0, 0, 1, 300_000), "more data than its window"),
        (frame(1, SYN, 1, 0xFFFFFFFF) + frame(1, 0, 1, 0xFFFFFFFF), "a window above 32 bits"),
        (frame(3, 0, 0, 1), "go away: protocol error"),
    ],
)
def test_a_peer_that_breaks_yamux_ends_its_own_connection_only(
    world: World, bytes_: bytes, reason: str
) -> None:
    neighbours = Links(world)
    ours, theirs = neighbours.open()
    reader = Reader(theirs)
    peer = RawPeer(world)
    peer.wire.write(bytes_)
    world.until(lambda: peer.closed)
    assert reason in peer.closed[0]
    world.until(lambda: peer.wire.end)
    ours.write(b"undisturbed")
    world.settle()
    assert reader.got == b"undisturbed"


def test_streams_hear_of_a_violation_behind_the_bytes_that_came_before_it(world: World) -> None:
    peer = RawPeer(world)
    peer.wire.write(frame(1, SYN, 1, 0))
    world.settle()
    reader = Reader(peer.streams[0])
    peer.wire.write(frame(0, 0, 1, 5, b"valid") + frame(9, 0, 0, 0))
    world.settle()
    assert reader.got == b"valid"
    assert "unknown frame type" in reader.end


def test_a_new_stream_that_its_owner_cannot_take_is_reset_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = world.pair()
    peer = MuxPeer(world, Wire(world, far), is_client=True)
    taken: list[MuxStream] = []

    def take(stream: MuxStream) -> None:
        if not taken:
            taken.append(stream)
            raise ValueError("a bug")
        taken.append(stream)

    MuxLink(
        world.loop,
        near,
        YamuxSession(is_client=False, now=0.0),
        on_stream=take,
        on_closed=pytest.fail,
    )
    first, second = peer.open(), peer.open()
    world.until(lambda: first.end)
    assert first.end == "reset"
    assert second.end == ""
    assert "ValueError: a bug" in caplog.text


def test_data_for_a_stream_that_was_closed_here_gives_its_credit_back(world: World) -> None:
    links = Links(world)
    ours, theirs = links.open()
    theirs.close()
    writer = Writer(ours, bytes(1_000_000))
    world.until(lambda: not writer.left)
    assert writer.lost == ""


@needs_source(MuxLink)
def test_a_bug_in_the_trunk_s_callback_ends_the_link(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = Links(world)
    ours, theirs = links.open()
    reader = Reader(theirs)

    def broken(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(MuxLink, "_deliver", broken)
    ours.write(b"x")
    world.settle()
    assert links.far_closed == ["internal error, see the log"]
    assert reader.end == "internal error, see the log"
