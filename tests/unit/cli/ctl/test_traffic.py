"""frpd.cli.ctl.traffic: the bytes of seven days."""

from __future__ import annotations

import json

import pytest

from frpd.cli.ctl import traffic
from tests.helpers.world import World
from tests.unit.cli.ctl.scene import Scene


def test_of_one_proxy_and_of_all(scene: Scene, world: World) -> None:
    desk = scene.frps()
    client = desk.house.client()
    visitor = desk.house.visit(desk.house.proxy(client))
    work = desk.house.serve(client)
    visitor.write(b"12345")
    world.until(lambda: bytes(work.payload) == b"12345")
    for typed in (["traffic"], ["traffic", "web"]):
        heading, today, *_, total = scene(*typed).lines
        assert heading == ["DAY", "IN", "OUT"]
        assert (today[1:], total) == (["5", "B", "0", "B"], ["total", "5", "B", "0", "B"])
    found = json.loads(scene("traffic", "web", "--json").out)
    assert (found["name"], len(found["days"])) == ("web", 7)
    assert (found["days"][0]["in"], found["days"][0]["out"]) == (5, 0)


def test_an_unknown_proxy_is_an_error(scene: Scene) -> None:
    scene.frps()
    assert scene("traffic", "web").err == "frpd-ctl: no proxy is called web\n"


def test_days_have_dates_today_s_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "unix_time", lambda: 1_700_000_000.0)
    days = traffic._days(range(7), range(7))
    assert [day["date"] for day in days[:2]] in (
        ["2023-11-14", "2023-11-13"],  # by the time zone
        ["2023-11-15", "2023-11-14"],
    )
    assert len({day["date"] for day in days}) == 7
