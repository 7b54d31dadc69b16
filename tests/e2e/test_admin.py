"""The admin APIs of running programs: by port and by socket, under traffic and at the end."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from frpd.cli.admin_client import Answer, Target, call
from frpd.config.secret import Secret
from tests.helpers.ports import free_port, is_free
from tests.helpers.programs import BIN, SECONDS, run, wait_until
from tests.helpers.stage import Stage, Tunnel
from tests.helpers.visitors import echoes, exchange, is_over, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"


class Api:
    """One program's API."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def __call__(self, method: str, path: str, body: object = None) -> Answer:
        return call(self.target, method, path, body=body, seconds=SECONDS)

    def get(self, path: str) -> Any:
        answer = self("GET", path)
        assert answer.is_ok, answer.body
        return answer.json()


class Scene:
    """Both programs with both ways in, and one tcp proxy."""

    def __init__(self, folder: Path, echo_port: int) -> None:
        self.stage = Stage(folder)
        self.dashboard, self.admin = free_port(), free_port()
        self.server_socket, self.client_socket = folder / "frps.sock", folder / "frpc.sock"
        self.tunnel: Tunnel = self.stage.tunnel(
            {"web": echo_port},
            server={
                "dashboard_port": self.dashboard,
                "dashboard_user": "ops",
                "dashboard_pwd": "s3cret",
                "enable_prometheus": True,
                "control_socket": self.server_socket,
            },
            client={
                "user": "ann",
                "admin_port": self.admin,
                "control_socket": self.client_socket,
            },
        )
        self.port = self.tunnel.ports["web"]
        self.frps = Api(Target(str(self.server_socket)))
        self.frpc = Api(Target(str(self.client_socket)))
        self.by_port = Api(
            Target(host=LOOPBACK, port=self.dashboard, user="ops", password=Secret("s3cret"))
        )

    def command(self, name: str) -> tuple[int, str]:
        """Run ``frpc NAME`` with the file of the frpc that runs."""
        done = run(str(BIN / "frpc"), name, "-c", str(self.tunnel.client_file))
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, echo_port: int) -> Iterator[Scene]:
    # Not tmp_path: the name of a Unix socket has no room for much.
    made = Scene(tmp_path_factory.mktemp("a"), echo_port)
    yield made
    made.stage.close()


def test_both_ways_tell_the_same_and_strangers_nothing(scene: Scene) -> None:
    by_socket, by_port = scene.frps.get("/api/serverinfo"), scene.by_port.get("/api/serverinfo")
    assert by_socket == by_port
    assert by_port["client_counts"] == 1
    assert by_port["bind_port"] == scene.tunnel.bind_port
    stranger = Api(Target(host=LOOPBACK, port=scene.dashboard))
    assert stranger("GET", "/api/serverinfo").status == 401
    assert stranger("GET", "/healthz").is_ok


def test_traffic_counts_while_a_visitor_is_connected(scene: Scene) -> None:
    before = scene.by_port.get("/api/proxy/tcp/ann.web")
    with visit(scene.port) as visitor:
        exchange(visitor, b"x" * 1000)
        now = scene.by_port.get("/api/proxy/tcp/ann.web")
        assert now["today_traffic_in"] - before["today_traffic_in"] == 1000
        assert now["today_traffic_out"] - before["today_traffic_out"] == 1000
        assert now["cur_conns"] == 1
        (row,) = scene.frps.get("/api/conns")["conns"]
        assert row["visitor"] == f"{LOOPBACK}:{visitor.getsockname()[1]}"
        assert (row["bytes_in"], row["bytes_out"]) == (1000, 1000)
        (local,) = scene.frpc.get("/api/conns")["conns"]
        assert local["visitor"] == row["visitor"]
        assert scene.frpc.get("/api/status")["tcp"][0]["cur_conns"] == 1
    wait_until(lambda: not scene.frps.get("/api/conns")["total"], "the visitor has left")
    traffic = scene.by_port.get("/api/traffic/ann.web")
    assert traffic["traffic_in"][0] == now["today_traffic_in"]


