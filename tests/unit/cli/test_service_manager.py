"""What systemd is told and hands over, with a scripted one at the other end."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from frpd.admin.reload import ReloadReport
from frpd.cli import service_manager
from frpd.cli.assemble_client import client_status
from frpd.cli.assemble_server import server_status
from frpd.cli.service_manager import (
    STATUS_SECONDS,
    AnnouncedReload,
    Managed,
    ServiceManager,
    from_environment,
)
from frpd.client.proxy_table import Phase
from frpd.net.notify_socket import NotifySocket
from frpd.net.socket_store import TCP, SocketStore, open_tcp
from frpd.selector_loop import SelectorLoop
from tests.helpers.clock import MockClock

HERE = "127.0.0.1"
WATCHDOG_SECONDS = 30.0
FAR_ABOVE = 300  # numbers that nobody else here has
ME = str(os.getpid())


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind(self.path)

    def heard(self) -> list[str]:
        """Return what it was told since it was last asked, a message each."""
        found = []
        while True:
            try:
                found.append(self.sock.recv(65536).decode().replace("\n", " "))
            except BlockingIOError:
                return found


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(tmp_path / "notify")
    yield made
    made.sock.close()


class Program:
    """A manager on a loop whose clock stands still."""

    def __init__(self, systemd: Systemd, watchdog_seconds: float = 0.0) -> None:
        self.clock = MockClock()
        self.loop = SelectorLoop(self.clock)
        self.state = "nothing yet"
        notify = NotifySocket(systemd.path)
        self.sockets = SocketStore(notify.send)
        self.manager = ServiceManager(notify, watchdog_seconds, self.sockets)
        self.manager.attach(self.loop, lambda: self.state)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.loop.run_turn()

    def close(self) -> None:
        self.manager.close()
        self.loop.close()


@pytest.fixture
def program(systemd: Systemd) -> Iterator[Program]:
    made = Program(systemd)
    yield made
    made.close()


def test_ready_is_said_once_with_the_state(systemd: Systemd, program: Program) -> None:
    assert systemd.heard() == []
    program.state = "all is well"
    program.manager.ready()
    program.manager.ready()
    assert systemd.heard() == ["READY=1 STATUS=all is well"]


def test_the_state_is_said_again_when_it_has_changed_but_not_often(
    systemd: Systemd, program: Program
) -> None:
    program.manager.ready()
    systemd.heard()
    for state in ("1 client", "2 clients", "3 clients"):
        program.state = state
        program.pass_time(STATUS_SECONDS / 4)
    assert systemd.heard() == []
    for _ in range(3):
        program.pass_time(STATUS_SECONDS)
    assert systemd.heard() == ["STATUS=3 clients"]


def test_pings_begin_when_it_is_ready_and_come_twice_as_often_as_they_must(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faulthandler, "enable", lambda _file: None)
    program = Program(systemd, WATCHDOG_SECONDS)
    program.pass_time(WATCHDOG_SECONDS)
    assert systemd.heard() == []
    program.manager.ready()
    assert systemd.heard()[1:] == ["WATCHDOG=1"]
    program.pass_time(WATCHDOG_SECONDS / 2)
    assert systemd.heard() == ["WATCHDOG=1"]
    program.manager.stopping()
    program.pass_time(WATCHDOG_SECONDS / 2)  # who hangs while stopping is killed as well
    assert systemd.heard()[1:] == ["WATCHDOG=1"]
    program.close()


def test_a_failure_is_printed_and_told(
    systemd: Systemd, program: Program, capfd: pytest.CaptureFixture[str]
) -> None:
    program.loop.close()
    program.manager.failed("first line\nsecond line", 98)
    program.manager.failed("no")
    assert systemd.heard() == ["STATUS=first line second line ERRNO=98", "STATUS=no"]
    assert capfd.readouterr().out == "first line\nsecond line\nno\n"


def test_outside_of_systemd_only_a_failure_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    loop = SelectorLoop(MockClock())
    manager = ServiceManager()
    manager.attach(loop, lambda: pytest.fail("nobody wants to know"))
    manager.ready()
    manager.reload_begins()
    manager.reload_ended("")
    manager.failed("no")
    manager.stopping()
    manager.close()
    assert loop.timer_count == 0
    loop.close()
    assert capfd.readouterr().out == "no\n"


# Reload.

OnDone = Callable[[ReloadReport], None]


def test_a_reload_is_announced_and_its_end_too(systemd: Systemd, program: Program) -> None:
    asked: list[tuple[bool, OnDone]] = []
    reports: list[ReloadReport] = []
    reload = AnnouncedReload(lambda *args: asked.append(args), program.manager)
    program.state = "fine"
    program.manager.ready()
    systemd.heard()
    program.clock.advance(0.5)
    reload(True, reports.append)
    reload.hangup()
    now = int(program.clock.now() * 1_000_000)
    assert systemd.heard() == [f"RELOADING=1 MONOTONIC_USEC={now}"]
    assert [strict for strict, _ in asked] == [True, False]
    asked[0][1](ReloadReport(error="[common] no\nmore"))
    assert systemd.heard() == []
    assert [report.error for report in reports] == ["[common] no\nmore"]
    asked[1][1](ReloadReport(error="[common] no\nmore"))
    assert systemd.heard() == ["READY=1 STATUS=fine; the last reload failed: [common] no"]
    reload.hangup()
    asked[2][1](ReloadReport())
    assert systemd.heard()[1:] == ["READY=1 STATUS=fine"]


def test_a_reload_before_it_is_ready_does_not_make_it_so(
    systemd: Systemd, program: Program
) -> None:
    program.manager.reload_begins()
    program.manager.reload_ended("")
    assert systemd.heard() == []


def test_a_reload_does_not_end_a_stop(systemd: Systemd, program: Program) -> None:
    program.manager.ready()
    program.manager.reload_begins()
    program.manager.stopping()
    program.manager.reload_ended("frps is stopping")
    program.manager.ready()
    program.pass_time(STATUS_SECONDS)
    assert systemd.heard()[2:] == ["STOPPING=1 STATUS=stopping"]


# The end.


class Service:
    def __init__(self, systemd: Systemd) -> None:
        self.systemd = systemd
        self.calls: list[tuple[str, list[str]]] = []

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        self.calls.append(("shut_down", self.systemd.heard()))
        on_idle()

    def close(self) -> None:
        self.calls.append(("close", self.systemd.heard()))


def test_systemd_hears_of_the_end_before_it_begins_and_keeps_the_sockets(
    systemd: Systemd, program: Program
) -> None:
    service = Service(systemd)
    managed = Managed(service, program.manager)
    with socket.create_server((HERE, 0)) as probe:
        port = probe.getsockname()[1]
    with open_tcp(program.sockets, HERE, port) as sock:
        systemd.heard()
        idle: list[bool] = []
        managed.shut_down(lambda: idle.append(True))
        program.sockets.forget(sock)
        managed.close()
    assert idle
    assert service.calls == [("shut_down", ["STOPPING=1 STATUS=stopping"]), ("close", [])]


# The environment.


@pytest.fixture
def below(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Have inherited descriptors begin at another number, one that is free."""
    numbers = [FAR_ABOVE, FAR_ABOVE + 1]
    monkeypatch.setattr(service_manager, "FIRST_FD", FAR_ABOVE)
    with open(os.devnull, "rb") as file:
        for number in numbers:
            os.dup2(file.fileno(), number)
    yield numbers
    for fd in numbers:
        with contextlib.suppress(OSError):
            os.close(fd)


