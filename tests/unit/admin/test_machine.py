"""frpd.admin.machine: what the machine and this process do."""

from __future__ import annotations

import resource
import socket

from frpd.admin.machine import KEEP_SECONDS, Machine


def test_host_and_process_are_told_in_plain_numbers() -> None:
    machine = Machine(lambda: 0.0)
    host, process = machine.host(), machine.process()
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
        assert int(str(machine.process()["fds"])) >= 20
        assert machine.process() is not before
    finally:
        for sock in ours:
            sock.close()
