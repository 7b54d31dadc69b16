"""frpd.admin.frps.desk: a snapshot by way of the loop."""

from __future__ import annotations

from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk


def test_a_snapshot_is_of_this_server(world: World) -> None:
    desk = Desk(world)
    desk.house.proxy(desk.house.client())
    assert [one.figures.name for one in desk.desk.snapshot().proxies] == ["web"]
