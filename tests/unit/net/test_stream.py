from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable

import pytest

from frpd.errors import ConnectionLost
from frpd.net.endpoint import Buffer, Outcome
from frpd.net.pipes import PipePool
from frpd.net.stream import SocketStream, socket_of
from frpd.selector_loop import SCRATCH_BYTES, SelectorLoop
from tests.unit.net.conftest import MakeTcp

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest.fixture
def ends(loop: SelectorLoop, make_tcp: MakeTcp) -> tuple[SocketStream, socket.socket]:
    near, far = make_tcp()
    return SocketStream(loop, near, far.getsockname()), far


Ends = tuple[SocketStream, socket.socket]


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    peer.close()


def run_until(loop: SelectorLoop, is_over: Callable[[], object]) -> None:
    for _ in range(1000):
        if is_over():
            return
        loop.run_turn(0.01)
    raise AssertionError("still not over")


def fill(stream: SocketStream) -> int:
    total = 0
    while taken := stream.write(bytes(65_536)):
        total += taken
    return total


class Reader:
    """Reads whatever comes, with read() calls of one size."""

    def __init__(self, stream: SocketStream, limit: int = 1 << 20) -> None:
        self.stream = stream
        self.limit = limit
        self.got = bytearray()
        self.ended = False
        self.lost = ""
        self.calls = 0
        stream.watch(self.on_readable, None)

    def on_readable(self) -> None:
        self.calls += 1
        try:
            data: Buffer | Outcome = self.stream.read(self.limit)
        except ConnectionLost as error:
            self.lost = str(error)
            self.stream.watch(None, None)
            return
        if isinstance(data, Outcome):
            if data is Outcome.EOF:
                self.ended = True
                self.stream.watch(None, None)
            return
        self.got += data


def test_bytes_come_and_go(loop: SelectorLoop, ends: Ends) -> None:
    stream, peer = ends
    reader = Reader(stream)
    peer.sendall(b"hello")
    run_until(loop, lambda: reader.got)
    assert reader.got == b"hello"
    assert stream.write(b"world") == 5
    assert peer.recv(10) == b"world"


def test_a_read_that_finds_nothing_says_so(ends: Ends) -> None:
    assert ends[0].read(100) is Outcome.EMPTY


def test_a_read_is_bounded_by_its_limit_and_by_the_scratch_memory(ends: Ends) -> None:
    stream, peer = ends
    peer.sendall(b"abcdef")
    assert bytes(as_bytes(stream.read(4))) == b"abcd"
    assert bytes(as_bytes(stream.read(SCRATCH_BYTES * 2))) == b"ef"


def as_bytes(data: Buffer | Outcome) -> Buffer:
    assert not isinstance(data, Outcome)
    return data


def test_a_buffer_is_borrowed_until_the_next_read_of_anyone(
    loop: SelectorLoop, ends: Ends, make_tcp: MakeTcp
) -> None:
    stream, peer = ends
    near, other_peer = make_tcp()
    other = SocketStream(loop, near, other_peer.getsockname())
    peer.sendall(b"first")
    other_peer.sendall(b"other")
    data = as_bytes(stream.read(100))
    assert bytes(data) == b"first"
    assert bytes(as_bytes(other.read(100))) == b"other"
    assert bytes(data) == b"other"


def test_what_is_put_back_comes_before_what_follows(loop: SelectorLoop, ends: Ends) -> None:
    stream, peer = ends
    peer.sendall(b"headbody")
    stream.unread(as_bytes(stream.read(8)))
    stream.unread(b"ahead ")
    peer.sendall(b"tail")
    reader = Reader(stream, limit=3)
    run_until(loop, lambda: len(reader.got) >= 18)
    assert reader.got == b"ahead headbodytail"


def test_what_is_put_back_is_announced_without_the_kernel(loop: SelectorLoop, ends: Ends) -> None:
    stream, _ = ends
    stream.unread(b"put back")
    reader = Reader(stream)
    assert reader.calls == 0, "never inside watch()"
    loop.run_turn()
    assert reader.got == b"put back"
    loop.run_turn()
    assert reader.calls == 1


def test_what_is_put_back_under_a_watch_is_announced_too(loop: SelectorLoop, ends: Ends) -> None:
    stream, _ = ends
    reader = Reader(stream)
    stream.unread(b"put back")
    loop.run_turn()
    assert reader.got == b"put back"


