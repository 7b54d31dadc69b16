"""frpd.net.netwatch: what counts as a change, how many make one report, and life without pyroute2.

tests/data/netlink.json holds what a kernel (6.18) sent while ip(8) did what the names say, to a
socket of all our groups in a network namespace with one veth pair.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from frpd.errors import LimitError
from frpd.net import netwatch
from frpd.net.netwatch import Change, NetworkWatcher, changes_in, has_address
from tests.helpers.world import World, world
from tests.unit.net.conftest import needs_ipv6, no_fd_leaks

__all__ = ["no_fd_leaks", "world"]

DATA = Path(__file__).parents[2] / "data" / "netlink.json"
SAID: dict[str, list[bytes]] = {
    name: list(map(bytes.fromhex, datagrams))
    for name, datagrams in json.loads(DATA.read_text()).items()
}


@pytest.fixture(autouse=True, scope="module")
def _pyroute2() -> None:
    pytest.importorskip("pyroute2")


class Kernel:
    """The other end of a watcher's socket, and what the watcher reported."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        near, self.sock = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        near.setblocking(False)
        world.stack.callback(self.sock.close)
        monkeypatch.setattr(netwatch, "open_netlink", lambda: near)
        self.reports = 0
        self.watcher = NetworkWatcher(world.loop, world.pool, self._reported)
        world.owners.callback(self.watcher.close)
        self.watcher.start()

    def _reported(self) -> None:
        self.reports += 1

    def says(self, *names: str) -> None:
        """Send everything of these scenes, and let the watcher receive it."""
        for datagram in (datagram for name in names for datagram in SAID[name]):
            self.sock.send(datagram)
        self.world.turn(3)

    def settles(self) -> None:
        """Let the time pass after which the watcher looks, and wait for the worker."""
        self.world.clock.advance(netwatch.REST_SECONDS)
        self.world.turn(2)
        self.world.until(lambda: not self.world.pool.busy and not self.world.pool.depth)
        self.world.turn(3)

    def reports_after(self, *names: str) -> int:
        """Return how many reports these scenes made."""
        before = self.reports
        self.says(*names)
        self.settles()
        return self.reports - before