def test_metrics_are_what_the_api_tells(scene: Scene) -> None:
    with visit(scene.port) as visitor:
        exchange(visitor, b"x" * 1000)
        texts = [scene.by_port("GET", "/metrics"), scene.frpc("GET", "/metrics")]
        proxy = scene.frps.get("/api/proxies/ann.web")
    samples = [dict(line.rsplit(b" ", 1) for line in one.body.splitlines()) for one in texts]
    labels = b'name="ann.web",type="tcp"}'
    server, client = samples
    passed = float(proxy["bytes_in"])
    assert float(server[b"frp_server_traffic_in{" + labels]) == passed > 0
    of_client = client[b'frpd_proxy_traffic_bytes_total{direction="in",' + labels]
    assert float(of_client) <= passed
    assert (
        float(server[b"frp_server_client_counts"]) == float(client[b"frpd_client_connected"]) == 1
    )
    promtool = shutil.which("promtool")  # of Debian's prometheus, which few machines have
    for one in texts if promtool else ():
        done = subprocess.run(
            [str(promtool), "check", "metrics"], input=one.body, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_what_a_reload_would_change_is_told_and_not_done(scene: Scene) -> None:
    text = scene.tunnel.client_file.read_text()
    more = f"{text}\n[more]\ntype = tcp\nlocal_port = 1\nremote_port = {free_port()}\n"
    good: Any = scene.frpc("POST", "/api/frpd/check", {"text": more}).json()
    assert (good["error"], good["added"]) == ("", ["ann.more"])
    text += "\n[x]\ntype = nope\n"
    wrong: Any = scene.frpc("POST", "/api/frpd/check", {"text": text}).json()
    assert "'nope' cannot be used" in wrong["error"]
    for api in (scene.frps, scene.frpc):
        planned: Any = api("POST", "/api/reload?dry_run=true").json()
        assert (planned["code"], planned["changed"], planned["added"]) == (0, [], [])
    assert [one["name"] for one in scene.frpc.get("/api/frpd/status")["proxies"]] == ["ann.web"]


def test_a_proxy_s_visitors_are_cut_and_a_client_that_is_kicked_comes_back(scene: Scene) -> None:
    with visit(scene.port) as visitor:
        exchange(visitor, b"hello")
        assert scene.frps("POST", "/api/kick", {"proxy": "ann.web"}).json() == {"kicked": 1}
        wait_until(lambda: is_over(visitor), "the visitor is cut")
    assert echoes(scene.port)
    run_id = scene.frps.get("/api/proxies/ann.web")["run_id"]
    logins = scene.frpc.get("/api/frpd/status")["server"]["logins"]
    assert scene.by_port("POST", "/api/kick", {"client": run_id}).is_ok

    def is_back() -> bool:
        status = scene.frpc.get("/api/frpd/status")
        logged_in = int(status["server"]["logins"]) > logins
        return logged_in and str(status["proxies"][0]["status"]) == "running"

    wait_until(is_back, "the client is back")
    assert echoes(scene.port)
    (client,) = scene.frps.get("/api/clients?status=online")
    assert (client["runID"], client["user"]) == (run_id, "ann")


def test_the_log_s_level_changes_while_it_runs(scene: Scene) -> None:
    before = scene.frpc("PUT", "/api/log-level", {"level": "debug"}).json()
    assert before == {"level": "debug", "before": "info"}
    mark = scene.tunnel.frpc.said()
    assert echoes(scene.port)
    scene.tunnel.frpc.wait_for(r"\[D\]", since=mark)
    assert scene.frpc("PUT", "/api/log-level", {"level": "info"}).is_ok


def test_the_command_status_and_its_table(scene: Scene) -> None:
    status, out = scene.command("status")
    assert status == 0
    assert out.startswith("Proxy Status...\nTCP\nName     Status   LocalAddr")
    assert f"{LOOPBACK}:{scene.port}" in out


def test_who_sends_nothing_keeps_nobody_waiting(scene: Scene) -> None:
    with contextlib.ExitStack() as crowd:
        for _ in range(12):
            silent = socket.create_connection((LOOPBACK, scene.dashboard), timeout=SECONDS)
            crowd.enter_context(silent).sendall(b"GET / HTTP/1.1\r\nHost:")
        assert scene.by_port.get("/api/serverinfo")["client_counts"] == 1


def test_a_taken_port_is_an_error_at_the_start(stage: Stage, scene: Scene) -> None:
    taken = f"listen tcp {LOOPBACK}:{scene.dashboard}: bind: address already in use"
    server = {"bind_addr": LOOPBACK, "bind_port": free_port(), "dashboard_port": scene.dashboard}
    done = run(str(BIN / "frps"), "-c", str(stage.write({"common": server})))
    assert done.returncode == 1
    assert f"create dashboard web server error, {taken}" in done.stdout
    client = {"server_addr": LOOPBACK, "admin_port": scene.dashboard}
    done = run(str(BIN / "frpc"), "-c", str(stage.write({"common": client})))
    assert done.returncode == 1
    assert f"run admin server error, {taken}" in done.stdout


def test_a_socket_that_somebody_listens_on_is_an_error_too(stage: Stage, scene: Scene) -> None:
    common = {"bind_port": free_port(), "control_socket": scene.server_socket}
    done = run(str(BIN / "frps"), "-c", str(stage.write({"common": common})))
    assert done.returncode == 1
    assert "control_socket: cannot listen on" in done.stdout
    assert scene.frps.get("/api/status")["program"] == "frps"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")
def test_a_daemon_that_gives_up_root_keeps_both_ways_in(scene: Scene) -> None:
    """And its control socket belongs to whom it has become."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        port, path = free_port(), folder / "s"
        common = {
            "bind_addr": LOOPBACK,
            "bind_port": free_port(),
            "dashboard_port": port,
            "control_socket": path,
            "log_file": folder / "log",
        }
        file = scene.stage.write({"common": common})
        pid_file = folder / "pid"
        flags = ["--daemon", "--user", "nobody", "--pid_file", str(pid_file), "-c", str(file)]
        assert run(str(BIN / "frps"), *flags).stdout == ""
        pid = int(pid_file.read_text())
        try:
            status = Api(Target(str(path))).get("/api/status")
            assert status["pid"] == pid
            by_port = Target(host=LOOPBACK, port=port, user="admin", password=Secret("admin"))
            assert Api(by_port).get("/api/status")["pid"] == pid
            assert path.stat().st_uid == pwd.getpwnam("nobody").pw_uid
        finally:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not pid_file.exists(), "the daemon has ended")
        assert not path.exists()


def test_a_reload_that_goes_well_and_one_that_does_not(scene: Scene) -> None:
    good = scene.tunnel.client_file.read_text()
    scene.tunnel.client_file.write_text(good + "\n[more]\ntype = stcp\nlocal_port = 1\nsk = x\n")
    assert scene.command("reload") == (0, "reload success\n")
    scene.tunnel.frpc.wait_for(r"\[more\] start proxy success")
    scene.tunnel.client_file.write_text(good + "\n[more]\ntype = nothing\n")
    status, out = scene.command("reload")
    assert status == 1
    assert "[more] type" in out
    answer = scene.frpc("PUT", "/api/config?check=true", b"[common\n")
    assert answer.status == 400
    assert "= nothing" in scene.tunnel.client_file.read_text()
    scene.tunnel.client_file.write_text(good)
    report = scene.frpc("POST", "/api/reload").json()
    assert isinstance(report, dict)
    assert (report["removed"], report["unchanged"]) == (["ann.more"], 1)


def test_stop_ends_frpc_gracefully_and_frps_takes_its_names_along(scene: Scene) -> None:
    """The last one of the scene."""
    assert scene.command("stop") == (0, "stop success\n")
    assert scene.tunnel.frpc.wait() == 0
    assert is_free(scene.admin, LOOPBACK)
    status, out = scene.command("status")
    assert status == 1
    assert "connect: connection refused" in out
    wait_until(lambda: scene.frps.get("/api/status")["clients"] == 0, "the client has left")
    assert scene.frps.get("/api/proxies/ann.web")["status"] == "offline"
    assert scene.tunnel.frps.terminate() == 0
    assert not os.path.lexists(scene.server_socket)
    assert not os.path.lexists(scene.client_socket)