def test_what_is_put_back_is_announced_once_a_turn(loop: SelectorLoop, ends: Ends) -> None:
    stream, _ = ends
    stream.unread(b"x" * 20)
    calls: list[int] = []

    def read_a_little() -> None:
        calls.append(len(as_bytes(stream.read(1))))
        stream.watch(read_a_little, None)

    stream.watch(read_a_little, None)
    stream.watch(read_a_little, None)
    for turn in range(1, 21):
        loop.run_turn()
        assert len(calls) == turn


def test_nothing_put_back_is_nothing_to_announce(loop: SelectorLoop, ends: Ends) -> None:
    stream, _ = ends
    stream.unread(b"")
    reader = Reader(stream)
    loop.run_turn()
    assert reader.calls == 0


def test_what_is_put_back_waits_for_a_reader(loop: SelectorLoop, ends: Ends) -> None:
    stream, _ = ends
    stream.unread(b"put back")
    stream.watch(None, None)
    loop.run_turn()
    reader = Reader(stream)
    stream.watch(None, None)
    loop.run_turn()
    assert reader.calls == 0
    stream.watch(reader.on_readable, None)
    loop.run_turn()
    assert reader.got == b"put back"


def test_an_end_comes_behind_the_last_bytes(loop: SelectorLoop, ends: Ends) -> None:
    stream, peer = ends
    peer.sendall(b"last")
    peer.close()
    reader = Reader(stream)
    run_until(loop, lambda: reader.ended)
    assert reader.got == b"last"


def test_our_end_leaves_the_other_direction_open(loop: SelectorLoop, ends: Ends) -> None:
    stream, peer = ends
    stream.write(b"question")
    stream.shutdown_write()
    assert peer.recv(100) == b"question"
    assert peer.recv(100) == b""
    peer.sendall(b"answer")
    reader = Reader(stream)
    run_until(loop, lambda: reader.got)
    assert reader.got == b"answer"
    with pytest.raises(ConnectionLost, match="broken pipe"):
        stream.write(b"more")


def test_a_reset_is_a_loss(loop: SelectorLoop, ends: Ends) -> None:
    stream, peer = ends
    reset(peer)
    reader = Reader(stream)
    run_until(loop, lambda: reader.lost)
    assert reader.lost == "connection reset by peer"


def test_a_write_to_a_dead_peer_is_a_loss(loop: SelectorLoop, ends: Ends) -> None:
    stream, peer = ends
    reset(peer)
    with pytest.raises(ConnectionLost, match="connection reset by peer"):
        stream.write(b"x")
    with pytest.raises(ConnectionLost, match="broken pipe"):
        stream.write(b"x")
    stream.shutdown_write()


def write(stream: SocketStream) -> None:
    stream.write(b"x")


def write_more(stream: SocketStream) -> None:
    stream.write_more(b"x")


def write_pipe(stream: SocketStream) -> None:
    with contextlib.closing(PipePool(pipe_bytes=4096)) as pool:
        pipe = pool.acquire()
        assert pipe is not None
        with contextlib.closing(pipe):
            pipe.held = os.write(pipe.write_fd, b"x")
            stream.write_pipe(pipe, 1)


WRITES = pytest.mark.parametrize("write", [write, write_more, write_pipe])


@WRITES
def test_a_reset_that_a_write_has_found_is_not_an_end_to_readers(
    loop: SelectorLoop, ends: Ends, write: Callable[[SocketStream], None]
) -> None:
    stream, peer = ends
    peer.sendall(b"half an ans")
    reset(peer)
    with pytest.raises(ConnectionLost):
        write(stream)
    reader = Reader(stream)
    run_until(loop, lambda: reader.lost or reader.ended)
    assert reader.got == b"half an ans"
    assert (reader.lost, reader.ended) == ("connection reset by peer", False)


@WRITES
def test_an_end_before_the_reset_stays_an_end(
    loop: SelectorLoop, ends: Ends, write: Callable[[SocketStream], None]
) -> None:
    stream, peer = ends
    peer.sendall(b"answer")
    peer.shutdown(socket.SHUT_WR)
    stream.write(b"nobody reads this")
    reset(peer)
    with pytest.raises(ConnectionLost):
        write(stream)
    reader = Reader(stream)
    run_until(loop, lambda: reader.lost or reader.ended)
    assert reader.got == b"answer"
    assert (reader.lost, reader.ended) == ("", True)


