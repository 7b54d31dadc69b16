from __future__ import annotations

import itertools
import socket
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.errors import ConnectionLost
from frpd.net.coded import RAW_READ_BYTES
from frpd.net.endpoint import Callback, Outcome
from frpd.net.stream import SocketStream
from frpd.net.transform import TransformEndpoint
from frpd.proto.deflate import DeflateCodec
from frpd.proto.seal import SealedCodec, StreamSeal
from frpd.proto.wrappers import wrapper_stack
from frpd.selector_loop import SelectorLoop
from tests.helpers.clock import MockClock
from tests.helpers.endpoint import ScriptedEndpoint
from tests.loop.conftest import MakePair

KEY = b"k" * 16
STACKS = pytest.mark.parametrize(
    ("encrypt", "compress"),
    [(True, False), (False, True), (True, True)],
    ids=["encrypted", "compressed", "both"],
)
# Compresses a little and does not repeat within a chunk.
PLAIN = b"".join(b"%06d " % (index * 7919 % 1_000_003) for index in range(40_000))


def wrap(
    inner: ScriptedEndpoint | SocketStream, *, encrypt: bool, compress: bool, iv: bytes = b"i" * 16
) -> TransformEndpoint:
    key = KEY if encrypt else None
    return TransformEndpoint(inner, wrapper_stack(key=key, compress=compress, iv=iv))


def coded(data: bytes, *, encrypt: bool, compress: bool) -> bytes:
    for codec in wrapper_stack(key=KEY if encrypt else None, compress=compress, iv=b"p" * 16):
        data = codec.encode(data)
    return data


def decoded(data: bytes, *, encrypt: bool, compress: bool) -> bytes:
    stack = wrapper_stack(key=KEY if encrypt else None, compress=compress, iv=b"p" * 16)
    for codec in reversed(stack):
        data = codec.decode(data)
    return data


class Sender:
    """Writes all of its data and then ends its direction."""

    def __init__(self, endpoint: TransformEndpoint, data: bytes, piece: int) -> None:
        self.endpoint = endpoint
        self.left = data
        self.piece = piece
        self.blocked = 0

    def on_writable(self) -> None:
        while self.left:
            taken = self.endpoint.write(self.left[: self.piece])
            self.left = self.left[taken:]
            if not taken:
                self.blocked += 1
                return
        self.endpoint.shutdown_write()
        self.endpoint.watch(None, None)


class Receiver:
    """Reads until the end; leaves the writer's interest alone."""

    def __init__(self, endpoint: TransformEndpoint, on_writable: Callback | None = None) -> None:
        self.endpoint = endpoint
        self.got = bytearray()
        self.ended = False
        self.lost = ""
        self._on_writable = on_writable
        endpoint.watch(self.on_readable, on_writable)

    def stop_writing(self) -> None:
        self._on_writable = None
        self.endpoint.watch(None if self.ended else self.on_readable, None)

    def on_readable(self) -> None:
        try:
            data = self.endpoint.read(RAW_READ_BYTES)
        except ConnectionLost as error:
            self.lost = str(error)
            self.endpoint.watch(None, self._on_writable)
            return
        if isinstance(data, Outcome):
            if data is Outcome.EOF:
                self.ended = True
                self.endpoint.watch(None, self._on_writable)
            return
        self.got += data


def run_until(loop: SelectorLoop, is_over: Callable[[], object]) -> None:
    for _ in range(5000):
        if is_over():
            return
        loop.run_turn(0.01)
    raise AssertionError("still not over")


def small_pair(loop: SelectorLoop, make_pair: MakePair) -> tuple[SocketStream, SocketStream]:
    near, far = make_pair()
    for end in (near, far):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return SocketStream(loop, near, ("near", 1)), SocketStream(loop, far, ("far", 2))


