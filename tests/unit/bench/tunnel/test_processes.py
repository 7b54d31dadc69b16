from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import psutil
import pytest

from bench.tunnel.processes import (
    MeasurementError,
    cpu_seconds,
    free_ports,
    listens,
    pss_kib,
    running,
    wait_until,
)


def test_a_listening_port_is_seen_without_a_connection() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert not listens(port)
        listener.listen()
        assert listens(port)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert not listens(port)


def test_free_ports_are_neighbours_and_free() -> None:
    ports = free_ports(8)
    assert ports == list(range(ports[0], ports[0] + 8))
    assert not any(listens(port) for port in ports)


def test_children_of_a_process_end_with_it(tmp_path: Path) -> None:
    output = tmp_path / "parent.log"
    script = "sleep 600 & echo $!; wait"
    with running(["/bin/sh", "-c", script], output) as child:
        wait_until(lambda: output.read_text().endswith("\n"), "a pid", 5, [child])
        grandchild = psutil.Process(int(output.read_text()))
        assert pss_kib([child]) > 0
        assert cpu_seconds([child]) >= 0
    psutil.wait_procs([grandchild], timeout=5)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_what_left_the_group_ends_with_its_parent_too(tmp_path: Path) -> None:
    output = tmp_path / "parent.log"
    script = "setsid sleep 600 & echo $!; wait"
    with running(["/bin/sh", "-c", script], output) as child:
        wait_until(lambda: output.read_text().endswith("\n"), "a pid", 5, [child])
        runaway = psutil.Process(int(output.read_text()))
        wait_until(lambda: os.getsid(runaway.pid) == runaway.pid, "a session", 5, [child])
    psutil.wait_procs([runaway], timeout=5)
    assert not runaway.is_running() or runaway.status() == psutil.STATUS_ZOMBIE


def test_time_of_children_that_have_ended_counts(tmp_path: Path) -> None:
    output = tmp_path / "parent.log"
    burn = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
    with running(["/bin/sh", "-c", f"({burn}); echo done; sleep 600"], output) as child:
        wait_until(lambda: output.read_text() == "done\n", "its child's end", 30, [child])
        times = psutil.Process(child.process.pid).cpu_times()
        assert times.children_user + times.children_system > 0
        assert cpu_seconds([child]) >= times.children_user + times.children_system


def test_a_wait_ends_when_the_process_does_and_tells_its_last_words(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo no such port; exit 7"]
    with (
        running(command, tmp_path / "frps.log") as child,
        pytest.raises(MeasurementError, match="frps ended with code 7: no such port"),
    ):
        wait_until(lambda: False, "readiness", 5, [child])


def test_a_wait_is_bounded(tmp_path: Path) -> None:
    began = time.monotonic()
    with (
        running(["/bin/sleep", "600"], tmp_path / "frps.log") as child,
        pytest.raises(MeasurementError, match=r"readiness did not happen in 0\.1 s"),
    ):
        wait_until(lambda: False, "readiness", 0.1, [child])
    assert time.monotonic() - began < 5
