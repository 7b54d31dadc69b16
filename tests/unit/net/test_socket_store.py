"""The store beside a scripted service manager: what is told, and what a next process finds."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

import pytest

from frpd.net import socket_store as module
from frpd.net.listener import ListenError, bind_tcp
from frpd.net.socket_store import (
    LINGER_SECONDS,
    TCP,
    UDP,
    HeldError,
    Place,
    SocketStore,
    open_tcp,
)
from frpd.selector_loop import SelectorLoop
from frpd.udp.datagram_socket import open_udp
from tests.helpers.clock import MockClock
from tests.helpers.compiled import needs_source
from tests.helpers.ports import free_port
from tests.helpers.socket_keeper import SocketKeeper
from tests.unit.net.conftest import needs_ipv6

HERE = "127.0.0.1"
HOLD_SECONDS = 60.0


@pytest.fixture
def manager(no_fd_leaks: None) -> Iterator[SocketKeeper]:
    made = SocketKeeper()
    yield made
    made.close()


@pytest.fixture
def store(manager: SocketKeeper, loop: SelectorLoop) -> Iterator[SocketStore]:
    made = SocketStore(manager.tell)
    made.attach(loop)
    yield made
    made.close()


@pytest.fixture
def port() -> int:
    return free_port()


def next_process(manager: SocketKeeper, loop: SelectorLoop) -> SocketStore:
    store = SocketStore(manager.tell, manager.pass_on())
    store.attach(loop)
    return store


def can_connect(port: int, host: str = HERE) -> bool:
    with socket.socket() as visitor:
        visitor.settimeout(10)
        return visitor.connect_ex((host, port)) == 0


def test_without_a_manager_it_does_nothing(no_fd_leaks: None, port: int) -> None:
    store = SocketStore()
    with open_tcp(store, HERE, port, "proxy a") as sock:
        assert can_connect(port)
        store.forget(sock)
        assert can_connect(port)
    store.park(HOLD_SECONDS)
    store.close()


def test_a_visitor_is_not_refused_between_two_processes(
    manager: SocketKeeper, store: SocketStore, loop: SelectorLoop, port: int
) -> None:
    sock = open_tcp(store, HERE, port, "proxy ssh")
    assert manager.names == [f"tcp/127.0.0.1/{port}/proxy%20ssh"]
    store.freeze()
    store.forget(sock)
    sock.close()
    with socket.create_connection((HERE, port), timeout=10) as visitor:
        later = next_process(manager, loop)
        with open_tcp(later, HERE, port, "proxy ssh") as again:
            accepted, address = again.accept()
            assert address == visitor.getsockname()
            accepted.close()
        assert len(manager.stored) == 1


def test_what_is_let_go_of_while_running_is_free_at_once(
    manager: SocketKeeper, store: SocketStore, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also before the manager, which is busy, has closed its copy."""
    waiting: list[tuple[str, ...]] = []

    def busy(*assignments: str, fds: Sequence[int] = ()) -> None:
        if fds:
            manager.tell(*assignments, fds=fds)
        else:
            waiting.append(assignments)

    monkeypatch.setattr(store, "_tell", busy)
    sock = open_tcp(store, HERE, port)
    store.forget(sock)
    sock.close()
    assert waiting
    assert not can_connect(port)
    with bind_tcp(HERE, port):
        assert can_connect(port)
    manager.tell(*waiting[0])
    assert manager.stored == []


