"""FramedEndpoint: mostly with WebSocket frames, which can be read by eye."""

from __future__ import annotations

import hashlib
import itertools
import socket
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.errors import ConnectionLost
from frpd.net.endpoint import Outcome
from frpd.net.framed import ENCODE_BYTES, READS_PER_CALL, FramedEndpoint
from frpd.net.stream import SocketStream
from frpd.proto.websocket.frames import BINARY, CLOSE, PING, PONG, WebSocketCodec, encode_frame
from frpd.selector_loop import SelectorLoop
from tests.helpers.clock import MockClock
from tests.helpers.duplex import Duplex
from tests.helpers.endpoint import ScriptedEndpoint
from tests.loop.conftest import MakePair

MASK = b"mask"
END = b"\x88\x02\x03\xe8"
PLAIN = b"".join(b"%06d " % (index * 7919 % 1_000_003) for index in range(40_000))


def from_client(opcode: int, payload: bytes) -> bytes:
    return encode_frame(opcode, payload, MASK)


def data(payload: bytes) -> bytes:
    """Return a frame as the server side writes it."""
    return encode_frame(BINARY, payload, None)


@pytest.fixture
def inner(loop: SelectorLoop) -> ScriptedEndpoint:
    return ScriptedEndpoint(loop)


@pytest.fixture
def endpoint(inner: ScriptedEndpoint) -> FramedEndpoint:
    return FramedEndpoint(inner, WebSocketCodec(None))


def run(loop: SelectorLoop, turns: int = 10) -> None:
    for _ in range(turns):
        loop.run_turn()


def run_until(loop: SelectorLoop, is_over: Callable[[], object]) -> None:
    for _ in range(5000):
        if is_over():
            return
        loop.run_turn(0.01)
    raise AssertionError("still not over")


# Both directions.


