"""frpd.admin.frps.clients: who is connected, and who was."""

from __future__ import annotations

from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk


def crowd(world: World) -> Desk:
    desk = Desk(world)
    desk.house.proxy(desk.house.client(run_id="b", user="bob"))
    gone = desk.house.client(run_id="a", user="ann", hostname="laptop")
    gone.close()
    world.until(lambda: len(desk.house.service.controls) == 1)
    return desk


def test_a_client_that_is_connected(world: World) -> None:
    row = crowd(world).get("/api/clients/b")
    assert (row["key"], row["runID"], row["user"], row["online"]) == ("b", "b", "bob", True)
    assert (row["clientIP"], row["version"]) == ("127.0.0.1", "0.51.3")
    assert row["firstConnectedAt"] == row["lastConnectedAt"] > 1_700_000_000
    assert "disconnectedAt" not in row
    assert (row["proxies"], row["cur_conns"]) == (["web"], 0)
    assert row["speaks"] == "frp 0.51.3, legacy cipher"
    assert row["weak"]
    assert row["socket"]["remote"] == row["address"]


def test_a_client_that_is_gone(world: World) -> None:
    row = crowd(world).get("/api/clients/a")
    assert (row["online"], row["hostname"]) == (False, "laptop")
    assert row["disconnectedAt"] >= row["lastConnectedAt"]
    assert "speaks" not in row


def test_clients_are_chosen_by_what_is_asked(world: World) -> None:
    desk = crowd(world)

    def keys(parameters: str) -> list[str]:
        return [row["key"] for row in desk.get(f"/api/clients{parameters}")]

    assert keys("") == keys("?status=all") == ["a", "b"]
    assert keys("?status=online") == keys("?user=bob") == keys("?runId=b") == ["b"]
    assert keys("?status=offline") == keys("?clientId=a") == ["a"]
    assert keys("?status=offline&user=bob") == []
    assert desk.call.get("/api/clients?status=asleep").status == 400


def test_an_unknown_client_is_404(world: World) -> None:
    answer = crowd(world).call.get("/api/clients/nope")
    assert (answer.status, answer.json["msg"]) == (404, "client nope not found")
