"""UDP sockets on the loop: binding, sending, and what the network answers."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from frpd.net.address import SockAddr
from frpd.net.listener import ListenError
from frpd.udp import datagram_socket
from frpd.udp.datagram_socket import (
    MAX_SEGMENTS,
    DatagramBindError,
    DatagramSocket,
    answer_via,
    bind_udp,
    connect_udp,
)
from tests.helpers.udp import has_ipv6, udp_socket
from tests.helpers.world import World, world

__all__ = ["world"]

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


class Bound:
    """A bound DatagramSocket of the loop that notes what comes, and can answer."""

    def __init__(self, world: World, host: str = "127.0.0.1") -> None:
        self.heard: list[tuple[bytes, SockAddr]] = []
        self.answers = False
        self.most = 1 << 30
        self.world = world
        self.socket = DatagramSocket(world.loop, bind_udp(host, 0), self.readable)
        self.socket.read_on(wanted=True)
        world.owners.callback(self.socket.close)

    @property
    def port(self) -> int:
        return self.socket.address[1]

    def readable(self) -> None:
        for _ in range(self.most):
            received = self.socket.receive_from()
            if received is None:
                return
            size, ancillary, _, peer = received
            data = bytes(self.socket.scratch[:size])
            self.heard.append((data, peer))
            if self.answers:
                self.socket.send([data], peer, answer_via(ancillary))


class Connected:
    """A connected DatagramSocket of the loop."""

    def __init__(self, world: World, port: int) -> None:
        self.heard: list[bytes] = []
        sock = connect_udp(socket.AF_INET, ("127.0.0.1", port))
        self.socket = DatagramSocket(world.loop, sock, self.readable)
        self.socket.read_on(wanted=True)
        world.owners.callback(self.socket.close)

    def readable(self) -> None:
        while (size := self.socket.receive()) is not None:
            self.heard.append(bytes(self.socket.scratch[:size]))


@pytest.fixture
def service() -> Iterator[socket.socket]:
    with udp_socket("127.0.0.1") as sock:
        yield sock


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def test_datagrams_come_whole_and_in_order_with_their_sender(world: World) -> None:
    bound = Bound(world)
    sent = [b"", b"x", bytes(65507), b"last"]
    with udp_socket("127.0.0.1") as visitor:
        for data in sent:
            visitor.sendto(data, ("127.0.0.1", bound.port))
        world.until(lambda: len(bound.heard) == len(sent))
        assert bound.heard == [(data, visitor.getsockname()) for data in sent]


def test_it_reads_only_while_it_is_told_to(world: World) -> None:
    bound = Bound(world)
    bound.socket.read_on(wanted=False)
    with udp_socket("127.0.0.1") as visitor:
        visitor.sendto(b"early", ("127.0.0.1", bound.port))
        world.settle()
        assert bound.heard == []
        bound.socket.read_on(wanted=True)
        world.until(lambda: bound.heard)


def test_what_a_turn_leaves_comes_in_the_next_one(world: World) -> None:
    bound = Bound(world)
    bound.most = 2
    with udp_socket("127.0.0.1") as visitor:
        for number in range(7):
            visitor.sendto(bytes([number]), ("127.0.0.1", bound.port))
        world.until(lambda: len(bound.heard) == 7)
    assert [data for data, _ in bound.heard] == [bytes([number]) for number in range(7)]


@pytest.mark.parametrize(
    "sizes",
    [
        [512] * 5,
        [512] * (MAX_SEGMENTS + 5),
        [1, 2, 2, 3, 0, 0, 4, 4, 4],
        [60000, 60000, 30000, 30000, 30000],
        [65507, 65507],
    ],
)
def test_many_at_once_arrive_as_they_were(
    world: World, service: socket.socket, sizes: list[int]
) -> None:
    flow = Connected(world, port_of(service))
    sent = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    assert flow.socket.send([memoryview(data) for data in sent]) == len(sent)
    assert [service.recv(65536) for _ in sent] == sent


def test_where_the_kernel_cannot_segment_they_leave_one_by_one(
    world: World, service: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = Connected(world, port_of(service))
    monkeypatch.setattr(datagram_socket, "_segment_size", lambda _size: b"\1")
    assert flow.socket.send([b"aa", b"bb", b"cc"]) == 3
    assert [service.recv(10) for _ in range(3)] == [b"aa", b"bb", b"cc"]
    assert flow.socket.max_segment_bytes == 1
    assert flow.socket.send([b"dd", b"ee"]) == 2
    assert [service.recv(10) for _ in range(2)] == [b"dd", b"ee"]


class FullSocket(socket.socket):
    """A socket whose kernel has no room for what is sent."""

    has_room = False

    def send(self, *args: Any) -> int:
        if not self.has_room:
            raise BlockingIOError
        return super().send(*args)

    def sendmsg(self, *args: Any) -> int:
        if not self.has_room:
            raise BlockingIOError
        return super().sendmsg(*args)


def test_a_full_kernel_costs_the_datagrams_and_nothing_else(
    world: World, service: socket.socket
) -> None:
    full = FullSocket(socket.AF_INET, socket.SOCK_DGRAM)
    full.connect(service.getsockname())
    flow = DatagramSocket(world.loop, full, lambda: None)
    world.owners.callback(flow.close)
    assert flow.send([b"lost"]) == 0
    assert flow.send([b"lost", b"also"]) == 0
    assert flow.blocked == 3
    full.has_room = True
    assert flow.send([b"arrives"]) == 1
    assert service.recv(10) == b"arrives"


@pytest.mark.parametrize("count", [1, 3])
def test_a_refused_datagram_does_not_cost_the_next_ones(world: World, count: int) -> None:
    with udp_socket("127.0.0.1") as service:
        port = port_of(service)
    flow = Connected(world, port)
    flow.socket.read_on(wanted=False)
    assert flow.socket.send([b"nobody is there"]) == 1
    with udp_socket("127.0.0.1", port) as service:
        assert flow.socket.send([b"again"] * count) == count
        assert [service.recv(20) for _ in range(count)] == [b"again"] * count
    assert flow.socket.refused == 1


def test_a_refusal_is_read_and_counted_and_the_socket_lives(world: World) -> None:
    with udp_socket("127.0.0.1") as service:
        port = port_of(service)
    flow = Connected(world, port)
    flow.socket.send([b"nobody is there"])
    world.until(lambda: flow.socket.refused)
    with udp_socket("127.0.0.1", port) as service:
        flow.socket.send([b"question"])
        _, peer = service.recvfrom(20)
        service.sendto(b"answer", peer)
        world.until(lambda: flow.heard == [b"answer"])


def test_what_is_too_long_for_anyone_is_counted(world: World, service: socket.socket) -> None:
    flow = Connected(world, port_of(service))
    assert flow.socket.send([bytes(65508)]) == 0
    assert flow.socket.failed == 1


def test_a_callback_that_fails_does_not_cost_the_port(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    bound = Bound(world)
    calls: list[int] = []

    def fail_once() -> None:
        bound.socket.receive_from()
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("a bug")

    bound.socket.on_readable = fail_once
    bound.socket.read_on(wanted=True)
    with udp_socket("127.0.0.1") as visitor:
        for _ in range(2):
            visitor.sendto(b"x", ("127.0.0.1", bound.port))
        world.until(lambda: len(calls) == 2)
    assert "a bug" in caplog.text


def test_close_is_idempotent_and_frees_the_port(world: World) -> None:
    before = world.census()
    bound = Bound(world)
    bound.socket.close()
    bound.socket.close()
    assert bound.socket.closed
    assert before.is_back()
    bind_udp("127.0.0.1", bound.port).close()


def test_a_port_that_is_taken_is_refused_in_go_s_words() -> None:
    with udp_socket("127.0.0.1") as holder:
        port = port_of(holder)
        with pytest.raises(DatagramBindError) as caught:
            bind_udp("127.0.0.1", port)
    assert str(caught.value) == f"listen udp 127.0.0.1:{port}: bind: address already in use"
    assert isinstance(caught.value, ListenError)
    assert caught.value.errno == errno.EADDRINUSE


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(DatagramBindError, match="cannot assign requested address"):
        bind_udp("192.0.2.1", 0)
    with pytest.raises(DatagramBindError, match=r"listen udp no\.such\.name\.invalid:0: bind: "):
        bind_udp("no.such.name.invalid", 0)


def test_localhost_needs_no_hosts_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with bind_udp("localhost", 0) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


@needs_ipv6
@pytest.mark.parametrize("host", ["", "0.0.0.0", "::"])
def test_every_address_means_both_families(world: World, host: str) -> None:
    bound = Bound(world, host)
    for address in ("127.0.0.1", "::1"):
        with udp_socket(address) as visitor:
            visitor.sendto(address.encode(), (address, bound.port))
    world.until(lambda: len(bound.heard) == 2)


def test_without_ipv6_every_address_means_those_of_ipv4(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, kind)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    bound = Bound(world, "::")
    monkeypatch.undo()
    bound.answers = True
    assert_answers_from(world, bound, "127.0.0.2")


@needs_ipv6
def test_the_answer_comes_from_the_address_that_was_asked(world: World) -> None:
    bound = Bound(world, "::")
    bound.answers = True
    assert_answers_from(world, bound, "127.0.0.2")  # not the one that the kernel would choose
    assert_answers_from(world, bound, "::1")


def assert_answers_from(world: World, bound: Bound, address: str) -> None:
    with udp_socket("::1" if ":" in address else "127.0.0.1") as visitor:
        visitor.connect((address, bound.port))  # takes datagrams of this address only
        visitor.send(b"question")
        visitor.setblocking(False)
        heard: list[bytes] = []

        def answered() -> bool:
            try:
                heard.append(visitor.recv(100))
            except BlockingIOError:
                return False
            return True

        world.until(answered)
        assert heard == [b"question"]


@needs_ipv6
def test_one_address_of_ipv6_is_that_alone(world: World) -> None:
    bound = Bound(world, "::1")
    with udp_socket("::1") as visitor:
        visitor.sendto(b"x", ("::1", bound.port))
        world.until(lambda: bound.heard)
    assert bound.socket.describe() == f"[::1]:{bound.port}"
