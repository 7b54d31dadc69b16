"""frpd.admin.frpc.desk: a snapshot by way of the loop."""

from __future__ import annotations

from tests.helpers.world import World
from tests.unit.admin.frpc.desk import Desk


def test_a_snapshot_is_of_this_client(world: World) -> None:
    assert [one.name for one in Desk(world).desk.snapshot().proxies] == ["web"]
