"""frpd.server.figures: what a server holds, as plain numbers."""

from __future__ import annotations

from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.house import House


def test_an_idle_server_holds_nothing(world: World) -> None:
    figures = House(world, window_budget_bytes=1000).service.figures()
    assert (figures.pending, figures.refused_late, figures.refused_crowded) == (0, 0, 0)
    assert (figures.jobs_waiting, figures.pipe_bytes, figures.pipe_refusals) == (0, 0, 0)
    assert (figures.window_left, figures.dropped) == (1000, {})


def test_who_does_not_log_in_is_pending_and_then_refused(world: World) -> None:
    house = House(world, login_timeout_seconds=5.0)
    house.connect()
    assert house.service.figures().pending == 1
    world.advance(6.0)
    figures = house.service.figures()
    assert (figures.pending, figures.refused_late) == (0, 1)


def test_datagrams_that_were_dropped_are_told_by_proxy(world: World) -> None:
    house = House(world)
    client = house.client()
    house.proxy(client)
    assert client.new_proxy("dns", free_port(), proxy_type="udp").error == ""
    dropped = house.service.figures().dropped
    assert dropped == {"dns": {"long": 0, "blocked": 0, "unknown": 0, "unsent": 0, "refused": 0}}


def test_who_is_turned_away_is_counted_by_reason(world: World) -> None:
    house = House(world, deny_cidrs=("127.0.0.0/8",), per_source_penalty_exempt_list=())
    assert [house.connect().end for _ in range(3)] == ["reset"] * 3
    figures = house.service.figures()
    assert figures.turned_away == {"penalty": 1, "access": 2, "rate": 0}
    assert figures.penalties == 1