def test_a_udp_port_can_be_taken_again_while_the_manager_still_has_it(
    manager: SocketKeeper, store: SocketStore, loop: SelectorLoop, clock: MockClock, port: int
) -> None:
    sock = open_udp(store, HERE, port, "proxy dns")
    assert manager.said[-1].endswith("FDPOLL=0")
    store.forget(sock)
    sock.close()
    assert manager.stored == []
    with open_udp(store, HERE, port, "proxy other") as again:
        assert again.getsockname()[1] == port
        assert manager.names == [f"udp/127.0.0.1/{port}/proxy%20other"]
        clock.advance(LINGER_SECONDS)
        loop.run_turn()
        assert again.fileno() >= 0
        store.forget(again)
    clock.advance(LINGER_SECONDS)
    loop.run_turn()
    assert store._lingering == {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anyone:
        anyone.bind((HERE, port))


def test_another_owner_has_to_wait(
    manager: SocketKeeper, store: SocketStore, loop: SelectorLoop, port: int
) -> None:
    open_tcp(store, HERE, port, "proxy alice.ssh").close()
    later = next_process(manager, loop)
    with pytest.raises(HeldError, match=r"is held for proxy \[alice.ssh\]"):
        open_tcp(later, HERE, port, "proxy bob.ssh")
    assert later.port_of(TCP, "proxy alice.ssh") == port
    assert later.port_of(UDP, "proxy alice.ssh") == 0
    assert later.port_of(TCP, "proxy bob.ssh") == 0
    later.close()


def test_what_nobody_comes_for_is_closed_after_a_time(
    manager: SocketKeeper,
    loop: SelectorLoop,
    clock: MockClock,
    port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    open_tcp(SocketStore(manager.tell), HERE, port, "proxy ssh").close()
    later = next_process(manager, loop)
    later.park(HOLD_SECONDS)
    assert f"tcp 127.0.0.1:{port} of proxy [ssh]" in caplog.text
    with socket.create_connection((HERE, port), timeout=10) as visitor:
        clock.advance(HOLD_SECONDS)
        loop.run_turn()
        with pytest.raises(ConnectionResetError):
            visitor.recv(1)
    assert "nobody has come for these ports, they are closed: tcp" in caplog.text
    assert manager.stored == []
    open_tcp(later, HERE, port, "proxy bob.ssh").close()
    assert manager.names == [f"tcp/127.0.0.1/{port}/proxy%20bob.ssh"]


def test_the_time_ends_nothing_that_was_taken_or_is_left_to_the_next(
    manager: SocketKeeper, store: SocketStore, loop: SelectorLoop, clock: MockClock
) -> None:
    ports = [free_port(), free_port()]
    for port in ports:
        open_tcp(store, HERE, port, f"proxy {port}").close()
    later = next_process(manager, loop)
    later.park(HOLD_SECONDS)
    with open_tcp(later, HERE, ports[0], f"proxy {ports[0]}"):
        later.freeze()
        clock.advance(HOLD_SECONDS)
        loop.run_turn()
        assert len(manager.stored) == 2
    later.close()
    assert all(map(can_connect, ports))


def test_the_program_itself_may_have_what_waits_for_a_proxy(
    manager: SocketKeeper, store: SocketStore, loop: SelectorLoop, port: int
) -> None:
    open_tcp(store, HERE, port, "proxy ssh").close()
    later = next_process(manager, loop)
    with open_tcp(later, HERE, port):
        assert manager.names == [f"tcp/127.0.0.1/{port}"]


def test_what_no_setting_asks_for_is_closed_before_anything_is_bound(
    manager: SocketKeeper, store: SocketStore, loop: SelectorLoop
) -> None:
    ports = sorted([free_port(), free_port(), free_port()])
    open_tcp(store, HERE, ports[0]).close()
    open_tcp(store, HERE, ports[1], "proxy a").close()
    open_udp(store, HERE, ports[2], "proxy b").close()
    later = next_process(manager, loop)
    seen: list[tuple[Place, bool]] = []

    def wanted(place: Place, owner: str) -> bool:
        seen.append((place, bool(owner)))
        return place.port == ports[1]

    later.sift(wanted)
    assert sorted(seen, key=lambda one: one[0].port) == [
        (Place(TCP, HERE, ports[0]), False),
        (Place(TCP, HERE, ports[1]), True),
        (Place(UDP, HERE, ports[2]), True),
    ]
    assert manager.names == [f"tcp/127.0.0.1/{ports[1]}/proxy%20a"]
    assert not can_connect(ports[0])
    later.close()


@needs_source(SocketStore)
def test_a_line_of_the_log_names_so_many_and_no_more(
    manager: SocketKeeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_LISTED", 1)
    caplog.set_level("INFO")
    first = SocketStore(manager.tell)
    ports = [free_port(), free_port(), free_port()]
    for port in ports:
        open_tcp(first, HERE, port, "group g").close()
    SocketStore(manager.tell, manager.pass_on()).sift(lambda _place, _owner: False)
    assert f"closed: tcp {HERE}:{ports[0]} of group [g], and 2 others" in caplog.text


@needs_ipv6
@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_all_ways_to_say_every_address_mean_one_socket(
    manager: SocketKeeper, store: SocketStore, loop: SelectorLoop, port: int, host: str
) -> None:
    open_tcp(store, "0.0.0.0", port, "proxy a").close()
    later = next_process(manager, loop)
    with open_tcp(later, host, port, "proxy a") as sock:
        assert sock.getsockname()[0] == "::"
    assert manager.names == [f"tcp/*/{port}/proxy%20a"]


@needs_ipv6
def test_an_ipv6_address_makes_a_name_without_colons(
    manager: SocketKeeper, store: SocketStore, loop: SelectorLoop, port: int
) -> None:
    open_tcp(store, "::1", port).close()
    assert manager.names == [f"tcp/%3A%3A1/{port}"]
    with open_tcp(next_process(manager, loop), "0:0::1", port) as sock:
        assert sock.getsockname()[1] == port


@pytest.mark.parametrize("name", ["ünï:cödé/\n", "x" * 300, "\udcff\0", "#"])
def test_every_name_of_a_proxy_can_be_told_and_found_again(
    manager: SocketKeeper, store: SocketStore, loop: SelectorLoop, port: int, name: str
) -> None:
    open_tcp(store, HERE, port, f"proxy {name}").close()
    later = next_process(manager, loop)
    assert later.port_of(TCP, f"proxy {name}") == port
    with pytest.raises(HeldError):
        open_tcp(later, HERE, port, f"proxy {name}x")
    open_tcp(later, HERE, port, f"proxy {name}").close()


def test_what_a_socket_unit_has_bound_is_used_and_stays_its_own(
    manager: SocketKeeper, loop: SelectorLoop, port: int
) -> None:
    unit = socket.create_server((HERE, port))
    store = SocketStore(manager.tell, [(unit, "frps.socket")])
    with open_tcp(store, HERE, port) as sock:
        assert not sock.getblocking()
        store.forget(sock)
        assert can_connect(port)
    assert manager.said == []


def test_what_cannot_be_used_is_closed(
    manager: SocketKeeper, loop: SelectorLoop, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server((HERE, port)) as dead:
        copy = dead.dup()
        dead.shutdown(socket.SHUT_RDWR)
    near, far = socket.socketpair()
    strange = socket.create_server((HERE, 0))
    given = [(copy, f"tcp/127.0.0.1/{port}"), (near, "stored"), (strange, "other.socket")]
    store = SocketStore(manager.tell, given)
    store.attach(loop)
    store.park(HOLD_SECONDS)
    far.close()
    assert all(sock.fileno() < 0 for sock, _ in given)
    assert manager.said == [f"FDSTOREREMOVE=1 FDNAME=tcp/127.0.0.1/{port}"]
    assert "[other.socket]" in caplog.text


def test_a_port_that_is_taken_is_not_kept(
    manager: SocketKeeper, store: SocketStore, port: int
) -> None:
    with socket.create_server((HERE, port)), pytest.raises(ListenError):
        open_tcp(store, HERE, port)
    assert manager.said == []


def test_a_port_of_the_kernels_choice_is_not_kept(
    manager: SocketKeeper, store: SocketStore
) -> None:
    open_tcp(store, HERE, 0).close()
    assert manager.said == []
