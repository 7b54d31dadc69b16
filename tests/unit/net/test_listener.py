from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from frpd.net import listener as module
from frpd.net.address import format_address
from frpd.net.listener import (
    ACCEPTS_PER_TURN,
    KEEPALIVE_INTERVAL_SECONDS,
    Listener,
    ListenError,
    bind_tcp,
)
from frpd.net.pace import Pace
from frpd.net.stream import SocketStream
from frpd.selector_loop import SelectorLoop
from tests.helpers.clock import MockClock
from tests.unit.net.conftest import needs_ipv6


class CountingSocket(socket.socket):
    """Counts accepts, and fails those that the test has an error for."""

    accepts = 0
    errors: list[Exception]

    def accept(self) -> tuple[socket.socket, object]:
        self.accepts += 1
        if self.errors:
            raise self.errors.pop(0)
        return super().accept()


class Port:
    """A listener, what it accepted, and clients of it."""

    def __init__(
        self, loop: SelectorLoop, stack: ExitStack, host: str = "127.0.0.1", *, paced: bool = False
    ) -> None:
        self.sock = CountingSocket(fileno=bind_tcp(host, 0).detach())
        self.sock.errors = []
        self.streams: list[SocketStream] = []
        self.pace = Pace(loop.now, per_second=10, places=3)
        self.listener = Listener(loop, self.sock, self.streams.append, self.pace if paced else None)
        self.port: int = self.listener.address[1]
        self._stack = stack
        stack.callback(self.listener.close)
        stack.callback(self._close_streams)

    def _close_streams(self) -> None:
        for stream in self.streams:
            stream.close()

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        client = socket.create_connection((host, self.port), timeout=10)
        self._stack.callback(client.close)
        return client


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def port(no_fd_leaks: None, loop: SelectorLoop, stack: ExitStack) -> Port:
    return Port(loop, stack)


