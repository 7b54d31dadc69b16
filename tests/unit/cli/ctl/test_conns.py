"""frpd.cli.ctl.conns: what runs, with the kernel's figures."""

from __future__ import annotations

import json

import pytest

from frpd.cli.ctl import conns
from tests.helpers.world import World
from tests.unit.cli.ctl.scene import Scene


@pytest.fixture(autouse=True)
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_figures(rows: list[dict[str, object]]) -> list[dict[str, object]]:
        return [{**row, "rtt_ms": 1.5, "rtt_var_ms": 0.5, "retransmits": 7} for row in rows]

    monkeypatch.setattr(conns, "with_figures", with_figures)


def test_visitors_of_a_server(scene: Scene, world: World) -> None:
    desk = scene.frps()
    client = desk.house.client(run_id="me")
    port = desk.house.proxy(client)
    visitors = []
    for _ in range(2):
        visitors.append(desk.house.visit(port))
        desk.house.serve(client)
        world.advance(61.0)
    heading, row, _ = scene("conns").lines
    assert " ".join(heading) == "PROXY TYPE CLIENT VISITOR AGE IN OUT RTT RETRANS"
    address = f"127.0.0.1:{visitors[0].address[1]}"
    assert row == ["web", "tcp", "me", address, "2m", "2s", *"0B0B", "1.5", "ms", "7"]
    assert scene("conns", "--limit", "1").out.endswith("\n1 of 2 connections\n")
    found = json.loads(scene("conns", "--client", "me", "--json").out)
    assert (found["program"], found["total"], len(found["conns"])) == ("frps", 2, 2)


def test_visitors_of_a_client_and_where_they_go(scene: Scene, world: World) -> None:
    desk = scene.frpc()
    session = desk.home.running()
    session.start_work()
    desk.home.local.next()
    world.settle()
    _, row = scene("conns", "--proxy", "web").lines
    assert row[:3] == ["web", "9.9.9.9:99", f"127.0.0.1:{desk.home.local.port}"]
    assert "--client is for frps" in scene("conns", "--client", "me").err


def test_a_user_of_a_visitor_goes_to_its_own_port() -> None:
    row = {"visitor": "1.1.1.1:5", "socket": {"local": "127.0.0.1:9", "remote": "1.1.1.1:5"}}
    assert conns._service(row) == "127.0.0.1:9"
    assert conns._service({"visitor": "1.1.1.1:5", "socket": None}) is None


def test_none_of_what_there_is_differs_from_what_there_is_not(scene: Scene) -> None:
    desk = scene.frps()
    desk.house.proxy(desk.house.client(run_id="me"))
    none = (0, "no connections\n", "")
    assert scene("conns") == scene("conns", "--proxy", "web", "--client", "me") == none
    assert scene("conns", "--proxy", "wep") == (1, "", "frpd-ctl: no proxy is called wep\n")
    assert scene("conns", "--client", "x").err == "frpd-ctl: no client has the run id x\n"


@pytest.mark.parametrize("text", ["x", "-1", "10001", "1" * 5000, "\u0663"])
def test_a_limit_has_bounds(scene: Scene, text: str) -> None:
    done = scene("conns", f"--limit={text}")
    assert done.status == 1
    assert "accepted: a whole number up to 10000" in done.err
