"""frpd.cli.daemonize: the order of a start, and what its parent tells.

Real forks are in tests/e2e/test_daemon.py.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from frpd.cli import daemonize
from frpd.cli.account import Account
from frpd.cli.daemonize import (
    READY,
    ParentReport,
    Report,
    daemon_log_file,
    run_in_background,
    wait_for_report,
)
from frpd.cli.flags import DaemonOptions
from frpd.cli.pid_file import PidFile
from frpd.errors import ConfigError

STATUS = 23
NO_CHILD = 2**22  # above pid_max


class Context:
    """Stands in for DaemonContext: stays where it is."""

    made: Context
    failure: Exception | None = None

    def __init__(self, **settings: object) -> None:
        self.settings = settings
        self.files_preserve = settings["files_preserve"]
        self.events = START.events
        Context.made = self

    def open(self) -> None:
        self.events.append("detach")
        if Context.failure is not None:
            raise Context.failure

    def close(self) -> None:
        self.events.append("undo")


class Start:
    """Notes the steps of a start."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.listeners: list[socket.socket] = []

    def bind(self) -> list[socket.socket]:
        self.events.append("bind")
        self.listeners = [socket.create_server(("127.0.0.1", 0))]
        return self.listeners

    def fork(self) -> int:
        self.events.append("fork")
        return 0

    def try_log(self) -> None:
        self.events.append("log")

    def serve(self, listeners: list[socket.socket], report: Report) -> int:
        self.events.append("serve")
        assert listeners == self.listeners
        report.ready()
        return STATUS


START = Start()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A start whose process is at once the daemon."""
    START.__init__()  # type: ignore[misc]  # afresh for each test
    monkeypatch.setattr(daemonize, "_load_context_class", lambda: Context)
    monkeypatch.setattr(daemonize, "_fork", START.fork)
    monkeypatch.setattr(daemonize, "_close_descriptors", lambda _kept: None)
    monkeypatch.setattr(daemonize, "become", lambda who: START.events.append(f"be {who.login}"))
    monkeypatch.setattr(daemonize, "find_account", lambda name: Account(name, 77, 77))
    monkeypatch.setattr(Context, "failure", None)
    yield START
    for listener in START.listeners:
        listener.close()


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The reading end of the pipe that the next start makes."""
    reading, writing = os.pipe()
    monkeypatch.setattr(os, "pipe", lambda: (reading, writing))
    yield reading
    os.close(reading)


def run(start: Start, options: DaemonOptions | None = None) -> int:
    return run_in_background(
        options or DaemonOptions(), bind=start.bind, try_log=start.try_log, serve=start.serve
    )


def test_what_needs_rights_or_can_fail_comes_before_the_fork(start: Start, parent: int) -> None:
    assert run(start, DaemonOptions(user="frpd")) == STATUS
    assert start.events == ["bind", "be frpd", "log", "fork", "detach", "serve", "undo"]
    assert os.read(parent, 100) == READY
    assert os.read(parent, 100) == b""


def test_only_listeners_pid_file_and_pipe_are_kept(
    start: Start, parent: int, tmp_path: Path
) -> None:
    run(start, DaemonOptions(pid_file=str(tmp_path / "pid")))
    settings = Context.made.settings
    pid_file = settings["pidfile"]
    assert isinstance(pid_file, PidFile)
    assert isinstance(settings["files_preserve"], list)
    kept = settings["files_preserve"]
    assert kept[:2] == [pid_file.fileno(), start.listeners[0].fileno()]
    assert len(kept) == 3
    assert (settings["working_directory"], settings["umask"]) == ("/", 0o027)
    assert settings["detach_process"] is True
    del parent
    pid_file.remove()


def test_a_step_that_fails_in_the_foreground_undoes_the_others(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse() -> NoReturn:
        raise ConfigError("cannot open log file", key="log_file")

    monkeypatch.setattr(start, "try_log", refuse)
    with pytest.raises(ConfigError, match="cannot open log file"):
        run(start, DaemonOptions(pid_file=str(tmp_path / "pid")))
    assert start.events == ["bind"]
    assert start.listeners[0].fileno() == -1
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_daemon_goes_to_the_parent(
    start: Start, parent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Context, "failure", ConfigError("no log any more"))
    assert run(start) == 1
    assert os.read(parent, 100) == b"no log any more"
    assert start.events[-1] == "undo"


def test_a_bug_of_the_daemon_is_logged_and_goes_to_the_parent(
    start: Start, parent: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Context, "failure", ZeroDivisionError("a bug"))
    assert run(start) == 1
    assert os.read(parent, 100) == b"the daemon failed: ZeroDivisionError: a bug"
    assert "the daemon failed" in caplog.text


def reported(data: bytes) -> int:
    """Return the status of a parent that was told this."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return wait_for_report(reading, NO_CHILD)


def test_the_parent_ends_with_0_once_it_serves(capfd: pytest.CaptureFixture[str]) -> None:
    assert reported(READY) == 0
    assert capfd.readouterr() == ("", "")


def test_the_parent_prints_the_reason(capfd: pytest.CaptureFixture[str]) -> None:
    assert reported("no, because ö".encode()) == 1
    assert capfd.readouterr().out == "no, because ö\n"


def test_the_parent_of_a_daemon_that_died_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    assert reported(b"") == 1
    assert capfd.readouterr().out == "the daemon ended before it was ready; its log may say why\n"


def test_nothing_follows_a_report_of_success() -> None:
    reading, writing = os.pipe()
    report = ParentReport(writing)
    report.ready()
    report.ready()
    report.failed("much later")
    report.close()
    with open(reading, "rb") as pipe:
        assert pipe.read() == READY


def test_a_reason_may_come_before_the_end() -> None:
    """The pipe stays open with it: the parent waits until all is undone."""
    reading, writing = os.pipe()
    report = ParentReport(writing)
    report.failed("no")
    os.set_blocking(reading, False)
    assert os.read(reading, 100) == b"no"
    with pytest.raises(BlockingIOError):
        os.read(reading, 100)
    report.close()
    os.close(reading)


def test_a_start_that_nobody_waits_for_is_called_off(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    reading, writing = os.pipe()
    os.close(reading)
    ParentReport(writing).ready()
    assert raised == [signal.SIGTERM]


@pytest.mark.parametrize("name", ["", "console"])
def test_a_log_on_the_console_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^\[common\] log_file: --daemon has no console"):
        daemon_log_file(name)


def test_a_log_file_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert daemon_log_file("frps.log") == str(tmp_path / "frps.log")


def test_without_python_daemon_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setitem(sys.modules, "daemon", None)
    with pytest.raises(ConfigError, match="--daemon: needs the Python package python-daemon"):
        run_in_background(DaemonOptions(), bind=list, try_log=lambda: None, serve=START.serve)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limit
