from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from frpd.errors import TransportError
from frpd.net.connector import Attempt, Connector
from frpd.net.resolver import Addresses, OnAddresses, OnFailed, Resolver
from frpd.net.stream import SocketStream
from frpd.selector_loop import SelectorLoop
from frpd.workers import WorkerPool
from tests.helpers.clock import MockClock
from tests.unit.net.conftest import needs_ipv6

REFUSING = ("127.0.0.1", 1)


class FakeResolver(Resolver):
    """Answers when the test says so."""

    def __init__(self, pool: WorkerPool) -> None:
        super().__init__(pool)
        self.asked: list[tuple[str, int]] = []

    def resolve(self, host: str, port: int, on_done: OnAddresses, on_failed: OnFailed) -> None:
        self.asked.append((host, port))
        self.answer = on_done
        self.fail = on_failed


class Stage:
    """A connector, and what came of one attempt."""

    def __init__(self, loop: SelectorLoop, clock: MockClock) -> None:
        self.loop = loop
        self.clock = clock
        self.resolver = FakeResolver(WorkerPool(loop, threads=1))
        self.connector = Connector(loop, self.resolver)
        self.streams: list[SocketStream] = []
        self.errors: list[str] = []

    def connect(
        self, *addresses: tuple[str, int], keepalive_seconds: int = 7200, local_ip: str = ""
    ) -> Attempt:
        """Ask for ``peer:80`` and, if there are any, answer with these addresses."""
        attempt = self.connector.connect(
            "peer",
            80,
            self.streams.append,
            lambda error: self.errors.append(str(error)),
            timeout_seconds=10.0,
            keepalive_seconds=keepalive_seconds,
            local_ip=local_ip,
        )
        if addresses:
            self.answer(*addresses)
        return attempt

    def answer(self, *addresses: tuple[str, int]) -> None:
        self.resolver.answer(found(*addresses))

    def run(self) -> None:
        for _ in range(5):
            self.loop.run_turn()

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.run()

    @property
    def over(self) -> bool:
        return bool(self.streams or self.errors)

    def assert_nothing_is_left(self) -> None:
        assert self.loop.timer_count == 0
        assert self.loop.watch_count == len([s for s in self.streams if not s.closed])


def found(*addresses: tuple[str, int]) -> Addresses:
    return [
        (socket.AF_INET6, (*address, 0, 0)) if ":" in address[0] else (socket.AF_INET, address)
        for address in addresses
    ]


@pytest.fixture
def stage(no_fd_leaks: None, loop: SelectorLoop, clock: MockClock) -> Iterator[Stage]:
    made = Stage(loop, clock)
    yield made
    for stream in made.streams:
        stream.close()
    made.assert_nothing_is_left()


@pytest.fixture
def server(stage: Stage) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def blackholes(stage: Stage) -> Iterator[list[tuple[str, int]]]:
    """Three addresses that never answer: their queue of connections is full."""
    with ExitStack() as stack:
        addresses = []
        for last in (1, 2, 3):
            hole = stack.enter_context(socket.socket())
            hole.bind((f"127.0.0.{last}", 0))
            hole.listen(0)
            while True:
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(hole.getsockname())
                if not select.select([], [client], [], 0)[1]:
                    break
            addresses.append(hole.getsockname())
        yield addresses


def test_a_connection_is_made(stage: Stage, server: socket.socket) -> None:
    address = server.getsockname()
    stage.connect(address, keepalive_seconds=55)
    assert not stage.over, "never inside connect()"
    stage.run()
    (stream,) = stage.streams
    assert stage.resolver.asked == [("peer", 80)]
    assert stream.peer == address
    sock = stream._sock
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 55
    accepted, _ = server.accept()
    with accepted:
        stream.write(b"hello")
        assert accepted.recv(10) == b"hello"
    stage.wait(100.0)
    assert stage.errors == []


def test_a_refusal_is_told_in_gos_words(stage: Stage) -> None:
    stage.connect(REFUSING)
    stage.run()
    assert stage.errors == ["dial tcp 127.0.0.1:1: connect: connection refused"]
    stage.wait(100.0)
    assert len(stage.errors) == 1


