"""Chaos of what is around: clocks that jump, ports that others have, a name server that is mute."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.chaos import BACK_SECONDS, ENDS, chaos
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS, need_tool, wait_until
from tests.helpers.stage import TOKEN, tcp
from tests.helpers.visitors import wait_for_echo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.helpers.stage import Stage

    Record = Callable[[str, object], None]

# Of connections that our own visitors give up halfway asyncio leaves some to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

LOCAL = "127.0.0.1"
YEAR = 365.0 * 86_400
DEAD_NAMES = 12
RETRY_SECONDS = 30.0
"""After which frpc asks again for a proxy that was refused."""

# time.time() is all that frpd asks for the time of day; SQLite, OpenSSL and the kernel, which
# ask for themselves, do not see these jumps.
MOVED_CLOCK = """
import mmap, os, struct, sys, time
path, name = sys.argv[1:3]
del sys.argv[1:3]
with open(path, "r+b") as file:
    shared = mmap.mmap(file.fileno(), 8)
truly = time.time
time.time = lambda: truly() + struct.unpack("d", shared[:])[0]
from frpd.cli import frpc, frps
sys.exit({"frps": frps, "frpc": frpc}[name].program())
"""


class Clocks:
    """The time of day of each end, which the test moves."""

    def __init__(self, folder: Path) -> None:
        self._paths = {end: folder / f"clock-{end}" for end in ENDS}
        for end in ENDS:
            self.move(end, 0.0)

    def move(self, end: str, seconds: float) -> None:
        """Set an end's clock so far ahead of the true one."""
        with open(self._paths[end], "r+b" if self._paths[end].exists() else "wb") as file:
            file.write(struct.pack("d", seconds))

    def launch(self, end: str, name: str) -> tuple[str, ...]:
        return sys.executable, "-c", MOVED_CLOCK, str(self._paths[end]), name


@pytest.mark.full
@pytest.mark.timeout(300)
def test_jumps_of_the_time_of_day_break_nothing(stage: Stage, record_property: Record) -> None:
    clocks = Clocks(stage.folder)
    logs = stage.folder / "logs"
    logs.mkdir()
    server = {
        "access_log": logs / "access.log",
        "statistics_file": logs / "statistics.sqlite",
        "heartbeat_timeout": 10,
        "log_max_days": 0,
    }
    heartbeats = {"heartbeat_interval": 1, "heartbeat_timeout": 10, "log_max_days": 0}
    with chaos(stage, server=server, clients=heartbeats, logs=logs, launch=clocks.launch) as world:
        before = world.traffic.broken()
        for ends in (("frps",), ("mux",), ENDS):
            for jump in (3600.0, -3600.0, 10 * YEAR, -10 * YEAR, 0.0):
                for end in ends:
                    clocks.move(end, jump)
                threading.Event().wait(1.0)
                world.traffic.wait_until_back(BACK_SECONDS)
        assert world.traffic.broken() == before
        record_property("jumps", 15)
        clocks.move("direct", 10 * YEAR)  # a login with a clock of its own
        world.kill("direct")
        record_property(
            "seconds_until_back",
            round(world.traffic.wait_until_back(BACK_SECONDS, without=["xtcp"]), 1),
        )


@pytest.mark.full
@pytest.mark.timeout(300)
def test_ends_whose_machines_run_for_ten_years_and_for_a_day_are_at_one(stage: Stage) -> None:
    """The clocks of timers: in a time namespace, that of frps is ten years ahead."""
    ahead = str(int(10 * YEAR))
    clocks = ("--monotonic", ahead, "--boottime", ahead)
    command = (need_tool("unshare"), "--time", *clocks, "--fork", "--kill-child")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no time namespaces here")

    def launch(end: str, name: str) -> tuple[str, ...]:
        return (*(command if end == "frps" else ()), str(BIN / name))

    with chaos(stage, launch=launch) as world:
        for victim in ("direct", "mux"):
            world.kill(victim)
            world.traffic.wait_until_back(BACK_SECONDS, without=["xtcp"])


@pytest.mark.timeout(120)
def test_a_port_that_another_program_took_is_named_at_a_restart(
    stage: Stage, echo_port: int
) -> None:
    tunnel = stage.tunnel({"echo": echo_port})
    tunnel.frpc.kill()  # or it would log in with the other program, and wait for an answer
    tunnel.frps.kill()
    with socket.create_server((LOCAL, tunnel.bind_port)):
        again = stage.start("frps", str(BIN / "frps"), "-c", str(tunnel.server_file))
        assert again.wait() == 1
        again.wait_for(rf"the port is held by .*\(pid {os.getpid()}\)")
    tunnel.restart_server()
    tunnel.restart_client()
    wait_for_echo(tunnel.ports["echo"])


@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_proxy_whose_port_another_program_took_is_back_when_it_is_free(
    stage: Stage, echo_port: int, record_property: Record
) -> None:
    tunnel = stage.tunnel({"echo": echo_port, "other": echo_port})
    tunnel.frps.kill()
    with socket.create_server((LOCAL, tunnel.ports["echo"])):
        tunnel.restart_server()
        tunnel.frpc.wait_for(r"\[echo\] start error: port unavailable")
        tunnel.frps.wait_for(rf"held by .*pid {os.getpid()}")
        wait_for_echo(tunnel.ports["other"])
    seconds = wait_for_echo(tunnel.ports["echo"], RETRY_SECONDS + SECONDS)
    record_property("seconds_until_back", round(seconds, 1))


@pytest.mark.timeout(120)
def test_a_mute_name_server_delays_only_who_asks_for_a_name(
    stage: Stage, echo_port: int, record_property: Record
) -> None:
    """With more names looked up than there are threads, the configuration is read all the same."""
    bind_port, ports = free_port(), [free_port() for _ in range(DEAD_NAMES)]
    with contextlib.ExitStack() as stack:
        mute = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        mute.bind((LOCAL, free_port()))
        mute.settimeout(SECONDS)
        stage.frps({"bind_addr": LOCAL, "bind_port": bind_port, "token": TOKEN})
        common = {"server_addr": LOCAL, "server_port": bind_port, "token": TOKEN}
        common["dns_server"] = f"{LOCAL}:{mute.getsockname()[1]}"
        proxies = {
            f"dead-{port}": {**tcp(80, port), "local_ip": f"nobody-{port}.test"} for port in ports
        }
        echo = free_port()
        frpc = stage.frpc(common, {**proxies, "echo": tcp(echo_port, echo)})
        for port in ports * 3:
            stack.enter_context(socket.create_connection((LOCAL, port)))
        for _ in range(4):
            mute.recv(512)
        begun = time.monotonic()
        wait_for_echo(echo)
        frpc.signal(signal.SIGHUP)
        wait_until(lambda: frpc.count("success reload conf"), "the file is read again")
        record_property("seconds", round(time.monotonic() - begun, 2))
        assert frpc.count("i/o timeout|lookup nobody") == 0  # they are being asked for
