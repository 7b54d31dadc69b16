"""frpd.cli.ctl.status: what runs, and why what does not."""

from __future__ import annotations

import json

from frpd import log
from frpd.config.proxies import TcpProxyConfig
from frpd.config.visitors import StcpVisitorConfig
from frpd.proto.message.types import NewProxyResp
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.cli.ctl.scene import Scene


def test_a_server_in_short(scene: Scene) -> None:
    desk = scene.frps()
    client = desk.house.client()
    desk.house.visit(desk.house.proxy(client))
    desk.house.serve(client)
    done = scene("status")
    assert done.status == 0
    head, *rest = done.lines
    assert head[:2] == ["frps", "0.1.0:"]
    assert head[-1] == f"{scene.folder}/frps.sock"
    assert rest == [
        ["clients", "1"],
        ["proxies", "1", "tcp"],
        ["connections", "1"],
        ["today", "0", "B", "in,", "0", "B", "out"],
        ["log", "level", log.level()],
    ]


def test_a_client_and_its_session(scene: Scene, world: World) -> None:
    visitor = StcpVisitorConfig(name="v", section="v", server_name="s", bind_port=free_port())
    desk = scene.frpc(visitors=[visitor], config_file="/etc/frp/frpc.ini")
    desk.home.running(run_id="me")
    world.settle()
    done = scene("status", "--check")
    assert done.status == 0
    out = " ".join(done.out.split())
    assert "file /etc/frp/frpc.ini server 127.0.0.1:" in out
    assert "connected for 0s run id me speaks frp 0.51.3, legacy cipher weak the control" in out
    assert "web tcp running 0s 0 0 B 0 B 127.0.0.1:6000 127.0.0.1:" in out
    assert "VISITOR TYPE STATUS TO AT" in out
    assert "!" not in out


def test_a_proxy_that_does_not_run_says_why(scene: Scene, world: World) -> None:
    desk = scene.frpc(proxies=[TcpProxyConfig(name="web", section="web", remote_port=9)])
    session = desk.home.session().accept()
    session.control.send(NewProxyResp("web", "", "port not allowed"))
    world.settle()
    done = scene("status")
    assert done.status == 0
    *_, why = done.out.splitlines()
    assert why.startswith("  ! web does not run: the server refuses it: port not allowed; choose")
    assert scene("status", "--check").status == 1


def test_a_session_that_was_lost_says_why_and_when_the_next_comes(
    scene: Scene, world: World
) -> None:
    desk = scene.frpc()
    session = desk.home.running()
    session.wire.close()
    world.until(lambda: desk.get("/api/frpd/status")["server"]["state"] == "waiting")
    done = scene("status")
    assert "not connected" in done.out
    assert "! there is no session with 127.0.0.1:" in done.out
    assert "the next attempt is made in" in done.out


def test_all_that_run_are_shown_also_to_programs(scene: Scene) -> None:
    scene.frps()
    desk = scene.frpc()
    desk.home.running()
    done = scene("status", "--json")
    found = json.loads(done.out)
    assert [one["program"] for one in found["daemons"]] == ["frpc", "frps"]
    assert [one["healthy"] for one in found["daemons"]] == [True, True]
    assert found["daemons"][1]["where"] == f"{scene.folder}/frps.sock"
    assert found["errors"] == []
    assert scene("status").out.count("pid") == 2


def test_one_that_does_not_answer_spoils_the_exit_status(scene: Scene) -> None:
    scene.frps()
    path = str(scene.folder / "frpc.sock")
    (scene.folder / "frpc.sock").touch()
    scene.fail(path, TimeoutError("timed out"))
    done = scene("status")
    assert done.status == 1
    assert f"{path}: no answer in time" in done.out
    assert "clients" in done.out