@pytest.fixture
def kernel(world: World, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    changes_in([])  # the import takes longer than a test likes to wait
    return Kernel(world, monkeypatch)


def texts(*names: str) -> list[str]:
    return [change.text for name in names for change in changes_in(SAID[name])]


# What the kernel said.


def test_addresses_come_with_the_route_to_their_network() -> None:
    assert texts("address added") == ["address 192.0.2.2 there", "route 192.0.2.0/24 there"]
    assert texts("address gone") == ["address 192.0.2.3 gone"]


def test_routes_are_told_with_target_and_gateway() -> None:
    assert texts("default route added", "default route replaced", "default route gone") == [
        "route default by 192.0.2.1 there",
        "route default by 192.0.2.9 there",
        "route default by 192.0.2.9 gone",
    ]
    assert texts("host route added") == ["route 198.51.100.7/32 by 192.0.2.9 there"]
    assert texts("unreachable route added") == ["unreachable 203.0.113.0/24 there"]


def test_the_table_of_local_routes_says_nothing_that_addresses_do_not_say() -> None:
    assert texts("local route added") == []


def test_an_ipv6_address_is_there_once_it_is_known_to_be_unique() -> None:
    assert texts("ipv6 address added") == [
        "route 2001:db8::/64 there",
        "address 2001:db8::2 there",
    ]


def test_a_link_that_goes_down_is_told_because_its_ipv4_routes_are_not() -> None:
    assert texts("link down")[0] == "link v0 down"


def test_no_datagram_of_the_kernel_is_unreadable() -> None:
    for datagrams in SAID.values():
        changes_in(datagrams)


# Reports.


def test_many_messages_are_one_report(kernel: Kernel) -> None:
    assert kernel.reports_after("address added", "default route added", "address gone") == 1


def test_nothing_is_reported_before_the_network_has_settled(kernel: Kernel) -> None:
    kernel.says("address added")
    kernel.world.advance(netwatch.SETTLE_SECONDS / 2)
    assert kernel.reports == 0
    kernel.settles()
    assert kernel.reports == 1


def test_after_a_report_the_next_one_waits(kernel: Kernel) -> None:
    assert kernel.reports_after("address added") == 1
    kernel.says("address gone")
    kernel.world.advance(netwatch.SETTLE_SECONDS * 2)
    assert kernel.world.pool.busy == 0
    assert kernel.reports == 1
    kernel.settles()
    assert kernel.reports == 2


def test_what_concerns_no_traffic_is_not_reported(kernel: Kernel) -> None:
    assert kernel.reports_after("local route added") == 0


def test_an_address_that_a_router_repeats_is_no_change(kernel: Kernel) -> None:
    assert kernel.reports_after("ipv6 address added") == 1
    assert kernel.reports_after("ipv6 lifetime changed") == 0


def test_an_address_that_went_and_came_back_is_a_change(kernel: Kernel) -> None:
    for _ in range(2):
        assert kernel.reports_after("ipv6 address added") == 1
        assert kernel.reports_after("ipv6 address gone") == 1


def test_news_of_a_link_that_runs_as_before_are_no_change(kernel: Kernel) -> None:
    assert kernel.reports_after("alias set") == 1  # nobody knew this link before
    assert kernel.reports_after("alias set") == 0
    assert kernel.reports_after("link down") == 1


def test_the_same_default_route_again_is_a_change(kernel: Kernel) -> None:
    # A replaced route is not said to be gone, so coming back looks like repeating.
    for scene in ("default route added", "default route replaced", "default route added"):
        assert kernel.reports_after(scene) == 1


def test_a_flood_is_one_report_that_nobody_reads(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread(_datagrams: list[bytes]) -> list[Change]:
        pytest.fail("a flood was read")

    monkeypatch.setattr(netwatch, "changes_in", unread)
    for _ in range(netwatch.MAX_BATCH + 1):
        kernel.says("local route added")
    kernel.settles()
    assert kernel.reports == 1


class Overrun:
    """A socket whose first recv fails, as a kernel does that had to drop messages."""

    def __init__(self, number: int) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.near.setblocking(False)
        self.far.send(b"what makes it readable")
        self._errors = [OSError(number, os.strerror(number))]

    def fileno(self) -> int:
        return self.near.fileno()

    def recv(self, size: int) -> bytes:
        del size
        if self._errors:
            raise self._errors.pop()
        self.near.setblocking(False)
        raise BlockingIOError

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.mark.parametrize(("number", "reports"), [(errno.ENOBUFS, 1), (errno.EBADF, 0)])
def test_dropped_messages_are_a_change_and_other_errors_the_end(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    no_fd_leaks: None,
    number: int,
    reports: int,
) -> None:
    del no_fd_leaks
    overrun = Overrun(number)
    monkeypatch.setattr(netwatch, "open_netlink", lambda: overrun)
    seen: list[int] = []
    watcher = NetworkWatcher(world.loop, world.pool, lambda: seen.append(1))
    watcher.start()
    world.turn(2)
    world.advance(netwatch.SETTLE_SECONDS)
    assert len(seen) == reports
    assert world.loop.watch_count == reports
    watcher.close()
    assert world.loop.watch_count == 0


def test_what_pyroute2_cannot_read_is_a_change(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_datagrams: list[bytes]) -> list[Change]:
        raise KeyError("event")

    monkeypatch.setattr(netwatch, "changes_in", fail)
    assert kernel.reports_after("address added") == 1
    assert kernel.reports_after("address added") == 1


def test_what_no_worker_has_time_for_is_a_change(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise LimitError("the worker queue is full")

    monkeypatch.setattr(kernel.world.pool, "submit", full)
    assert kernel.reports_after("address added") == 1


def test_after_close_nothing_is_reported_and_nothing_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    census = world.census()
    kernel = Kernel(world, monkeypatch)
    kernel.says("address added")
    kernel.watcher.close()
    kernel.watcher.close()
    kernel.sock.close()
    kernel.settles()
    assert kernel.reports == 0
    assert census.is_back()
    assert census.timers_are_back()


def test_close_while_a_worker_reads_wants_no_answer(kernel: Kernel) -> None:
    kernel.says("address added")
    kernel.world.clock.advance(netwatch.SETTLE_SECONDS)
    kernel.world.turn(1)
    kernel.watcher.close()
    kernel.settles()
    assert kernel.reports == 0


# Where it is not possible.


def test_without_pyroute2_there_is_one_line_and_no_socket(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "frpd.net.netwatch")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    watcher = NetworkWatcher(world.loop, world.pool, lambda: None)
    watcher.start()
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert "pyroute2 is not installed" in caplog.text
    assert world.loop.watch_count == 0
    watcher.close()


def test_a_pyroute2_that_cannot_be_imported_ends_the_watch(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "frpd.net.netwatch")
    monkeypatch.setitem(sys.modules, "pyroute2.netlink.rtnl.marshal", None)
    assert kernel.reports_after("address added") == 0
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert kernel.world.loop.watch_count == 0


def test_a_system_without_netlink_is_not_watched(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    caplog.set_level(logging.DEBUG, "frpd.net.netwatch")
    monkeypatch.setattr(netwatch, "open_netlink", refuse)
    NetworkWatcher(world.loop, world.pool, lambda: None).start()
    assert "not watched: [Errno 97] Address family not supported" in caplog.text
    assert world.loop.watch_count == 0


def test_anybody_may_listen_to_the_kernel() -> None:
    with netwatch.open_netlink() as sock:
        assert not sock.getblocking()
        _, groups = sock.getsockname()
        assert groups == netwatch.GROUPS


class Forbidden(socket.socket):
    """A socket in a sandbox."""

    def bind(self, address: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")


def test_a_socket_that_may_not_listen_is_closed(
    monkeypatch: pytest.MonkeyPatch, no_fd_leaks: None
) -> None:
    del no_fd_leaks
    monkeypatch.setattr(socket, "socket", Forbidden)
    with pytest.raises(PermissionError):
        netwatch.open_netlink()


def test_pyroute2_is_not_imported_before_the_first_change() -> None:
    code = (
        "import sys\n"
        "from frpd.net.netwatch import NetworkWatcher\n"
        "from frpd.selector_loop import SelectorLoop\n"
        "from frpd.workers import WorkerPool\n"
        "loop = SelectorLoop()\n"
        "NetworkWatcher(loop, WorkerPool(loop), lambda: None).start()\n"
        "loop.run_turn()\n"
        "sys.exit('pyroute2' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Addresses.


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9"])
def test_loopback_is_ours(address: str) -> None:
    assert has_address((address, 7000))


def test_a_documentation_address_is_not_ours() -> None:
    assert not has_address(("192.0.2.77", 7000))


@needs_ipv6
def test_addresses_of_ipv6_are_told_apart_too() -> None:
    assert has_address(("::1", 7000, 0, 0))
    assert not has_address(("2001:db8::77", 7000, 0, 0))
    assert not has_address(("fe80::77", 7000, 0, 999_999))


def test_without_descriptors_an_address_counts_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", full)
    assert has_address(("192.0.2.77", 7000))
