"""A service manager that is scripted: a datagram socket, which can be deaf for a while."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from frpd.net import notify_socket
from frpd.net.notify_socket import NotifySocket, tell_failure
from frpd.selector_loop import SelectorLoop

TURNS = 20_000
MANY = 2000  # above net.unix.max_dgram_qlen, whatever that is here


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def manager(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(10)
        yield sock


@pytest.fixture
def told(no_fd_leaks: None, manager: socket.socket, path: str) -> Iterator[NotifySocket]:
    made = NotifySocket(path)
    yield made
    made.close()


def heard(manager: socket.socket) -> str:
    return manager.recv(65536).decode()


def test_one_message_is_one_datagram(manager: socket.socket, told: NotifySocket) -> None:
    told.send("READY=1", "STATUS=all is well")
    told.send("WATCHDOG=1")
    assert heard(manager) == "READY=1\nSTATUS=all is well"
    assert heard(manager) == "WATCHDOG=1"


def test_the_abstract_name_space_is_meant_by_an_at_sign() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0frpd test " + os.urandom(8).hex())
        manager.settimeout(10)
        told = NotifySocket("@" + manager.getsockname()[1:].decode())
        told.send("READY=1")
        assert heard(manager) == "READY=1"
        told.close()


def test_nothing_that_is_told_can_begin_another_assignment(
    manager: socket.socket, told: NotifySocket
) -> None:
    told.send("STATUS=name\nREADY=1\0\udcff")
    assert heard(manager) == "STATUS=name READY=1 ?"


def test_a_descriptor_travels_along(manager: socket.socket, told: NotifySocket) -> None:
    reading, writing = os.pipe()
    told.send("FDSTORE=1", fds=(writing,))
    os.close(writing)
    text, fds, _, _ = socket.recv_fds(manager, 100, 1)
    assert text == b"FDSTORE=1"
    os.write(fds[0], b"same pipe")
    assert os.read(reading, 100) == b"same pipe"
    for fd in (reading, *fds):
        os.close(fd)


def test_nobody_there_is_an_error(no_fd_leaks: None, path: str) -> None:
    with pytest.raises(OSError, match="No such file"):
        NotifySocket(path)


def test_a_manager_that_went_away_harms_nobody_and_is_found_again(
    no_fd_leaks: None, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as first:
        first.bind(path)
        told = NotifySocket(path)
    told.send("WATCHDOG=1")
    assert "cannot be told" in caplog.text
    os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second:
        second.bind(path)
        second.settimeout(10)
        told.send("WATCHDOG=1")
        assert heard(second) == "WATCHDOG=1"
        told.close()


def test_what_a_busy_manager_has_no_room_for_comes_later_and_in_order(
    manager: socket.socket, told: NotifySocket
) -> None:
    with open(os.devnull, "rb") as file:
        for number in range(MANY):
            told.send(str(number), fds=(file.fileno(),) if number % 100 == 0 else ())
    assert told._waiting
    loop = SelectorLoop()
    told.attach(loop)
    manager.setblocking(False)
    seen: list[str] = []
    for _ in range(TURNS):
        loop.run_turn()
        try:
            text, fds, _, _ = socket.recv_fds(manager, 100, 1)
        except BlockingIOError:
            continue
        assert len(fds) == (len(seen) % 100 == 0)
        for fd in fds:
            os.close(fd)
        seen.append(text.decode())
        if len(seen) == MANY:
            break
    assert seen == [str(number) for number in range(MANY)]
    assert not told._waiting
    told.close()
    assert loop.watch_count == 0
    loop.close()


def test_a_deaf_manager_costs_bounded_memory_and_a_short_wait_at_the_end(
    manager: socket.socket,
    told: NotifySocket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(notify_socket, "MAX_WAITING", 5)
    monkeypatch.setattr(notify_socket, "FINISH_SECONDS", 0.01)
    for _ in range(MANY):
        told.send("WATCHDOG=1")
    assert len(told._waiting) == 5
    assert caplog.text.count("does not listen") == 1
    told.close()
    assert not told._waiting


def test_why_nothing_begins_is_told_to_whoever_is_there(manager: socket.socket, path: str) -> None:
    tell_failure("[common] bind_port: banana", {"NOTIFY_SOCKET": path})
    assert heard(manager) == "STATUS=[common] bind_port: banana"
    tell_failure("nobody listens", {"NOTIFY_SOCKET": f"{path}.not"})
    tell_failure("nobody asks", {})
