"""frpd.admin.frps.desk: a snapshot by way of the loop."""

from __future__ import annotations

import pytest

from frpd.admin import shelf
from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk


def test_a_snapshot_is_of_this_server(world: World) -> None:
    desk = Desk(world)
    desk.house.proxy(desk.house.client())
    assert [one.figures.name for one in desk.desk.snapshot().proxies] == ["web"]


def test_who_asks_again_may_get_what_others_got(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "KEEP_SECONDS", 1e9)
    desk = Desk(world)
    assert desk.get("/api/clients") == []
    desk.house.client(run_id="me")
    assert desk.call.get("/api/clients", If_None_Match='"x"').json == []
    assert [one["key"] for one in desk.get("/api/clients")] == ["me"]
    assert desk.call("POST", "/api/kick", {"client": "me"}).status == 200
    (client,) = desk.call.get("/api/clients", If_None_Match='"x"').json
    assert not client["online"]
