"""splice itself, and SocketStream as the source or the sink of a pipe."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable

import pytest

from frpd.errors import ConnectionLost
from frpd.net import splice
from frpd.net.endpoint import Outcome
from frpd.net.pipes import Pipe, PipePool
from frpd.net.stream import SocketStream
from frpd.selector_loop import SelectorLoop
from tests.unit.net.conftest import MakeTcp

KIB = 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest.fixture
def pool() -> PipePool:
    return PipePool(64 * KIB, 256 * KIB)


@pytest.fixture
def pipe(pool: PipePool) -> Pipe:
    made = pool.acquire()
    assert made is not None
    return made


@pytest.fixture
def near(loop: SelectorLoop, tcp: tuple[socket.socket, socket.socket]) -> SocketStream:
    return SocketStream(loop, tcp[0], ("far-end", 1))


@pytest.fixture
def tcp(make_tcp: MakeTcp) -> tuple[socket.socket, socket.socket]:
    ours, theirs = make_tcp()
    theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs


@pytest.fixture
def far(tcp: tuple[socket.socket, socket.socket]) -> socket.socket:
    return tcp[1]


def arrive(loop: SelectorLoop, stream: SocketStream, sock: socket.socket, data: bytes) -> None:
    """Let a peer send, and wait until all of it can be read."""
    sock.sendall(data)
    for _ in range(1000):
        if len(stream._sock.recv(1 << 20, socket.MSG_PEEK)) >= len(data):
            return
        loop.run_turn(0.001)
    raise AssertionError("it never came")


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    sock.close()


def choke(stream: SocketStream) -> None:
    """Send until the kernel takes no more."""
    while stream.write(bytes(65_536)):
        pass


def again_and_again(loop: SelectorLoop, call: Callable[[], object]) -> None:
    for _ in range(1000):
        call()
        loop.run_turn(0.001)


# Rule 0: EAGAIN is two things.


def test_rule_0_eagain_into_an_empty_pipe_means_that_the_source_is_empty(
    near: SocketStream, pipe: Pipe
) -> None:
    assert near.fill_pipe(pipe, 1000) is Outcome.EMPTY


def test_rule_0_eagain_into_a_pipe_that_holds_bytes_means_that_it_may_be_full(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pipe: Pipe
) -> None:
    arrive(loop, near, far, b"x")
    assert near.fill_pipe(pipe, 1000) == 1
    assert near.fill_pipe(pipe, 1000) is Outcome.FULL


def test_rule_0_small_segments_fill_a_pipe_long_before_its_bytes_do(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pipe: Pipe
) -> None:
    sent = 0
    outcome: object = None
    while pipe.held == sent:
        arrive(loop, near, far, bytes(100))
        sent += 100
        outcome = near.fill_pipe(pipe, 65_536)
    assert outcome is Outcome.FULL
    assert pipe.held < pipe.capacity // 4
    assert len(near._sock.recv(1000, socket.MSG_PEEK)) == 100


def test_rule_0_an_end_is_neither_empty_nor_full(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pipe: Pipe
) -> None:
    arrive(loop, near, far, b"last words")
    far.shutdown(socket.SHUT_WR)
    assert near.fill_pipe(pipe, 1000) == 10
    outcome: object = Outcome.FULL
    for _ in range(1000):
        outcome = near.fill_pipe(pipe, 1000)
        if outcome is Outcome.EOF:
            break
        loop.run_turn(0.001)
    assert outcome is Outcome.EOF
    assert pipe.held == 10


# The counts.


def test_a_pipe_knows_how_many_bytes_went_in_and_out(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pipe: Pipe, make_tcp: MakeTcp
) -> None:
    sink, reader = make_tcp()
    arrive(loop, near, far, b"0123456789")
    assert near.fill_pipe(pipe, 6) == 6
    assert pipe.held == 6
    assert splice.drain(pipe, sink.fileno(), 4, more=True) == 4
    assert pipe.held == 2
    assert splice.drain(pipe, sink.fileno(), 2) == 2
    got = b""
    while len(got) < 6:
        got += reader.recv(10)
    assert got == b"012345"


def test_a_full_sink_takes_nothing_and_the_bytes_stay(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pipe: Pipe
) -> None:
    arrive(loop, near, far, b"kept")
    near.fill_pipe(pipe, 1000)
    choke(near)
    assert near.drain_pipe(pipe, 4) == 0
    assert pipe.held == 4
    assert os.read(pipe.read_fd, 10) == b"kept"


# SocketStream: whose pipe it is, and when it goes home.


def test_a_socket_borrows_a_pipe_only_while_it_holds_bytes(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pool: PipePool, make_tcp: MakeTcp
) -> None:
    sink = SocketStream(loop, make_tcp()[0], ("sink", 1))
    near.splice_with(pool)
    assert near.read_pipe(1000) is Outcome.EMPTY
    assert pool.lent == 0
    arrive(loop, near, far, b"some")
    full = near.read_pipe(1000)
    assert isinstance(full, Pipe)
    assert (full.held, pool.lent) == (4, 1)
    near.pipe_moved(sink.write_pipe(full, 3))
    assert (full.held, pool.lent) == (1, 1)
    near.pipe_moved(sink.write_pipe(full, 1))
    assert pool.lent == 0


def test_a_pipe_whose_promises_were_all_paid_goes_home_though_nothing_more_comes(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pool: PipePool
) -> None:
    near.splice_with(pool)
    arrive(loop, near, far, b"upload")
    full = near.read_pipe(1000)
    assert isinstance(full, Pipe)
    full.promised = 6
    near.pipe_moved(6)
    assert pool.lent == 1
    full.read(6)
    full.settle(6)
    assert pool.lent == 0
    arrive(loop, near, far, b"more")
    again = near.read_pipe(1000)
    assert isinstance(again, Pipe)
    assert again.held == 4


@pytest.mark.parametrize("how", ["close", "abort", "splice_with"])
@pytest.mark.usefixtures("no_fd_leaks")
def test_rule_1_promised_bytes_outlive_their_socket(
    how: str, loop: SelectorLoop, make_tcp: MakeTcp
) -> None:
    pool = PipePool(64 * KIB, 256 * KIB)
    ours, far = make_tcp()
    near = SocketStream(loop, ours, ("far-end", 1))
    near.splice_with(pool)
    arrive(loop, near, far, b"promised")
    full = near.read_pipe(1000)
    assert isinstance(full, Pipe)
    full.promised = 8
    if how == "splice_with":
        near.splice_with(None)
    else:
        getattr(near, how)()
    assert pool.lent == 1
    assert full.read(8) == b"promised"
    full.settle(8)
    assert pool.lent == 0
    pool.close()
    near.close()
    far.close()


def test_bytes_put_back_are_copied_before_anything_is_spliced(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pool: PipePool
) -> None:
    near.splice_with(pool)
    near.unread(b"first ")
    arrive(loop, near, far, b"second")
    assert near.read_pipe(1000) is Outcome.COPY
    assert near.read(1000) == b"first "
    full = near.read_pipe(1000)
    assert isinstance(full, Pipe)
    assert full.read(1000) == b"second"


def test_rule_8_without_a_pipe_a_socket_asks_to_be_copied(
    loop: SelectorLoop, near: SocketStream, far: socket.socket
) -> None:
    near.splice_with(PipePool(64 * KIB, 0))
    arrive(loop, near, far, b"copied")
    assert near.read_pipe(1000) is Outcome.COPY
    assert near.read(1000) == b"copied"


# Ends.


def test_a_reset_is_told_when_splicing_from_the_socket(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pipe: Pipe
) -> None:
    reset(far)
    with pytest.raises(ConnectionLost, match="reset"):
        again_and_again(loop, lambda: near.fill_pipe(pipe, 1000))


def test_a_reset_found_by_a_splice_is_no_clean_end_for_a_later_read(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pipe: Pipe
) -> None:
    """The kernel tells a reset once, and calls it an end from then on."""
    os.write(pipe.write_fd, b"x" * 1000)
    pipe.held = 1000
    reset(far)
    with pytest.raises(ConnectionLost, match="reset"):
        again_and_again(loop, lambda: near.drain_pipe(pipe, 1))
    with pytest.raises(ConnectionLost, match="reset"):
        near.read(1000)
    with pytest.raises(ConnectionLost, match="reset"):
        near.fill_pipe(pipe, 1000)


def test_a_splice_to_a_side_that_had_ended_leaves_its_end_clean(
    loop: SelectorLoop, near: SocketStream, far: socket.socket, pipe: Pipe
) -> None:
    os.write(pipe.write_fd, b"x")
    pipe.held = 1
    near.shutdown_write()
    with pytest.raises(ConnectionLost, match="broken pipe"):
        near.drain_pipe(pipe, 1)
    far.shutdown(socket.SHUT_WR)
    for _ in range(1000):
        if near.read(10) is Outcome.EOF:
            return
        loop.run_turn(0.001)
    raise AssertionError("no end")


def test_a_closed_socket_is_not_spliced(near: SocketStream, pipe: Pipe) -> None:
    near.close()
    with pytest.raises(ConnectionLost, match="closed here"):
        near.fill_pipe(pipe, 1)
    with pytest.raises(ConnectionLost, match="closed here"):
        near.drain_pipe(pipe, 1)
