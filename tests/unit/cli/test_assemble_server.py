"""frpd.cli.assemble_server: what stops a start of frps, what it says, what comes of a run."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from frpd import log
from frpd.cli import assemble_server, start
from frpd.cli.assemble_server import run_server
from frpd.cli.daemon import Runnable
from frpd.config.server import ServerConfig
from frpd.selector_loop import SelectorLoop
from tests.helpers.compiled import needs_source
from tests.helpers.ports import free_port

LOOPBACK = "127.0.0.1"
STATUS = 23


@pytest.fixture(autouse=True)
def _leave_the_process_as_it_is(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(assemble_server, "raise_descriptor_limit", lambda: None)
    monkeypatch.setattr(assemble_server, "forbid_core_dumps", lambda _environ: None)
    yield
    log.close()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as holder:
        yield int(holder.getsockname()[1])


@pytest.fixture(name="free_port")
def _free_port() -> int:
    return free_port()


class OneLook:
    """Stands in for Daemon: notes what is being served, runs a turn, and ends."""

    seen: ServerConfig | None = None
    drain_seconds = -1.0
    reachable = False
    port = 0
    on_hangup: Callable[[], None]

    def __init__(self, loop: SelectorLoop, drain_seconds: float) -> None:
        self._loop = loop
        OneLook.drain_seconds = drain_seconds

    def run(self, service: Runnable, on_hangup: Callable[[], None]) -> int:
        OneLook.on_hangup = on_hangup
        self._loop.run_turn()  # as the real one does: what start-up has put off is said now
        with socket.create_connection((LOOPBACK, OneLook.port)):
            OneLook.reachable = True
        service.close()
        return STATUS


def test_frps_says_that_it_listens_and_returns_what_the_daemon_returns(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], free_port: int
) -> None:
    monkeypatch.setattr(assemble_server, "Daemon", OneLook)
    monkeypatch.setattr(OneLook, "port", free_port)
    monkeypatch.setattr(OneLook, "reachable", False)
    config = ServerConfig(bind_addr=LOOPBACK, bind_port=free_port, shutdown_drain_seconds=7.0)
    assert run_server(config, ["what a file said"]) == STATUS
    assert OneLook.reachable
    assert OneLook.drain_seconds == 7.0
    said = [line.split("] ", 2)[2] for line in capfd.readouterr().out.splitlines()]
    assert said == [
        "what a file said",
        f"frps tcp listen on {LOOPBACK}:{free_port}",
        "frps started successfully",
    ]


def test_a_frps_without_a_file_says_so_to_a_hang_up(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], free_port: int
) -> None:
    monkeypatch.setattr(assemble_server, "Daemon", OneLook)
    monkeypatch.setattr(OneLook, "port", free_port)
    assert run_server(ServerConfig(bind_addr=LOOPBACK, bind_port=free_port), []) == STATUS
    OneLook.on_hangup()
    assert capfd.readouterr().out.endswith("SIGHUP: there is no file to read again\n")


def test_a_taken_port_is_one_line_that_names_the_holder(
    capfd: pytest.CaptureFixture[str], taken_port: int
) -> None:
    config = ServerConfig(bind_addr=LOOPBACK, bind_port=taken_port)
    assert run_server(config, []) == 1
    me = psutil.Process()
    assert capfd.readouterr().out == (
        f"create server listener error, listen tcp {LOOPBACK}:{taken_port}: "
        f"bind: address already in use; the port is held by {me.name()} (pid {me.pid})\n"
    )


def test_a_taken_port_whose_holder_cannot_be_seen_is_named_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], taken_port: int
) -> None:
    monkeypatch.setattr(start, "port_holder", lambda _port: "")
    assert run_server(ServerConfig(bind_addr=LOOPBACK, bind_port=taken_port), []) == 1
    assert capfd.readouterr().out.endswith("bind: address already in use\n")


def test_an_address_that_is_not_ours_stops_the_start(capfd: pytest.CaptureFixture[str]) -> None:
    config = ServerConfig(bind_addr="192.0.2.1", bind_port=7000)
    assert run_server(config, []) == 1
    out = capfd.readouterr().out
    assert out.startswith("create server listener error, listen tcp 192.0.2.1:7000: bind: ")
    assert "is held by" not in out


@needs_source(SelectorLoop)
def test_a_start_that_failed_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], taken_port: int
) -> None:
    made: list[SelectorLoop] = []

    class Noted(SelectorLoop):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

        def close(self) -> None:
            super().close()
            made.remove(self)

    monkeypatch.setattr(assemble_server, "SelectorLoop", Noted)
    assert run_server(ServerConfig(bind_addr=LOOPBACK, bind_port=taken_port), []) == 1
    assert made == []
    capfd.readouterr()


def test_frps_does_not_start_without_its_log_file(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, free_port: int
) -> None:
    file = tmp_path / "missing" / "frps.log"
    config = ServerConfig(bind_addr=LOOPBACK, bind_port=free_port, log_file=str(file))
    assert run_server(config, []) == 1
    expected = f"log_file: cannot open log file {file}: No such file or directory\n"
    assert capfd.readouterr().out == expected
