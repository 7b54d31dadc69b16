"""What users notice at the ends of real connections, with a relay between them."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Callable, Iterator

import pytest

from frpd.net.endpoint import Endpoint
from frpd.net.pipes import PipePool
from frpd.net.stream import SocketStream
from frpd.net.transform import TransformEndpoint
from frpd.proto.wrappers import wrapper_stack
from frpd.relay.relay import LINGER_SECONDS, Ending, Relay, RelayResult
from frpd.selector_loop import SelectorLoop
from tests.helpers.clock import MockClock
from tests.unit.net.conftest import MakeTcp

KEY = b"k" * 16
LARGE = bytes(index * 31 % 251 for index in range(12_000_000))


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def unsent_bytes(sock: socket.socket) -> int:
    """Return how much the peer's kernel has not acknowledged."""
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


class Tunnel:
    """A user, a relay and a service. Not threads: the peers' sockets do not block."""

    def __init__(self, loop: SelectorLoop, clock: MockClock, make_tcp: MakeTcp) -> None:
        self.loop = loop
        self.clock = clock
        self.results: list[RelayResult] = []
        self._make_tcp = make_tcp
        self._ends: list[Endpoint] = []
        self.user = self._make_end()
        self.service = self._make_end()

    def _make_end(self) -> socket.socket:
        near, far = self._make_tcp()
        self._ends.append(SocketStream(self.loop, near, far.getsockname()))
        far.setblocking(False)
        return far

    def join(self, *, b_half_closes: bool = True, pipes: PipePool | None = None) -> None:
        a, b = self._ends
        Relay(
            self.loop,
            a,
            b,
            b_half_closes=b_half_closes,
            pipes=pipes,
            on_done=self.results.append,
        )

    def join_through_encryption(self) -> None:
        """Put an encrypted hop of its own between two relays, as between server and client."""
        near, far = socket.socketpair()
        inner = []
        for end in (near, far):
            end.setblocking(False)
            stream = SocketStream(self.loop, end, ("hop", 0))
            codecs = wrapper_stack(key=KEY, compress=True, iv=b"i" * 16)
            inner.append(TransformEndpoint(stream, codecs))
        a, b = self._ends
        for left, right in ((a, inner[0]), (b, inner[1])):
            Relay(self.loop, left, right, b_half_closes=True, on_done=self.results.append)

    def run(self, turns: int = 20) -> None:
        for _ in range(turns):
            self.loop.run_turn()

    def send(self, peer: socket.socket, data: bytes, meanwhile: Callable[[], object] = int) -> None:
        """Send all of it while the relay runs."""
        view = memoryview(data)
        while view:
            try:
                view = view[peer.send(view) :]
            except BlockingIOError:
                self.run(1)
                meanwhile()

    def fill(self, peer: socket.socket) -> None:
        """Send until nothing more is taken, by anyone on the way."""
        with contextlib.suppress(BlockingIOError):
            while peer.send(LARGE[:65_536]):
                self.run(3)

    def receive(self, peer: socket.socket) -> bytes:
        """Read to the end while the relay runs.

        Raises:
            ConnectionResetError: it did not end, it was reset.
        """
        got = bytearray()
        for _ in range(100_000):
            try:
                data = peer.recv(1 << 16)
            except BlockingIOError:
                self.loop.run_turn(0.01)
                continue
            if not data:
                return bytes(got)
            got += data
        raise AssertionError("it never ended")


@pytest.fixture
def tunnel(no_fd_leaks: None, loop: SelectorLoop, clock: MockClock, make_tcp: MakeTcp) -> Tunnel:
    return Tunnel(loop, clock, make_tcp)


@pytest.fixture
def pipes(no_fd_leaks: None) -> Iterator[PipePool]:
    pool = PipePool(pipe_bytes=65_536)
    yield pool
    assert pool.lent == 0
    pool.close()


@pytest.fixture(params=["copied", "spliced", "encrypted"])
def joined(request: pytest.FixtureRequest, pipes: PipePool, tunnel: Tunnel) -> Tunnel:
    if request.param == "encrypted":
        tunnel.join_through_encryption()
    else:
        tunnel.join(pipes=pipes if request.param == "spliced" else None)
    return tunnel


def test_a_user_who_ends_first_gets_a_late_and_large_answer(joined: Tunnel) -> None:
    joined.user.send(b"question")
    joined.user.shutdown(socket.SHUT_WR)
    assert joined.receive(joined.service) == b"question"
    got = bytearray()

    def read_a_little() -> None:
        try:
            got.extend(joined.user.recv(30_000))
        except BlockingIOError:
            return

    joined.send(joined.service, LARGE, read_a_little)
    joined.service.close()
    joined.run(50)
    got += joined.receive(joined.user)
    assert got == LARGE
    joined.run()
    assert {result.ending for result in joined.results} == {Ending.CLEAN}
    assert {(result.a_to_b, result.b_to_a) for result in joined.results} <= {
        (8, len(LARGE)),
        (len(LARGE), 8),
    }
    assert joined.loop.watch_count == 0