def test_a_full_kernel_blocks_and_calls_again(loop: SelectorLoop, ends: Ends) -> None:
    stream, peer = ends
    total = fill(stream)
    calls: list[int] = []
    stream.watch(None, lambda: calls.append(stream.write(b"x")))
    loop.run_turn()
    assert calls == []
    drained = 0
    while not calls:
        drained += len(peer.recv(1 << 20))
        loop.run_turn()
    assert calls == [1]
    assert drained <= total


def test_close_delivers_what_was_taken(ends: Ends) -> None:
    stream, peer = ends
    total = fill(stream)
    stream.close()
    drained = 0
    while data := peer.recv(1 << 20):
        drained += len(data)
    assert drained == total


def test_abort_resets(ends: Ends) -> None:
    stream, peer = ends
    stream.abort()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)


@pytest.mark.parametrize("first", ["close", "abort"])
@pytest.mark.parametrize("second", ["close", "abort"])
def test_an_end_is_idempotent_and_frees_the_fd(
    no_fd_leaks: None, loop: SelectorLoop, make_tcp: MakeTcp, first: str, second: str
) -> None:
    near, far = make_tcp()
    stream = SocketStream(loop, near, far.getsockname())
    stream.watch(lambda: None, lambda: None)
    loop.run_turn()
    assert not stream.closed
    for name in (first, second):
        getattr(stream, name)()
        assert stream.closed
    assert near.fileno() == -1
    assert loop.watch_count == 0
    loop.run_turn()


def test_a_closed_stream_refuses_calmly(loop: SelectorLoop, ends: Ends) -> None:
    stream, _ = ends
    stream.close()
    calls: list[str] = []
    stream.watch(lambda: calls.append("read"), lambda: calls.append("write"))
    stream.unread(b"x")
    stream.shutdown_write()
    loop.run_turn()
    assert calls == []
    with pytest.raises(ConnectionLost):
        stream.write(b"x")
    with pytest.raises(ConnectionLost):
        stream.local_address()


def test_a_reader_that_closes_spares_the_writer(loop: SelectorLoop, ends: Ends) -> None:
    stream, peer = ends
    calls: list[str] = []
    peer.sendall(b"x")
    stream.watch(stream.close, lambda: calls.append("write"))
    run_until(loop, lambda: stream.closed)
    loop.run_turn()
    assert calls == []


@pytest.mark.parametrize("pushed_back", [False, True])
def test_a_bug_in_a_callback_aborts_and_tells_once(
    loop: SelectorLoop, ends: Ends, pushed_back: bool, caplog: pytest.LogCaptureFixture
) -> None:
    stream, peer = ends
    failures: list[bool] = []
    stream.on_failure = lambda: failures.append(stream.closed)

    def fail() -> None:
        raise ZeroDivisionError

    if pushed_back:
        stream.unread(b"x")
    else:
        peer.sendall(b"x")
    stream.watch(fail, None)
    run_until(loop, lambda: failures)
    for _ in range(3):
        loop.run_turn()
    assert failures == [True]
    assert len(caplog.records) == 1
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_a_bug_in_a_callback_needs_nobody_to_tell(
    loop: SelectorLoop, ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    stream, _ = ends

    def fail() -> None:
        raise ZeroDivisionError

    stream.watch(None, fail)
    run_until(loop, lambda: stream.closed)
    assert len(caplog.records) == 1


def test_a_stream_knows_both_addresses(loop: SelectorLoop, make_tcp: MakeTcp) -> None:
    near, far = make_tcp()
    stream = SocketStream(loop, near, far.getsockname())
    host, port = far.getsockname()
    assert stream.describe() == f"{host}:{port}"
    assert stream.local_address() == far.getpeername()
    assert stream.room() > 0


def test_the_socket_of_an_endpoint_is_known_by_both_ends(ends: Ends) -> None:
    stream, far = ends
    here, there = far.getpeername(), far.getsockname()
    known = socket_of(stream)
    assert known is not None
    assert known[:2] == (f"{here[0]}:{here[1]}", f"{there[0]}:{there[1]}")
    assert known.tcp is not None
    stream.close()
    assert socket_of(stream) is None


def test_a_socket_that_is_not_tcp_can_be_aborted(loop: SelectorLoop) -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    stream = SocketStream(loop, near, ("", 0))
    stream.abort()
    with contextlib.closing(far):
        assert far.recv(1) == b""


def test_a_socket_that_was_given_up_is_somebody_else_s(loop: SelectorLoop, ends: Ends) -> None:
    stream, peer = ends
    sock = stream.detach()
    assert loop.watch_count == 0
    stream.close()
    with sock:
        sock.send(b"x")
        assert peer.recv(1) == b"x"
