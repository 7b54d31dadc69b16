"""frpd-ctl beside running programs: both ways to them, what it finds, and readers that leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS, ini, run, wait_until
from tests.helpers.stage import Stage, Tunnel
from tests.helpers.visitors import exchange, is_over, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

CTL = str(BIN / "frpd-ctl")
HOST = "127.0.0.1"


class Scene:
    """Both programs: frps with both ways in, frpc with a port only; and one tcp proxy."""

    def __init__(self, folder: Path, echo_port: int) -> None:
        self.stage = Stage(folder)
        # Open to strangers, and short: the name of a Unix socket has no room for much.
        self.open_folder = tempfile.TemporaryDirectory()
        Path(self.open_folder.name).chmod(0o755)
        self.socket = Path(self.open_folder.name) / "frps.sock"
        self.tunnel: Tunnel = self.stage.tunnel(
            {"web": echo_port},
            server={"dashboard_port": free_port(), "control_socket": self.socket},
            client={"admin_port": free_port(), "control_socket": "off", "admin_pwd": "s3cret"},
        )
        self.port = self.tunnel.ports["web"]
        self.frpc = ["-c", str(self.tunnel.client_file)]

    def server(self, *typed: str) -> Any:
        """Return what a command says of frps to programs."""
        return self.json(*typed, "--socket", str(self.socket))

    def json(self, *typed: str) -> Any:
        done = run(CTL, *typed, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, echo_port: int) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("c"), echo_port)
    yield made
    made.stage.close()
    made.open_folder.cleanup()


def test_a_visitor_is_the_same_at_both_ends_and_its_round_trip_is_known(scene: Scene) -> None:
    with visit(scene.port) as visitor:
        exchange(visitor, b"x" * 1000)
        address = f"{HOST}:{visitor.getsockname()[1]}"
        found = scene.server("conns", "--proxy", "web"), scene.json("conns", *scene.frpc)
        # On a machine that others use too a stranger may have come by.
        rows = [[row for row in one["conns"] if row["visitor"] == address] for one in found]
        (here,), (there,) = rows
        assert here["socket"]["remote"] == address
        assert (here["bytes_in"], there["bytes_in"]) == (1000, 1000)
        (client,) = scene.server("clients")["clients"]
        for row in (here, there, client):
            assert row["rtt_ms"] is None or 0 < row["rtt_ms"] < SECONDS * 1000
        assert scene.server("kick", "web")["kicked"] >= 1
        wait_until(lambda: is_over(visitor), "the visitor is cut")
    assert scene.server("traffic", "web")["days"][0]["in"] >= 1000


def test_people_read_a_table_and_whoever_has_read_enough_leaves(scene: Scene) -> None:
    done = run(CTL, "status", *scene.frpc, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{HOST}:{scene.port}" in done.stdout
    assert "frpd, sealed" in done.stdout
    watch = [CTL, "status", "--socket", str(scene.socket), "--watch", "0.1", "--json"]
    with subprocess.Popen(watch, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert json.loads(program.stdout.readline())["daemons"][0]["program"] == "frps"
        program.stdout.close()
        assert program.wait(SECONDS) == 141
        assert program.stderr.read() == b""


def test_a_watch_ends_well_with_ctrl_c(scene: Scene) -> None:
    watch = [CTL, "proxies", "--socket", str(scene.socket), "--watch", "0.1"]
    with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        for _ in range(6):  # a picture has five lines: this is the second one
            program.stdout.readline()
        program.send_signal(signal.SIGINT)
        assert program.wait(SECONDS) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_strangers_are_told_what_they_would_need(scene: Scene) -> None:
    code = (
        "import http.client, os, sys; from frpd.cli.ctl.program import main\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = run(sys.executable, "-c", code, "status", "--socket", str(scene.socket))
    assert done.returncode == 1
    assert done.stderr == f"frpd-ctl: {scene.socket}: permission denied: run as root\n"


def test_a_reload_and_its_errors(scene: Scene) -> None:
    good = scene.tunnel.client_file.read_text()
    more = ini({"more": {"type": "stcp", "local_port": 1, "sk": "x"}})
    scene.tunnel.client_file.write_text(f"{good}\n{more}")
    assert scene.json("reload", *scene.frpc)["added"] == ["more"]
    scene.tunnel.client_file.write_text(f"{good}\n[more]\ntype = nothing\n")
    done = run(CTL, "reload", *scene.frpc)
    assert (done.returncode, done.stdout) == (1, "")
    assert "[more] type" in done.stderr
    scene.tunnel.client_file.write_text(good)


def test_stop_returns_when_frpc_has_ended(scene: Scene) -> None:
    """The last one of the scene."""
    stopped = scene.json("stop", *scene.frpc)
    assert stopped == {"program": "frpc", "pid": scene.tunnel.frpc.pid, "stopped": True}
    assert scene.tunnel.frpc.wait() == 0
    done = run(CTL, "status", *scene.frpc)
    assert done.returncode == 1
    assert f"frpc of {scene.tunnel.client_file} does not run: nobody listens at" in done.stderr
