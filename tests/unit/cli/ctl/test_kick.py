"""frpd.cli.ctl.kick: clients by run id, proxies by name."""

from __future__ import annotations

import json

import pytest

from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk
from tests.unit.cli.ctl.scene import Scene


@pytest.fixture
def desk(scene: Scene) -> Desk:
    """A client ``both`` with the proxies ``web`` and ``both``; ``web`` has a visitor."""
    desk = scene.frps()
    client = desk.house.client(run_id="both")
    desk.house.client(run_id="3872da8e0c7d58c5")
    desk.house.proxy(client, "both")
    desk.house.visit(desk.house.proxy(client))
    desk.house.serve(client)
    return desk


def test_a_proxy_s_visitors_are_cut(scene: Scene, desk: Desk, world: World) -> None:
    assert scene("kick", "web") == (0, "proxy web: 1 visitor cut\n", "")
    world.settle()
    assert scene("kick", "web").out == "proxy web: 0 visitors cut\n"
    assert len(desk.house.service.controls) == 2


def test_a_client_s_session_is_ended(scene: Scene, desk: Desk) -> None:
    done = scene("kick", "3872da8e0c7d58c5", "--json")
    assert json.loads(done.out) == {"kind": "client", "name": "3872da8e0c7d58c5", "kicked": 1}
    assert list(desk.house.service.controls) == ["both"]


def test_a_name_of_two_has_to_be_told_apart(scene: Scene, desk: Desk) -> None:
    assert "both is both a client and a proxy: say which with --client" in scene("kick", "both").err
    assert scene("kick", "both", "--proxy").out == "proxy both: 0 visitors cut\n"
    assert "session of client both was ended" in scene("kick", "--client", "both").out
    assert list(desk.house.service.controls) == ["3872da8e0c7d58c5"]


@pytest.mark.usefixtures("desk")
def test_an_unknown_name_is_an_error_with_the_nearest_one(scene: Scene) -> None:
    unknown = "frpd-ctl: no client and no proxy that is online is called"
    assert scene("kick", "webb") == (1, "", f"{unknown} webb; did you mean web?\n")
    assert scene("kick", "zzzz").err == f"{unknown} zzzz\n"
    assert scene("kick", "zzzz", "--client").err == "frpd-ctl: client zzzz not found\n"