def test_all_bytes_arrive_both_ways_through_tiny_buffers(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    ends = []
    for sock, codec in zip(
        make_pair(), (WebSocketCodec(lambda: MASK), WebSocketCodec(None)), strict=True
    ):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        stream = SocketStream(loop, sock, ("peer", 1))
        ends.append(Duplex(FramedEndpoint(stream, codec), PLAIN * 4, shut=True))
    run_until(loop, lambda: all(end.end for end in ends))
    for end in ends:
        assert end.end == "eof"
        assert hashlib.sha256(end.got).digest() == hashlib.sha256(PLAIN * 4).digest()
        assert end.blocked > 0
        end.endpoint.close()


@settings(max_examples=25)
@given(
    pieces=st.lists(st.integers(1, 100_000), min_size=1, max_size=6),
    cuts=st.lists(st.sampled_from([1, 2, 3, 17, 1000, 70_000]), min_size=1, max_size=6),
    sizes=st.lists(st.sampled_from([0, 1, 30, 5000]), max_size=6),
)
def test_bytes_survive_any_cut(pieces: list[int], cuts: list[int], sizes: list[int]) -> None:
    loop = SelectorLoop(MockClock())
    inner = ScriptedEndpoint(loop)
    inner.write_sizes = itertools.cycle([*sizes, 70_000])
    peer = WebSocketCodec(lambda: MASK)
    wire = b"".join(peer.encode(PLAIN[:size]) for size in pieces) + peer.finish()
    position = 0
    for size in itertools.cycle(cuts):
        if position >= min(len(wire), 500 * size):
            break
        inner.say(wire[position : position + size])
        position += size
    inner.say(wire[position:])
    user = Duplex(
        FramedEndpoint(inner, WebSocketCodec(None)),
        PLAIN[: sum(pieces)],
        shut=True,
        piece=max(pieces[0], sum(pieces) // 200),  # or it takes a turn for every byte
    )
    run_until(loop, lambda: user.end and inner.got.endswith(END))
    loop.close()
    assert user.got == b"".join(PLAIN[:size] for size in pieces)
    assert bytes(peer.decode(inner.got)) == PLAIN[: sum(pieces)]
    assert (user.end, peer.ended, inner.acts) == ("eof", True, [])


# Writing.


def test_a_write_stops_at_the_first_frame_that_has_to_wait(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    inner.capacity = ENCODE_BYTES + 1000
    plain = bytes(5 * ENCODE_BYTES)
    assert endpoint.write(plain) == 2 * ENCODE_BYTES
    assert endpoint.room() == 0
    assert endpoint.write(plain) == 0
    calls: list[int] = []
    endpoint.watch(None, lambda: calls.append(endpoint.room()))
    run(loop)
    assert calls == []
    inner.take()
    run(loop)
    assert calls
    assert all(calls)
    assert inner.got == data(bytes(ENCODE_BYTES)) * 2


def test_an_empty_write_costs_nothing(inner: ScriptedEndpoint, endpoint: FramedEndpoint) -> None:
    assert endpoint.write(b"") == 0
    assert inner.got == b""


def test_a_blocked_flush_does_not_spin(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    inner.capacity = 0
    endpoint.watch(None, lambda: None)
    endpoint.write(b"waits")
    run(loop, 100)
    assert inner.writer_calls == 0
    endpoint.watch(None, None)
    inner.take()
    run(loop)
    assert inner.got == data(b"waits")
    assert inner.wants == ""


def test_a_write_to_a_lost_peer_is_told(inner: ScriptedEndpoint, endpoint: FramedEndpoint) -> None:
    inner.break_writes()
    with pytest.raises(ConnectionLost, match="broken pipe"):
        endpoint.write(b"x")


def test_a_loss_while_frames_wait_is_told_to_the_writer(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    inner.capacity = 0
    user = Duplex(endpoint, bytes(10 * ENCODE_BYTES))
    run(loop)
    inner.break_writes()
    run(loop)
    assert user.lost == "broken pipe"


# Reading.


def test_a_reader_of_nothing_but_pings_gives_others_their_turn(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    inner.say(*[from_client(PING, b"?")] * (READS_PER_CALL + 1), from_client(BINARY, b"data"))
    assert endpoint.read(100) is Outcome.EMPTY
    assert inner.unread_bytes
    user = Duplex(endpoint)
    run(loop)
    assert user.got == b"data"


def test_pings_are_answered_while_reading(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    Duplex(endpoint)
    inner.say(from_client(PING, b"one"))
    run(loop)
    inner.say(from_client(PING, b"two"))
    run(loop)
    assert inner.got == encode_frame(PONG, b"one", None) + encode_frame(PONG, b"two", None)


def test_a_peer_that_pings_and_does_not_read_costs_nothing(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    Duplex(endpoint)
    inner.capacity = 2
    for index in range(100):
        inner.say(from_client(PING, b"%d" % index))
    run(loop, 200)
    assert inner.unread_bytes == 0
    inner.take()
    run(loop)
    # What had begun is finished, and then the newest.
    assert inner.got == encode_frame(PONG, b"0", None) + encode_frame(PONG, b"99", None)


def test_a_pong_to_a_lost_peer_is_the_reader_s_affair(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    user = Duplex(endpoint)
    inner.break_writes()
    inner.say(from_client(PING, b"?"), from_client(BINARY, b"still read"))
    inner.end()
    run(loop)
    assert (user.got, user.end) == (b"still read", "eof")


def test_bytes_put_back_come_first_and_are_announced(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    inner.say(from_client(BINARY, b" and more"))
    endpoint.unread(b"back")
    endpoint.unread(b"put ")
    user = Duplex(endpoint)
    run(loop)
    assert user.got == b"put back and more"


def test_bytes_put_back_are_announced_until_they_are_read(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    calls: list[str] = []
    endpoint.unread(b"put back")
    endpoint.watch(lambda: calls.append("read"), lambda: calls.append("write"))
    run(loop, 3)
    assert calls == ["read", "write"] * 2 + calls[4:]
    assert endpoint.read(100) == b"put back"
    endpoint.watch(lambda: calls.append("read"), None)
    run(loop)
    calls.clear()
    run(loop)
    assert calls == []
    assert inner.wants == "r"


@pytest.mark.parametrize("act", ["close", "abort"])
def test_a_reader_of_what_was_put_back_may_end_it(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint, act: str
) -> None:
    calls: list[str] = []
    endpoint.unread(b"put back")
    endpoint.watch(getattr(endpoint, act), lambda: calls.append("write"))
    run(loop)
    assert inner.acts == [act]
    assert inner.wants == ""
    assert calls == []


def test_what_the_handshake_left_is_read_and_sent(
    loop: SelectorLoop, inner: ScriptedEndpoint
) -> None:
    endpoint = FramedEndpoint(inner, WebSocketCodec(None), decoded=b"early", pending=b"answer")
    assert endpoint.write(b"not yet") == 0
    user = Duplex(endpoint)
    run(loop)
    assert (user.got, inner.got) == (b"early", b"answer")


# Ends.


def test_an_end_inside_the_frames_is_an_end_though_the_connection_stays(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    user = Duplex(endpoint)
    inner.say(from_client(BINARY, b"last") + from_client(CLOSE, b"\x03\xe8"))
    run(loop)
    assert (user.got, user.end) == (b"last", "eof")
    user.send(b"still")
    run(loop)
    assert inner.got == data(b"still")
    assert inner.acts == []
    endpoint.close()
    assert inner.got == data(b"still") + END
    assert inner.acts == ["close"]


def test_an_end_is_announced_until_nobody_watches(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    reads: list[object] = []
    endpoint.watch(lambda: reads.append(endpoint.read(10)), None)
    inner.say(from_client(CLOSE, b""))
    run(loop)
    assert len(reads) > 2
    assert set(reads) == {Outcome.EOF}
    endpoint.watch(None, None)
    reads.clear()
    run(loop)
    assert reads == []


def test_a_half_close_leaves_the_connection_open(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    endpoint.shutdown_write()
    endpoint.shutdown_write()
    assert (inner.got, inner.acts) == (END, [])
    user = Duplex(endpoint)
    inner.say(from_client(PING, b"?"), from_client(BINARY, b"goes on"))
    run(loop)
    assert user.got == b"goes on"
    assert inner.got == END
    with pytest.raises(ConnectionLost, match="this direction is closed"):
        endpoint.write(b"more")
    endpoint.close()
    assert (inner.got, inner.acts) == (END, ["close"])


def test_an_end_goes_behind_the_frames_that_wait(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    inner.capacity = 3
    endpoint.write(b"last words")
    endpoint.shutdown_write()
    endpoint.close()
    endpoint.close()
    calls: list[str] = []
    endpoint.watch(lambda: calls.append("read"), lambda: calls.append("write"))
    run(loop)
    assert inner.acts == []
    inner.say(from_client(BINARY, b"nobody listens"))
    inner.take()
    run(loop)
    assert inner.got == data(b"last words") + END
    assert inner.acts == ["close"]
    assert calls == []


def test_a_close_does_not_wait_for_a_peer_that_is_lost(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    inner.capacity = 0
    endpoint.write(b"last words")
    endpoint.close()
    inner.break_writes()
    run(loop)
    assert inner.acts == ["close"]


def test_an_end_to_a_lost_peer_is_no_error(
    inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    inner.break_writes()
    endpoint.shutdown_write()
    endpoint.close()
    assert inner.acts == ["close"]


def test_an_abort_after_a_close_drops_what_waits(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    inner.capacity = 0
    endpoint.write(b"last words")
    endpoint.close()
    endpoint.abort()
    assert inner.acts == ["abort"]
    inner.take()
    run(loop)
    assert inner.got == b""


def test_a_connection_that_just_ends_between_frames_is_an_end(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    user = Duplex(endpoint)
    inner.say(from_client(BINARY, b"data"))
    inner.end()
    run(loop)
    assert (user.got, user.end) == (b"data", "eof")


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (from_client(BINARY, b"data")[:-1], "websocket: cut inside a frame"),
        (from_client(CLOSE, b"\x03\xf1"), "websocket: closed by the peer with code 1009"),
    ],
)
def test_a_stream_that_was_cut_is_lost_and_not_ended(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint, stream: bytes, why: str
) -> None:
    user = Duplex(endpoint)
    inner.say(stream)
    inner.end()
    run(loop)
    assert user.end == why


def test_a_peer_that_breaks_the_protocol_is_told(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    user = Duplex(endpoint)
    inner.say(b"\xff\xff")
    run(loop)
    assert user.end == "websocket: reserved bits are set"
    assert inner.got == b"\x88\x02\x03\xea"
    inner.say(b"\x00")
    with pytest.raises(ConnectionLost, match="reserved bits"):
        endpoint.read(10)


def test_a_reset_is_a_loss(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: FramedEndpoint
) -> None:
    user = Duplex(endpoint)
    inner.reset()
    run(loop)
    assert user.end == "connection reset by peer"
