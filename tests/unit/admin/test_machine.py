"""frpd.admin.machine: what the machine and this process do."""

from __future__ import annotations

import builtins
import resource
import socket
from typing import Any

import psutil
import pytest

from frpd.admin.machine import KEEP_SECONDS, Machine
from frpd.admin.metrics import process


def test_host_and_process_are_told_in_plain_numbers() -> None:
    machine = Machine(lambda: 0.0)
    host, process = machine.host(), machine.process()
    assert host is not None
    assert process is not None
    assert isinstance(host["cpu_count"], int)
    assert host["cpu_count"] >= 1
    assert isinstance(host["load"], list)
    assert len(host["load"]) == 3
    assert 0 < int(str(host["memory_available"])) <= int(str(host["memory_total"]))
    assert process["fd_limit"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert int(str(process["rss"])) > 1_000_000
    assert int(str(process["threads"])) >= 1


def test_it_is_looked_at_again_after_a_while_only() -> None:
    now = [0.0]
    machine = Machine(lambda: now[0])
    before = machine.process()
    ours = [socket.socket() for _ in range(20)]
    try:
        assert machine.process() is before
        now[0] = KEEP_SECONDS
        after = machine.process()
        assert after is not None
        assert after is not before
        assert int(str(after["fds"])) >= 20
    finally:
        for sock in ours:
            sock.close()


def test_a_proc_that_is_hidden_hides_the_figures_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*_arguments: object, **_options: object) -> Any:
        raise FileNotFoundError(2, "No such file or directory", "/proc/stat")

    with monkeypatch.context() as later:
        later.setattr(psutil, "virtual_memory", hidden)
        machine = Machine(lambda: 0.0)
        assert machine.host() is None
        assert machine.process() is not None
    real = builtins.__import__

    def import_(name: str, *arguments: Any, **options: Any) -> Any:
        return hidden() if name == "psutil" else real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", import_)
    machine = Machine(lambda: 0.0)
    assert (machine.host(), machine.process()) == (None, None)
    assert list(process(machine)) == []