def test_a_service_that_ends_first_still_gets_the_upload(joined: Tunnel) -> None:
    joined.service.send(b"go on")
    joined.service.shutdown(socket.SHUT_WR)
    assert joined.receive(joined.user) == b"go on"
    got = bytearray()

    def read_a_little() -> None:
        try:
            got.extend(joined.service.recv(30_000))
        except BlockingIOError:
            return

    joined.send(joined.user, LARGE, read_a_little)
    joined.user.close()
    joined.run(50)
    got += joined.receive(joined.service)
    assert got == LARGE
    joined.run()
    assert {result.ending for result in joined.results} == {Ending.CLEAN}


@pytest.mark.parametrize("who", ["user", "service"])
def test_a_reset_in_the_middle_is_a_reset_to_the_other(tunnel: Tunnel, who: str) -> None:
    tunnel.join()
    one, other = tunnel.user, tunnel.service
    if who == "service":
        one, other = other, one
    one.send(b"first half")
    tunnel.run()
    reset(one)
    tunnel.run()
    with pytest.raises(ConnectionResetError):
        tunnel.receive(other)
    assert [result.ending for result in tunnel.results] == [Ending.RESET]


def test_a_truncated_answer_is_no_end_even_if_a_write_finds_out(tunnel: Tunnel) -> None:
    tunnel.join()
    tunnel.run()
    tunnel.service.send(b"first half")
    reset(tunnel.service)
    tunnel.user.send(b"and more")  # both sides are ready in one turn, the user's first or last
    tunnel.run()
    with pytest.raises(ConnectionResetError):
        tunnel.receive(tunnel.user)


def test_a_service_that_refuses_is_an_end_without_data(tunnel: Tunnel) -> None:
    tunnel.join()
    tunnel.user.send(b"request")
    tunnel.run()
    reset(tunnel.service)
    assert tunnel.receive(tunnel.user) == b""
    assert [result.ending for result in tunnel.results] == [Ending.RESET]


def test_who_sends_and_leaves_loses_nothing_to_a_greeting(tunnel: Tunnel) -> None:
    tunnel.join()
    words = LARGE[:120_000]
    tunnel.service.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)  # it reads slowly
    tunnel.service.send(b"220 welcome")
    tunnel.send(tunnel.user, words)
    tunnel.user.shutdown(socket.SHUT_WR)
    tunnel.run()
    assert unsent_bytes(tunnel.user) == 0
    tunnel.user.close()  # with the greeting unread: a reset
    tunnel.service.send(b"250 still talking")
    assert tunnel.receive(tunnel.service) == words
    tunnel.clock.advance(LINGER_SECONDS)
    tunnel.run()
    assert [result.ending for result in tunnel.results] == [Ending.RESET]


def test_a_go_service_that_ends_has_a_second_until_both_are_closed(tunnel: Tunnel) -> None:
    tunnel.join(b_half_closes=False)
    tunnel.service.send(b"all of it")
    tunnel.service.close()
    tunnel.run()
    for _ in range(10):
        tunnel.user.send(b"nobody reads this")
        tunnel.run()
    assert tunnel.results == []
    assert tunnel.receive(tunnel.user) == b"all of it"
    tunnel.clock.advance(LINGER_SECONDS)
    tunnel.run()
    assert tunnel.results[0].ending is Ending.CLEAN
    assert tunnel.loop.watch_count == 0


@pytest.mark.parametrize("spliced", [False, True])
def test_bulk_to_a_go_service_that_has_ended_is_discarded(
    tunnel: Tunnel, pipes: PipePool, spliced: bool
) -> None:
    tunnel.join(b_half_closes=False, pipes=pipes if spliced else None)
    tunnel.fill(tunnel.user)
    assert pipes.lent == spliced
    tunnel.service.shutdown(socket.SHUT_WR)
    tunnel.run()
    for _ in range(20):
        tunnel.send(tunnel.user, LARGE[:1_000_000])
    tunnel.run()
    assert pipes.lent == 0
    tunnel.user.shutdown(socket.SHUT_WR)
    assert tunnel.receive(tunnel.user) == b""
    tunnel.run(200)
    assert [result.ending for result in tunnel.results] == [Ending.CLEAN]
    assert tunnel.loop.timer_count == 0


@pytest.mark.parametrize("spliced", [False, True])
def test_a_user_who_does_not_read_costs_no_turns(
    tunnel: Tunnel, pipes: PipePool, spliced: bool
) -> None:
    tunnel.join(pipes=pipes if spliced else None)
    tunnel.fill(tunnel.service)
    assert pipes.lent == spliced
    turns = tunnel.loop.turns
    tunnel.loop.run_turn(0.05)
    assert tunnel.loop.turns == turns + 1
    assert tunnel.loop._epoll.poll(0) == [], "level-triggered readiness would spin"
    for peer in (tunnel.user, tunnel.service):
        reset(peer)
    tunnel.run()
    assert len(tunnel.results) == 1