@contextlib.contextmanager
def no_fds_left() -> Iterator[Callable[[], None]]:
    """Take all descriptors there are; what is yielded gives them back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    taken: list[int] = []

    def give_back() -> None:
        while taken:
            os.close(taken.pop())

    # Room for some above the highest: where no number below it is free, none could be given back.
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 9, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield give_back
    finally:
        give_back()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_are_handed_over_with_their_peer(loop: SelectorLoop, port: Port) -> None:
    client = port.connect()
    loop.run_turn()
    (stream,) = port.streams
    assert stream.peer == client.getsockname()
    client.sendall(b"x")
    stream.write(b"y")
    assert client.recv(1) == b"y"


def test_accepted_connections_inherit_their_options(loop: SelectorLoop, stack: ExitStack) -> None:
    for seconds in (77, 10, 0):
        sock = bind_tcp("127.0.0.1", 0, keepalive_seconds=seconds)
        streams: list[SocketStream] = []
        listener = Listener(loop, sock, streams.append)
        stack.callback(listener.close)
        stack.enter_context(socket.create_connection(sock.getsockname()))
        loop.run_turn()
        accepted = streams[0]._sock
        assert not accepted.getblocking()
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert bool(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) == bool(seconds)
        if seconds:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == seconds
            interval = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
            assert interval == min(seconds, KEEPALIVE_INTERVAL_SECONDS)
        streams[0].close()


def test_a_turn_accepts_no_more_than_its_share(
    loop: SelectorLoop, port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ACCEPTS_PER_TURN <= 64
    monkeypatch.setattr(module, "ACCEPTS_PER_TURN", 4)
    for _ in range(10):
        port.connect()
    for accepted in (4, 8, 10, 10):
        loop.run_turn()
        assert len(port.streams) == accepted


def test_strangers_are_taken_at_their_pace(
    loop: SelectorLoop, clock: MockClock, stack: ExitStack
) -> None:
    port = Port(loop, stack, paced=True)
    for _ in range(8):
        port.connect()

    def taken_after(seconds: float) -> int:
        clock.advance(seconds)
        for _ in range(4):
            loop.run_turn()
        return len(port.streams)

    assert [taken_after(seconds) for seconds in (0, 0.05, 0.06, 0.1)] == [3, 3, 4, 5]
    assert port.sock.accepts == 5, "who waits is not asked for"
    port.pace.give_back()
    port.pace.give_back()
    assert taken_after(0.11) == 8
    port.listener.close()
    assert loop.timer_count == 0


@needs_ipv6
@pytest.mark.parametrize("host", ["::", "", "0.0.0.0"])  # the last as in Go
def test_all_addresses_means_ipv4_too(loop: SelectorLoop, stack: ExitStack, host: str) -> None:
    port = Port(loop, stack, host)
    for client_host in ("127.0.0.1", "::1"):
        client = port.connect(client_host)
        loop.run_turn()
        assert port.streams[-1].describe() == format_address(client.getsockname())


@needs_ipv6
def test_one_ipv6_address_is_only_that(loop: SelectorLoop, stack: ExitStack) -> None:
    port = Port(loop, stack, "::1")
    port.connect("::1")
    with pytest.raises(ConnectionRefusedError):
        port.connect("127.0.0.1")


def test_a_name_can_be_bound(loop: SelectorLoop, stack: ExitStack) -> None:
    port = Port(loop, stack, "localhost")
    port.connect("127.0.0.1")
    loop.run_turn()
    assert len(port.streams) == 1


def test_localhost_needs_no_hosts_file(
    loop: SelectorLoop, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    sock = bind_tcp("LocalHost", 0)
    assert sock.getsockname()[0] == "127.0.0.1"
    sock.close()
    with pytest.raises(ListenError):
        bind_tcp("elsewhere", 0)


def test_a_taken_port_is_told_in_gos_words(no_fd_leaks: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            bind_tcp("127.0.0.1", number)
    where = f"127.0.0.1:{number}"
    assert str(caught.value) == f"listen tcp {where}: bind: address already in use"
    assert (caught.value.errno, caught.value.address) == (errno.EADDRINUSE, where)


@needs_ipv6
def test_an_address_of_others_is_told_too(no_fd_leaks: None) -> None:
    with pytest.raises(
        ListenError,
        match=re.escape("listen tcp [2001:db8::1]:7000: bind: cannot assign requested address"),
    ):
        bind_tcp("2001:db8::1", 7000)


def test_a_name_that_means_nothing_is_a_listen_error(
    no_fd_leaks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ListenError, match="listen tcp nosuch:80: bind: name or service not known"):
        bind_tcp("nosuch", 80)


def test_a_bound_port_can_be_bound_again_at_once(loop: SelectorLoop, stack: ExitStack) -> None:
    port = Port(loop, stack)
    client = port.connect()
    loop.run_turn()
    port.streams[0].close()
    port.listener.close()
    assert client.recv(1) == b""
    bind_tcp("127.0.0.1", port.port).close()


# Running out of descriptors.


def test_without_descriptors_it_pauses_serves_the_others_and_resumes(
    loop: SelectorLoop, clock: MockClock, port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    first = port.connect()
    loop.run_turn()
    stream = port.streams[0]
    stream.watch(lambda: stream.write(stream.read(100)), None)  # type: ignore[arg-type]  # it is readable
    port.connect()
    port.connect()
    with no_fds_left() as give_back:
        before = port.sock.accepts
        for _ in range(50):
            loop.run_turn()
        assert port.sock.accepts == before + 1, "it does not spin"
        first.sendall(b"still there?")
        loop.run_turn()
        assert first.recv(100) == b"still there?"
        give_back()
        clock.advance(module.PAUSE_SECONDS)
        loop.run_turn()
        loop.run_turn()
        assert len(port.streams) == 3
    (record,) = caplog.records
    assert record.getMessage() == (
        f"cannot accept on 127.0.0.1:{port.port}: Too many open files; waiting for connections "
        "to end (raise LimitNOFILE / ulimit -n if this persists)"
    )


def test_it_complains_once_a_minute(
    loop: SelectorLoop, clock: MockClock, port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    port.connect()
    tries = 2 * round(module.COMPLAIN_EVERY_SECONDS / module.PAUSE_SECONDS)
    port.sock.errors = [OSError(errno.EMFILE, "Too many open files")] * tries
    for _ in range(tries):
        loop.run_turn()
        clock.advance(module.PAUSE_SECONDS)
        loop.run_turn()
    assert port.sock.accepts == tries
    assert len(caplog.records) == 2
    loop.run_turn()
    assert len(port.streams) == 1


def test_a_paused_listener_can_be_closed(loop: SelectorLoop, port: Port) -> None:
    port.sock.errors = [OSError(errno.ENFILE, "")]
    port.connect()
    loop.run_turn()
    assert loop.timer_count == 1
    port.listener.close()
    port.listener.close()
    assert (loop.timer_count, loop.watch_count) == (0, 0)


# What callbacks and dead connections do to it.


def test_a_connection_that_died_in_the_backlog_costs_only_itself(
    loop: SelectorLoop, port: Port
) -> None:
    port.connect()
    port.sock.errors = [ConnectionAbortedError(errno.ECONNABORTED, "")]
    loop.run_turn()
    assert len(port.streams) == 1


def test_a_bug_in_on_stream_costs_that_connection_and_not_the_port(
    loop: SelectorLoop, port: Port, caplog: pytest.LogCaptureFixture, stack: ExitStack
) -> None:
    def fail(stream: SocketStream) -> None:
        raise ZeroDivisionError

    sock = bind_tcp("127.0.0.1", 0)
    listener = Listener(loop, sock, fail)
    stack.callback(listener.close)
    for count in (1, 2):
        with socket.create_connection(sock.getsockname(), timeout=10) as client:
            loop.run_turn()
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        assert len(caplog.records) == count
    assert loop.watch_count == 2


def test_a_bug_in_accepting_does_not_cost_the_port(
    loop: SelectorLoop, port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    port.sock.errors = [ZeroDivisionError()]
    port.connect()
    loop.run_turn()
    assert len(caplog.records) == 1
    loop.run_turn()
    assert len(port.streams) == 1


def test_a_close_inside_on_stream_refuses_the_rest(loop: SelectorLoop, stack: ExitStack) -> None:
    sock = bind_tcp("127.0.0.1", 0)
    streams: list[SocketStream] = []

    def accept_one(stream: SocketStream) -> None:
        streams.append(stream)
        stack.callback(stream.close)
        listener.close()

    listener = Listener(loop, sock, accept_one)
    address = sock.getsockname()
    clients = [stack.enter_context(socket.create_connection(address)) for _ in range(3)]
    loop.run_turn()
    loop.run_turn()
    assert len(streams) == 1
    streams[0].write(b"y")
    assert clients[0].recv(1) == b"y"
    for client in clients[1:]:
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_port_is_shared_only_with_who_asks_while_its_listener_makes_room(
    no_fd_leaks: None, loop: SelectorLoop, stack: ExitStack
) -> None:
    port = Port(loop, stack)
    with pytest.raises(ListenError, match="address already in use"):
        bind_tcp("0.0.0.0", port.port, beside_others=True)
    with port.listener.shared(), bind_tcp("0.0.0.0", port.port, beside_others=True) as beside:
        assert beside.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
        with pytest.raises(ListenError, match="address already in use"):
            bind_tcp("0.0.0.0", port.port)
    assert port.sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0


def test_who_waits_can_be_taken_before_the_end(port: Port) -> None:
    with port.connect():
        port.listener.accept_waiting()
        port.listener.close()
    assert len(port.streams) == 1
