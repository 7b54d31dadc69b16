"""Command lines as frp's users and scripts type them: flags, exit codes, words."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from frpd import __version__
from tests.helpers.ports import free_port, is_free
from tests.helpers.programs import BIN, run, wait_until
from tests.helpers.stage import READY, Stage, started
from tests.helpers.visitors import echoes, wait_for_echo

if TYPE_CHECKING:
    from pathlib import Path

FRPS, FRPC, CTL = (str(BIN / name) for name in ("frps", "frpc", "frpd-ctl"))


@pytest.mark.parametrize("program", [FRPS, FRPC, CTL])
@pytest.mark.parametrize("flag", ["-v", "--version"])
def test_version_prints_just_the_number(program: str, flag: str) -> None:
    done = run(program, flag)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("program", [FRPS, FRPC, CTL])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_goes_to_stdout(program: str, flag: str) -> None:
    done = run(program, flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage" in done.stdout.lower()
    assert "-c" in done.stdout or "verify" in done.stdout


@pytest.mark.parametrize("command", [(FRPS,), (FRPC,), (FRPC, "tcp"), (CTL, "version")])
def test_an_unknown_flag_is_named(command: tuple[str, ...]) -> None:
    done = run(*command, "--no-such-flag")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: unknown flag: --no")


def test_an_unknown_command_of_frpc_is_named() -> None:
    done = run(FRPC, "frobnicate")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "frobnicate" in done.stderr
    assert "Run 'frpc --help' for usage." in done.stderr


@pytest.mark.parametrize("program", [FRPS, FRPC])
def test_a_missing_file_is_named(program: str, tmp_path: Path) -> None:
    done = run(program, "-c", str(tmp_path / "nope.ini"))
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert f"{tmp_path}/nope.ini" in done.stdout
    assert "no such file" in done.stdout.lower()


@pytest.mark.parametrize(
    ("program", "text", "said"),
    [
        (FRPS, "[common]\n\nbind_port = x1\n", (":3", "[common]", "bind_port", "x1")),
        (FRPS, "[common]\nbind_port = 70000\n", (":2", "[common]", "bind_port", "70000", "65535")),
        (FRPC, "[common]\nprotocol = smoke\n", (":2", "[common]", "protocol", "smoke", "tcp")),
        (
            FRPC,
            "[common]\n[web]\nlocal_port = 1\nremote_port = y\n",
            (":4", "[web]", "remote_port"),
        ),
        (FRPC, "[common]\n[web]\ntype = tcp\n", ("[web]", "local_port")),
    ],
)
def test_a_bad_value_is_one_message_with_its_place(
    tmp_path: Path, program: str, text: str, said: tuple[str, ...]
) -> None:
    path = tmp_path / "frp.ini"
    path.write_text(text)
    done = run(program, "-c", str(path))
    assert done.returncode == 1
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    for part in (str(path), *said):
        assert part in done.stdout


def test_a_bad_file_binds_nothing(stage: Stage) -> None:
    port = free_port()
    path = stage.write(f"[common]\nbind_port = {port}\nallow_ports = 9-1\n")
    frps = stage.start("frps", FRPS, "-c", str(path))
    assert frps.wait() == 1
    assert len(frps.lines) == 1
    assert "listen" not in frps.output
    assert is_free(port)


@pytest.mark.parametrize("program", [FRPS, FRPC])
def test_verify_says_that_a_file_is_fine(program: str, tmp_path: Path) -> None:
    path = tmp_path / "frp-e2e-server-0"
    path.write_text("\n\t[common]\n\tlog_level = trace\n")
    done = run(program, "verify", "-c", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    name = os.path.basename(program)
    assert done.stdout == f"{name}: the configuration file {path} syntax is ok\n"


@pytest.mark.parametrize(
    ("program", "line"), [(FRPS, "bind_port = 70000"), (FRPC, "protocol = invalid")]
)
def test_verify_refuses_what_is_not(program: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "frp.ini"
    path.write_text(f"[common]\n{line}\n")
    done = run(program, "verify", "-c", str(path))
    assert done.returncode == 1
    assert "syntax is ok" not in done.stdout


@pytest.mark.parametrize(
    "server",
    [
        ("-s", "127.0.0.1:PORT"),
        ("-s", "127.0.0.1", "-P", "PORT"),
        ("--server-addr=127.0.0.1:PORT",),
    ],
    ids=["host-and-port", "two-flags", "long-with-dash"],
)
def test_the_quick_form_runs_one_proxy(
    stage: Stage, echo_port: int, server: tuple[str, ...]
) -> None:
    bind_port, port = str(free_port()), free_port()
    frps = stage.start("frps", FRPS, "-t", "123", "-p", bind_port, env={})
    frps.wait_for(READY)
    words = [word.replace("PORT", bind_port) for word in server]
    proxy = ["-l", str(echo_port), "-r", str(port), "-n", "tcp_test"]
    frpc = stage.start("frpc", FRPC, "tcp", *words, "-t", "123", "-u", "test", *proxy, env={})
    frpc.wait_for(started("tcp_test"))
    frps.wait_for(r"new proxy \[test.tcp_test\] success")
    assert echoes(port)


def test_the_quick_form_encrypts_and_compresses(stage: Stage, echo_port: int) -> None:
    bind_port, port = str(free_port()), free_port()
    stage.start("frps", FRPS, "--bind-port", bind_port, "--token=t", env={}).wait_for(READY)
    words = ["-s", f"127.0.0.1:{bind_port}", "-t", "t", "--ue", "--uc"]
    proxy = ["--local_port", str(echo_port), "--remote-port", str(port), "--proxy_name", "x"]
    stage.start("frpc", FRPC, "tcp", *words, *proxy, env={}).wait_for(started("x"))
    assert echoes(port, os.urandom(100_000))


def test_quick_forms_are_both_ends_of_a_secret_proxy(stage: Stage, echo_port: int) -> None:
    bind_port, older, newer = str(free_port()), free_port(), free_port()
    stage.start("frps", FRPS, "-p", bind_port, "word", env={}).wait_for(READY)
    common = ("-s", f"127.0.0.1:{bind_port}", "--sk", "key")
    proxy = ("-n", "vault", "-l", str(echo_port), "--strict-config", "--allow-unsafe=x")
    stage.start("vault", FRPC, "stcp", *common, *proxy, env={}).wait_for(started("vault"))
    visits = (*common, "--server_name", "vault", "--bind-addr=127.0.0.1", "--bind_port")
    stage.start("older", FRPC, "stcp", "--role", "visitor", *visits, str(older), env={})
    stage.start("newer", FRPC, "stcp", "visitor", *visits, str(newer), "-n", "door", env={})
    for port in (older, newer):
        wait_for_echo(port)


def test_a_taken_port_is_told_with_its_holder(stage: Stage) -> None:
    port = free_port()
    first = stage.frps({"bind_addr": "127.0.0.1", "bind_port": port})
    path = stage.write(f"[common]\nbind_addr = 127.0.0.1\nbind_port = {port}\n")
    second = stage.start("second frps", FRPS, "-c", str(path))
    assert second.wait() == 1
    assert re.search(
        rf"^create server listener error, listen tcp 127.0.0.1:{port}: "
        rf"bind: address already in use.*frps \(pid {first.pid}\)$",
        second.lines[-1],
    )


def test_a_wrong_token_is_told_and_ends_the_client(stage: Stage) -> None:
    bind_port = free_port()
    frps = stage.frps({"bind_port": bind_port, "token": "right"})
    common = {"server_addr": "127.0.0.1", "server_port": bind_port, "token": "wrong"}
    frpc = stage.frpc(common, {})
    assert frpc.wait() == 1
    assert "authorization failed" in frpc.lines[-1]
    assert frpc.count("login to server failed: authorization failed") == 1
    frps.wait_for("authorization failed")
    assert "wrong" not in frps.output + frpc.output
    assert "right" not in frps.output + frpc.output


def test_a_wrong_token_is_tried_again_when_asked_to(stage: Stage, echo_port: int) -> None:
    """And disturbs nobody who has the right one."""
    tunnel = stage.tunnel({"echo": echo_port})
    common = {
        "server_addr": "127.0.0.1",
        "server_port": tunnel.bind_port,
        "token": "wrong",
        "login_fail_exit": False,
    }
    stranger = stage.frpc(common, {})
    wait_until(
        lambda: stranger.count("login to server failed: authorization failed") == 2, "a second try"
    )
    assert stranger.process.poll() is None
    assert echoes(tunnel.ports["echo"])


def test_an_unreachable_server_ends_the_client(stage: Stage) -> None:
    port = free_port()
    frpc = stage.frpc({"server_addr": "127.0.0.1", "server_port": port}, {})
    assert frpc.wait() == 1
    assert f"dial tcp 127.0.0.1:{port}: connect: connection refused" in frpc.lines[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_both_with_status_0(
    stage: Stage, echo_port: int, number: signal.Signals
) -> None:
    tunnel = stage.tunnel({"echo": echo_port})
    tunnel.frpc.signal(number)
    assert tunnel.frpc.wait(2) == 0
    tunnel.frps.signal(number)
    assert tunnel.frps.wait(2) == 0
    assert "Traceback" not in tunnel.frps.output + tunnel.frpc.output