@STACKS
def test_all_bytes_arrive_through_tiny_buffers(
    loop: SelectorLoop, make_pair: MakePair, encrypt: bool, compress: bool
) -> None:
    near, far = small_pair(loop, make_pair)
    sender = Sender(wrap(near, encrypt=encrypt, compress=compress), PLAIN, 50_000)
    receiver = Receiver(wrap(far, encrypt=encrypt, compress=compress))
    sender.endpoint.watch(None, sender.on_writable)
    run_until(loop, lambda: receiver.ended)
    assert receiver.got == PLAIN
    assert sender.blocked > 0
    sender.endpoint.close()
    receiver.endpoint.close()
    assert near.closed
    assert far.closed


@STACKS
@settings(max_examples=25)
@given(
    pieces=st.lists(st.integers(1, 100_000), min_size=1, max_size=6),
    cuts=st.lists(st.sampled_from([1, 2, 3, 17, 1000, 70_000]), min_size=1, max_size=6),
    sizes=st.lists(st.sampled_from([0, 1, 30, 5000]), max_size=6),
)
def test_bytes_survive_any_cut(
    encrypt: bool, compress: bool, pieces: list[int], cuts: list[int], sizes: list[int]
) -> None:
    loop = SelectorLoop(MockClock())
    inner = ScriptedEndpoint(loop)
    inner.write_sizes = itertools.cycle([*sizes, 70_000])
    endpoint = wrap(inner, encrypt=encrypt, compress=compress)
    wire = coded(PLAIN[: sum(pieces)], encrypt=encrypt, compress=compress)
    position = 0
    for size in itertools.cycle(cuts):
        if position >= min(len(wire), 500 * size):
            break
        inner.say(wire[position : position + size])
        position += size
    inner.say(wire[position:])
    inner.end()
    left = PLAIN[: sum(pieces)]
    sent = iter(pieces)
    size = next(sent)

    def on_writable() -> None:
        nonlocal left, size
        taken = endpoint.write(left[:size])
        assert taken in (0, len(left[:size]))
        left = left[taken:]
        size = next(sent, len(left)) if taken else size
        if not left:
            endpoint.shutdown_write()
            receiver.stop_writing()

    receiver = Receiver(endpoint, on_writable)
    run_until(loop, lambda: receiver.ended and inner.acts)
    loop.close()
    assert receiver.got == PLAIN[: sum(pieces)]
    assert decoded(inner.got, encrypt=encrypt, compress=compress) == receiver.got
    assert inner.acts == ["end"]


@pytest.fixture
def inner(loop: SelectorLoop) -> ScriptedEndpoint:
    return ScriptedEndpoint(loop)


@pytest.fixture
def endpoint(inner: ScriptedEndpoint) -> TransformEndpoint:
    return wrap(inner, encrypt=True, compress=False)


def run(loop: SelectorLoop, turns: int = 10) -> None:
    for _ in range(turns):
        loop.run_turn()


def plain_of(inner: ScriptedEndpoint) -> bytes:
    return decoded(inner.got, encrypt=True, compress=False)


# Writing.


