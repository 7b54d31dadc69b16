"""frpd.admin.frps.actions: what runs, and what an operator does about it."""

from __future__ import annotations

import pytest

from frpd.admin.reload import ReloadReport
from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk


def test_what_runs_is_listed(world: World) -> None:
    desk = Desk(world)
    client = desk.house.client(run_id="me")
    port = desk.house.proxy(client)
    visitors = []
    for _ in range(2):
        visitors.append(desk.house.visit(port))
        desk.house.serve(client)
        world.advance(3.0)
    found = desk.get("/api/conns?limit=1")
    assert found["total"] == 2
    (row,) = found["conns"]
    assert (row["proxy"], row["type"], row["client"]) == ("web", "tcp", "me")
    assert row["visitor"] == f"127.0.0.1:{visitors[0].address[1]}"
    assert (row["bytes_in"], row["bytes_out"]) == (0, 0)
    assert row["age_seconds"] == 6.0
    assert row["socket"] == {"local": f"127.0.0.1:{port}", "remote": row["visitor"]}
    assert "rtt_ms" not in row
    (row,) = desk.get("/api/conns?limit=1&tcp=1")["conns"]
    assert (row["rtt_ms"] > 0, row["retransmits"]) == (True, 0)
    assert desk.get("/api/conns?proxy=nope")["total"] == 0
    assert desk.get("/api/conns?client=me")["total"] == 2
    assert desk.call.get("/api/conns?limit=x").status == 400


def test_a_client_is_kicked_by_its_run_id(world: World) -> None:
    desk = Desk(world)
    client = desk.house.client(run_id="me")
    assert desk.call("POST", "/api/kick", {"client": "me"}).json == {"kicked": 1}
    client.control.until_end()
    assert desk.call("POST", "/api/kick", {"client": "me"}).status == 404


def test_visitors_of_a_proxy_are_cut_by_its_name(world: World) -> None:
    desk = Desk(world)
    client = desk.house.client()
    visitor = desk.house.visit(desk.house.proxy(client))
    desk.house.serve(client)
    assert desk.call("POST", "/api/kick", {"proxy": "web"}).json == {"kicked": 1}
    world.until(lambda: visitor.end)
    assert desk.call("POST", "/api/kick", {"proxy": "web"}).json == {"kicked": 0}
    assert desk.call("POST", "/api/kick", {"proxy": "nope"}).status == 404


@pytest.mark.parametrize("body", [{}, {"client": "a", "proxy": "b"}, {"client": 1}])
def test_a_kick_names_one_of_the_two(world: World, body: dict[str, object]) -> None:
    assert Desk(world).call("POST", "/api/kick", body).status == 400


def test_a_reload_is_begun_by_post(world: World) -> None:
    desk = Desk(world, reload=lambda _strict, done: done(ReloadReport(changed=("token",))))
    assert desk.call("POST", "/api/reload").json["changed"] == ["token"]
    assert desk.call.get("/api/reload").status == 405