def test_the_next_address_is_tried(stage: Stage, server: socket.socket) -> None:
    stage.connect(REFUSING, ("127.0.0.2", 1), server.getsockname())
    stage.run()
    assert stage.streams[0].peer == server.getsockname()
    assert stage.errors == []


def test_the_last_address_tells_why(stage: Stage) -> None:
    stage.connect(REFUSING, ("127.0.0.2", 1))
    stage.run()
    assert stage.errors == ["dial tcp 127.0.0.2:1: connect: connection refused"]


def test_an_address_that_is_refused_at_once_is_no_exception(stage: Stage) -> None:
    stage.connect(("224.0.0.1", 80), REFUSING)
    stage.run()
    assert stage.errors == ["dial tcp 127.0.0.1:1: connect: connection refused"]


def test_no_descriptor_left_is_an_error_like_any_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", fail)
    stage.connect(REFUSING)
    assert stage.errors == ["dial tcp 127.0.0.1:1: connect: too many open files"]


def test_no_address_is_a_failure(stage: Stage) -> None:
    stage.connect()
    stage.answer()
    assert stage.errors == ["dial tcp peer:80: no address"]


def test_a_name_without_address_is_a_failure(stage: Stage) -> None:
    stage.connect()
    stage.resolver.fail(TransportError("lookup peer: no such host"))
    assert stage.errors == ["lookup peer: no such host"]


# From an address of our own.


def test_the_connection_comes_from_the_address_asked_for(
    stage: Stage, server: socket.socket
) -> None:
    stage.connect(server.getsockname(), local_ip="127.0.0.7")
    stage.run()
    accepted, (host, _) = server.accept()
    accepted.close()
    assert host == "127.0.0.7"
    assert stage.streams[0].local_address()[0] == "127.0.0.7"


@needs_ipv6
def test_ipv6_has_an_address_of_our_own_too(stage: Stage) -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.bind(("::1", 0))
        server.listen()
        stage.connect(("127.0.0.1", 1), ("::1", server.getsockname()[1]), local_ip="::1")
        stage.run()
    assert stage.streams[0].local_address()[0] == "::1"
    assert stage.errors == []


def test_addresses_of_the_other_family_are_passed_over(stage: Stage, server: socket.socket) -> None:
    stage.connect(("::1", 1), server.getsockname(), local_ip="127.0.0.7")
    stage.run()
    assert stage.streams[0].peer == server.getsockname()


def test_those_passed_over_have_no_share_of_the_time(
    stage: Stage, blackholes: list[tuple[str, int]], server: socket.socket
) -> None:
    stage.connect(("::1", 1), blackholes[0], server.getsockname(), local_ip="127.0.0.7")
    stage.wait(4.99)
    assert not stage.over
    stage.wait(0.01)
    assert stage.streams[0].peer == server.getsockname()


@pytest.mark.parametrize(
    ("local_ip", "address", "error"),
    [
        ("127.0.0.7", "::1", "peer:80: no IPv4 address, and 127.0.0.7 reaches no other"),
        ("::1", "127.0.0.1", "peer:80: no IPv6 address, and ::1 reaches no other"),
        ("192.0.2.1", "127.0.0.1", "127.0.0.1:9: bind 192.0.2.1: cannot assign requested address"),
        ("router", "127.0.0.1", "peer:80: 'router' is no IP address to dial from"),
    ],
)
def test_an_address_that_will_not_do_is_told(
    stage: Stage, local_ip: str, address: str, error: str
) -> None:
    stage.connect((address, 9), local_ip=local_ip)
    stage.run()
    assert stage.errors == [f"dial tcp {error}"]


def test_no_address_at_all_is_not_the_fault_of_ours(stage: Stage) -> None:
    stage.connect(local_ip="127.0.0.7")
    stage.answer()
    assert stage.errors == ["dial tcp peer:80: no address"]


# Time.