def test_nothing_more_is_taken_while_coded_bytes_wait(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    inner.capacity = 10
    assert endpoint.write(b"first") == 5
    assert endpoint.room() == 0
    assert endpoint.write(b"second") == 0
    calls: list[int] = []
    endpoint.watch(None, lambda: calls.append(endpoint.room()))
    run(loop)
    assert calls == []
    inner.take(5)
    run(loop)
    assert calls == []
    inner.take()
    run(loop)
    assert calls
    assert all(calls)
    assert endpoint.write(b"second") == 6
    assert plain_of(inner) == b"firstsecond"


def test_an_empty_write_costs_nothing(inner: ScriptedEndpoint, endpoint: TransformEndpoint) -> None:
    assert endpoint.write(b"") == 0
    assert inner.got == b""


def test_what_waits_goes_out_without_anybody_watching(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    inner.capacity = 0
    endpoint.write(b"waits")
    inner.take()
    run(loop)
    assert plain_of(inner) == b"waits"
    assert inner.wants == ""


def test_a_blocked_flush_does_not_spin(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    inner.capacity = 0
    endpoint.watch(None, lambda: None)
    endpoint.write(b"waits")
    run(loop, 100)
    assert inner.writer_calls == 0


def test_an_end_waits_for_what_was_taken(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    inner.capacity = 10
    endpoint.write(b"last words")
    endpoint.shutdown_write()
    run(loop)
    assert inner.acts == []
    inner.take()
    run(loop)
    assert inner.acts == ["end"]
    assert plain_of(inner) == b"last words"


def test_an_end_with_nothing_waiting_goes_out_at_once(
    inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    endpoint.write(b"x")
    endpoint.shutdown_write()
    assert inner.acts == ["end"]


def test_a_loss_found_while_flushing_is_for_the_next_write(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    inner.capacity = 0
    endpoint.write(b"waits")
    losses: list[str] = []

    def on_writable() -> None:
        with pytest.raises(ConnectionLost) as caught:
            endpoint.write(b"more")
        losses.append(str(caught.value))
        endpoint.watch(None, None)

    endpoint.watch(None, on_writable)
    inner.break_writes("gone")
    run(loop)
    assert losses == ["gone"]


# Reading.


@pytest.mark.parametrize("wire", [b"\x00\x00\x00\x00junk", b"\xff\x06\x00\x00sNaPpX"])
def test_a_corrupt_stream_is_a_loss(loop: SelectorLoop, wire: bytes) -> None:
    inner = ScriptedEndpoint(loop)
    inner.say(wire)
    receiver = Receiver(wrap(inner, encrypt=False, compress=True))
    run(loop)
    assert receiver.lost.startswith("corrupt stream: snappy: ")


def test_a_reset_is_a_loss(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    inner.say(coded(b"before", encrypt=True, compress=False))
    inner.reset("gone")
    receiver = Receiver(endpoint)
    run(loop)
    assert receiver.got == b"before"
    assert receiver.lost == "gone"


def test_a_read_that_yields_nothing_yet_is_empty(
    inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    wire = coded(b"plain", encrypt=True, compress=False)
    inner.say(wire[:5], wire[5:16])
    assert endpoint.read(100) is Outcome.EMPTY
    inner.say(wire[16:])
    assert endpoint.read(100) == b"plain"


def test_reads_are_modest(inner: ScriptedEndpoint, endpoint: TransformEndpoint) -> None:
    inner.say(bytes(RAW_READ_BYTES * 2))
    endpoint.read(1 << 30)
    assert inner.most_read == RAW_READ_BYTES
    assert len(bytes(as_plain(endpoint.read(10)))) == 10


def as_plain(data: object) -> bytes:
    assert isinstance(data, bytes | bytearray | memoryview)
    return bytes(data)


def test_what_is_put_back_comes_first(inner: ScriptedEndpoint, endpoint: TransformEndpoint) -> None:
    inner.say(coded(b"tail", encrypt=True, compress=False))
    endpoint.unread(b"head")
    endpoint.unread(b"ahead ")
    assert as_plain(endpoint.read(100)) + as_plain(endpoint.read(100)) == b"ahead headtail"


@pytest.mark.parametrize("watched_first", [False, True])
def test_what_is_put_back_is_announced_without_the_inner_endpoint(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint, watched_first: bool
) -> None:
    if not watched_first:
        endpoint.unread(b"put back")
    receiver = Receiver(endpoint)
    if watched_first:
        endpoint.unread(b"put back")
    assert receiver.got == b"", "never inside watch()"
    run(loop)
    assert receiver.got == b"put back"
    assert inner.wants == "r"


def test_what_is_put_back_waits_for_a_reader_and_holds_up_no_writer(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    calls: list[str] = []
    endpoint.unread(b"put back")
    endpoint.watch(None, lambda: calls.append("write"))
    loop.run_turn()
    assert calls == ["write"]
    endpoint.watch(lambda: calls.append("read"), lambda: calls.append("write"))
    loop.run_turn()
    assert calls == ["write", "read", "write"]
    assert endpoint.read(100) == b"put back"


@pytest.mark.parametrize("act", ["close", "abort"])
def test_a_reader_of_what_was_put_back_may_end_it(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint, act: str
) -> None:
    calls: list[str] = []
    endpoint.unread(b"put back")
    endpoint.watch(getattr(endpoint, act), lambda: calls.append("write"))
    run(loop)
    assert inner.acts == [act]
    assert inner.wants == ""
    assert calls == []


# Ends and failures.


@pytest.mark.parametrize("act", ["close", "abort"])
def test_ends_are_the_inner_endpoints(
    inner: ScriptedEndpoint, endpoint: TransformEndpoint, act: str
) -> None:
    for _ in range(2):
        getattr(endpoint, act)()
    assert inner.acts == [act]
    assert endpoint.describe() == "scripted"


def test_a_close_sends_what_was_taken_first(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    calls: list[str] = []
    endpoint.watch(lambda: calls.append("read"), lambda: calls.append("write"))
    inner.capacity = 10
    endpoint.write(b"last words")
    endpoint.shutdown_write()
    endpoint.close()
    endpoint.close()
    inner.say(b"nobody listens")
    run(loop)
    assert inner.acts == []
    inner.take()
    run(loop)
    assert plain_of(inner) == b"last words"
    assert inner.acts == ["end", "close"]
    assert calls == []


def test_a_close_does_not_wait_for_a_peer_that_is_lost(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    inner.capacity = 0
    endpoint.write(b"last words")
    endpoint.close()
    inner.break_writes()
    run(loop)
    assert inner.acts == ["close"]


def test_an_abort_after_a_close_drops_what_waits(
    loop: SelectorLoop, inner: ScriptedEndpoint, endpoint: TransformEndpoint
) -> None:
    inner.capacity = 0
    endpoint.write(b"last words")
    endpoint.close()
    endpoint.abort()
    assert inner.acts == ["abort"]
    inner.take()
    run(loop)
    assert inner.got == b""


def sealed(inner: ScriptedEndpoint) -> tuple[TransformEndpoint, SealedCodec]:
    """Return an endpoint that deflates and seals, and the peer's end of its seal."""
    ours = StreamSeal(b"o" * 32, b"p" * 32).payload()
    theirs = StreamSeal(b"p" * 32, b"o" * 32).payload()
    return TransformEndpoint(inner, [DeflateCodec(), ours]), theirs


def test_the_end_of_a_sealed_direction_is_its_last_record(inner: ScriptedEndpoint) -> None:
    endpoint, peer = sealed(inner)
    endpoint.write(b"data")
    endpoint.shutdown_write()
    endpoint.shutdown_write()
    assert DeflateCodec().decode(peer.decode(inner.got)) == b"data"
    assert peer.ended
    assert inner.acts == ["end"]


def test_the_last_record_waits_behind_what_waits(
    loop: SelectorLoop, inner: ScriptedEndpoint
) -> None:
    endpoint, peer = sealed(inner)
    inner.capacity = 10
    endpoint.write(b"data")
    endpoint.close()
    endpoint.close()
    assert inner.acts == []
    inner.take(10_000)
    run(loop)
    assert DeflateCodec().decode(peer.decode(inner.got)) == b"data"
    assert peer.ended
    assert inner.acts == ["end", "close"]


def test_a_sealed_stream_that_was_cut_is_lost_and_not_ended(inner: ScriptedEndpoint) -> None:
    endpoint, peer = sealed(inner)
    inner.say(peer.encode(DeflateCodec().encode(b"data")))
    inner.end()
    assert endpoint.read(100) == b"data"
    with pytest.raises(ConnectionLost, match="cut short"):
        endpoint.read(100)


def test_a_sealed_stream_that_its_peer_ended_is_ended(inner: ScriptedEndpoint) -> None:
    endpoint, peer = sealed(inner)
    inner.say(peer.encode(DeflateCodec().encode(b"data")) + peer.finish())
    inner.end()
    assert endpoint.read(100) == b"data"
    assert endpoint.read(100) is Outcome.EOF