def test_what_is_for_us_is_taken_out_of_the_environment(systemd: Systemd) -> None:
    environ = {
        "NOTIFY_SOCKET": systemd.path,
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": ME,
        "LISTEN_PID": ME,
        "LISTEN_FDS": "0",
        "LISTEN_FDNAMES": "",
        "HOME": "/root",
    }
    manager = from_environment(environ)
    assert environ == {"HOME": "/root"}
    assert manager._watchdog_seconds == 30.0
    manager.failed("no")
    assert systemd.heard() == ["STATUS=no"]
    manager.close()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "often"},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "few", "LISTEN_PID": ME},
        {"NOTIFY_SOCKET": "/nonexistent/notify"},
    ],
)
def test_what_is_not_for_us_is_left_alone(environ: dict[str, str]) -> None:
    manager = from_environment(environ)
    assert environ == {}
    assert manager._watchdog_seconds == 0.0
    assert manager._notify is None
    assert manager.sockets.take(TCP, HERE, 7000) is None
    manager.close()


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
def test_sockets_are_inherited_with_their_names(
    systemd: Systemd, below: list[int], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
        os.dup2(server.fileno(), below[1], inheritable=True)
    environ = {
        "LISTEN_PID": ME,
        "LISTEN_FDS": "2",
        "LISTEN_FDNAMES": f"strange:tcp/{HERE}/{port}/proxy%20p",
    }
    if told:
        environ["NOTIFY_SOCKET"] = systemd.path
    manager = from_environment(environ)
    assert "[strange] cannot be used" in caplog.text
    assert manager.sockets.port_of(TCP, "proxy p") == port
    with open_tcp(manager.sockets, HERE, port, "proxy p") as sock:
        assert not sock.get_inheritable()
        assert not sock.getblocking()
    manager.close()


# Words.


def test_the_state_of_a_server_in_words() -> None:
    def said(clients: int, proxies: int, relays: int) -> str:
        service = SimpleNamespace(
            controls=range(clients), proxies=range(proxies), relays=range(relays)
        )
        return server_status(cast("Any", service))

    assert said(7, 31, 120) == "7 clients, 31 proxies, 120 connections"
    assert said(1, 1, 1) == "1 client, 1 proxy, 1 connection"
    assert said(0, 0, 0) == "0 clients, 0 proxies, 0 connections"


def test_the_state_of_a_client_in_words() -> None:
    def said(*phases: Phase, connected: bool = True, error: str = "") -> str:
        facts = SimpleNamespace(is_connected=connected, last_error=error)
        entries = {str(n): SimpleNamespace(phase=phase) for n, phase in enumerate(phases)}
        service = SimpleNamespace(
            session_facts=lambda: facts,
            config=SimpleNamespace(server_addr="2001:db8::1", server_port=7000),
            table=SimpleNamespace(entries=entries),
        )
        return client_status(cast("Any", service))

    where = "logged in to [2001:db8::1]:7000"
    assert said(Phase.RUNNING, Phase.START_ERROR) == f"{where}, 1 of 2 proxies run"
    assert said(connected=False) == f"not {where}"
    assert said(connected=False, error="timed out") == f"not {where}: timed out"
