"""frps and frpc under systemd, as far as they can tell: what it hears, and who is not refused."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS, Program, ini
from tests.helpers.stage import TOKEN, started
from tests.helpers.systemd import Systemd
from tests.helpers.visitors import exchange, visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = "127.0.0.1"


class Host:
    """A machine with systemd: one frps under it, and a frpc beside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.systemd = Systemd(folder)
        self.port = free_port()
        self.web_port = free_port()
        self.server = self.write("frps", self.server_keys())
        self.programs: list[Program] = []

    def server_keys(self) -> dict[str, object]:
        return {"bind_addr": HERE, "bind_port": self.port, "token": TOKEN}

    def write(self, name: str, common: dict[str, object], **proxies: dict[str, object]) -> Path:
        path = self.folder / f"{name}.ini"
        path.write_text(ini({"common": common, **proxies}))
        return path

    def client_file(self, echo_port: int, **common: object) -> Path:
        keys = {"server_addr": HERE, "server_port": self.port, "token": TOKEN, **common}
        echo = {"type": "tcp", "local_port": echo_port, "remote_port": self.web_port}
        return self.write("frpc", keys, echo=echo)

    def start(self, program: str, file: Path, *, managed: bool = True) -> Program:
        command = (str(BIN / program), "-c", str(file))
        made = self.systemd.start(program, *command) if managed else Program(program, command)
        self.programs.append(made)
        return made

    def close(self) -> None:
        for program in self.programs:
            program.kill()
        self.systemd.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_refuses_nobody(host: Host, echo_port: int, end: signal.Signals) -> None:
    systemd = host.systemd
    frps = host.start("frps", host.server)
    systemd.wait_for("READY=1 STATUS=0 clients, 0 proxies, 0 connections")
    frpc = host.start("frpc", host.client_file(echo_port), managed=False)
    frpc.wait_for(started("echo"))
    kept = [f"tcp/{HERE}/{host.port}", f"tcp/{HERE}/{host.web_port}/proxy%20echo"]
    systemd.wait_for_names(*kept)
    with visit(host.web_port) as visitor:
        assert exchange(visitor, b"before") == b"before"
        frps.signal(end)
        assert frps.wait() in {0, -signal.SIGKILL}
    with visit(host.web_port) as one, visit(host.web_port) as other:
        frps = host.start("frps", host.server)
        frps.wait_for(r"1 inherited ports wait up to 60 s for their proxies: tcp .* proxy \[echo\]")
        for visitor in (one, other):
            visitor.settimeout(SECONDS)
            assert exchange(visitor, b"after") == b"after"
    systemd.wait_for_names(*kept)
    assert frpc.terminate() == 0
    systemd.wait_for_names(kept[0])


def test_systemd_hears_how_frpc_gets_on(host: Host, echo_port: int) -> None:
    systemd = host.systemd
    file = host.client_file(echo_port)
    refused = host.start("frpc", file)
    assert refused.wait() == 1
    systemd.wait_for("STATUS=")
    assert not any("READY" in message for message in systemd.heard)
    host.start("frps", host.server, managed=False).wait_for("started successfully")
    frpc = host.start("frpc", file)
    where = f"logged in to {HERE}:{host.port}"
    assert f"STATUS={where}, " in systemd.wait_for("READY=1")
    frpc.wait_for(started("echo"))
    file.write_text("[common]\nnothing good = 1\n[")
    frpc.signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in systemd.wait_for("RELOADING=1")
    message = systemd.wait_for("; the last reload failed: ")
    assert message.startswith(f"READY=1 STATUS={where}, 1 of 1 proxies run")
    assert frpc.terminate() == 0
    systemd.wait_for("STOPPING=1 STATUS=stopping")


def test_pings_come_by_themselves(host: Host) -> None:
    systemd = host.systemd
    host.programs.append(
        systemd.start("frps", str(BIN / "frps"), "-c", str(host.server), watchdog_seconds=0.1)
    )
    systemd.wait_for("READY=1")
    for _ in range(3):
        systemd.wait_for("WATCHDOG=1", systemd.mark())
