"""Started as a unit file, a container or frp's own tests do: bare environment, odd files, pipes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN
from tests.helpers.stage import READY, Stage, started
from tests.helpers.visitors import echoes

if TYPE_CHECKING:
    from collections.abc import Callable

    Record = Callable[[str, object], None]

ENVIRONMENTS: list[dict[str, str]] = [
    {},
    {"LC_ALL": "C", "HOME": "/nonexistent"},
    {"LANG": "xx_XX.UTF-8", "PYTHONWARNINGS": "error"},
]


@pytest.mark.parametrize("env", ENVIRONMENTS, ids=["empty", "c-locale", "unknown-locale"])
def test_no_environment_no_folder_no_extension_and_tabs(
    stage: Stage, echo_port: int, env: dict[str, str]
) -> None:
    bind_port, port = free_port(), free_port()
    server = stage.write(f"\n\t[common]\n\tbind_port = {bind_port}\n\tlog_level = trace\n\t")
    client = stage.write(
        f"\n\t\t[common]\n\t\tserver_addr = 127.0.0.1\n\t\tserver_port = {bind_port}\n"
        f"\t\tlog_level = trace\n\n\t\t[e2e]\n\t\ttype =tcp\n\t\tlocal_port = {echo_port}\n"
        f"\t\tremote_port = {port}\n\t\t"
    )
    root = Path("/")
    stage.start("frps", str(BIN / "frps"), "-c", str(server), env=env, cwd=root).wait_for(READY)
    frpc = stage.start("frpc", str(BIN / "frpc"), "-c", str(client), env=env, cwd=root)
    frpc.wait_for(started("e2e"))
    assert echoes(port)


@pytest.mark.full  # a figure, not a fact: a busy machine may be slower
def test_ready_in_half_a_second(stage: Stage, echo_port: int, record_property: Record) -> None:
    """The best of three starts: the others may have met a busy machine."""
    servers, clients = [], []
    for _ in range(3):
        begun = time.monotonic()
        bind_port = free_port()
        stage.frps({"bind_port": bind_port})
        servers.append(time.monotonic() - begun)
        begun = time.monotonic()
        common = {"server_addr": "127.0.0.1", "server_port": bind_port}
        stage.frpc(common, {"a": {"local_port": echo_port, "remote_port": free_port()}})
        clients.append(time.monotonic() - begun)
    record_property("seconds", {"frps": min(servers), "frpc": min(clients)})
    assert min(servers) < 0.5
    assert min(clients) < 0.5


def test_each_line_leaves_at_once(stage: Stage, echo_port: int) -> None:
    """Lines come through the pipe while the programs run, ready lines with the bare name."""
    tunnel = stage.tunnel({"web": echo_port}, client={"user": "alice"})
    assert "[I]" in tunnel.frpc.wait_for(r"login to server success, get run id \[\w+\], server udp")
    tunnel.frpc.wait_for(r"\[web\] start proxy success")
    tunnel.frps.wait_for(rf"frps tcp listen on 127.0.0.1:{tunnel.bind_port}")
    tunnel.frps.wait_for(r"client login info: ip \[127.0.0.1:\d+\] version \[")
    tunnel.frps.wait_for(r"new proxy \[alice.web\] success")
    assert tunnel.frps.process.poll() is tunnel.frpc.process.poll() is None
    assert "\x1b" not in tunnel.frps.output + tunnel.frpc.output


def test_the_order_of_start_does_not_matter_without_login_fail_exit(
    stage: Stage, echo_port: int
) -> None:
    bind_port, port = free_port(), free_port()
    frpc = stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": bind_port, "login_fail_exit": False},
        {"web": {"local_port": echo_port, "remote_port": port}},
        wait_for=(),
    )
    frpc.wait_for("login to server failed")
    stage.frps({"bind_port": bind_port})
    frpc.wait_for(started("web"))
    assert echoes(port)