def test_silence_ends_when_the_time_is_up(stage: Stage, blackholes: list[tuple[str, int]]) -> None:
    stage.connect(blackholes[0])
    stage.wait(9.99)
    assert not stage.over
    stage.wait(0.01)
    assert stage.errors == [f"dial tcp 127.0.0.1:{blackholes[0][1]}: i/o timeout"]


def test_each_address_gets_its_share(
    stage: Stage, blackholes: list[tuple[str, int]], server: socket.socket
) -> None:
    stage.connect(blackholes[0], blackholes[1], server.getsockname())
    stage.wait(3.34)
    stage.wait(3.33)
    assert not stage.over
    stage.wait(0.01)
    assert stage.streams[0].peer == server.getsockname()


def test_all_shares_together_are_the_time_given(
    stage: Stage, blackholes: list[tuple[str, int]]
) -> None:
    stage.connect(*blackholes)
    for _ in range(3):
        assert not stage.over
        stage.wait(3.33)
    assert not stage.over
    stage.wait(0.01)
    assert stage.errors == [f"dial tcp 127.0.0.3:{blackholes[2][1]}: i/o timeout"]


def test_time_that_a_refusal_saves_is_for_the_others(
    stage: Stage, blackholes: list[tuple[str, int]]
) -> None:
    stage.connect(REFUSING, blackholes[0])
    stage.wait(9.99)
    assert not stage.over
    stage.wait(0.01)
    assert stage.errors == [f"dial tcp 127.0.0.1:{blackholes[0][1]}: i/o timeout"]


def test_a_long_look_up_leaves_smaller_shares(
    stage: Stage, blackholes: list[tuple[str, int]], server: socket.socket
) -> None:
    stage.connect()
    stage.wait(8.0)
    stage.answer(blackholes[0], server.getsockname())
    stage.wait(0.99)
    assert not stage.over
    stage.wait(0.01)
    assert stage.streams[0].peer == server.getsockname()


def test_a_look_up_may_take_all_the_time(stage: Stage, server: socket.socket) -> None:
    stage.connect()
    stage.wait(10.0)
    assert stage.errors == ["dial tcp peer:80: i/o timeout"]
    stage.answer(server.getsockname())
    stage.run()
    stage.resolver.fail(TransportError("late"))
    assert len(stage.errors) == 1
    assert stage.streams == []


# Cancelling.


def test_a_cancelled_attempt_stays_silent(
    stage: Stage, blackholes: list[tuple[str, int]], server: socket.socket
) -> None:
    for addresses in ([], [server.getsockname()], [REFUSING], blackholes):
        attempt = stage.connect(*addresses)
        attempt.cancel()
        attempt.cancel()
        stage.assert_nothing_is_left()
        stage.answer(server.getsockname())
        stage.resolver.fail(TransportError("late"))
        stage.wait(100.0)
        assert not stage.over


def test_a_late_cancel_leaves_the_connection_alone(stage: Stage, server: socket.socket) -> None:
    attempt = stage.connect(server.getsockname())
    stage.run()
    attempt.cancel()
    assert not stage.streams[0].closed


# Callbacks that fail.


def test_a_bug_in_on_failed_is_not_answered_by_another_call(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[TransportError] = []

    def fail(error: TransportError) -> None:
        calls.append(error)
        raise ZeroDivisionError

    stage.connector.connect("peer", 80, stage.streams.append, fail, timeout_seconds=10.0)
    stage.answer(REFUSING)
    stage.wait(100.0)
    assert len(calls) == len(caplog.records) == 1
    assert stage.streams == []


def test_a_bug_in_on_connected_closes_the_connection_and_calls_nobody_else(
    stage: Stage, server: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[SocketStream] = []

    def fail(stream: SocketStream) -> None:
        calls.append(stream)
        raise ZeroDivisionError

    stage.connector.connect(
        "peer",
        80,
        fail,
        lambda error: stage.errors.append(str(error)),
        timeout_seconds=10.0,
    )
    stage.answer(server.getsockname())
    stage.wait(100.0)
    assert len(calls) == len(caplog.records) == 1
    assert "ZeroDivisionError" in caplog.text
    assert stage.errors == []
    assert calls[0].closed
    stage.assert_nothing_is_left()
