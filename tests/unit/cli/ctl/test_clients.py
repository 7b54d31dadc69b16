"""frpd.cli.ctl.clients: who is connected, and how."""

from __future__ import annotations

import json

from tests.helpers.world import World
from tests.unit.cli.ctl.scene import Scene

LEGACY = "weak: the control connection uses frp's legacy cipher, which does not notice changes"


def crowd(scene: Scene, world: World) -> None:
    desk = scene.frps()
    desk.house.proxy(desk.house.client(run_id="b", user="bob", hostname="desktop"))
    gone = desk.house.client(run_id="a", user="ann", hostname="laptop")
    gone.close()
    world.until(lambda: len(desk.house.service.controls) == 1)


def test_those_that_are_connected_and_what_is_weak(scene: Scene, world: World) -> None:
    crowd(scene, world)
    heading, row, empty, weak, _ = scene("clients").out.splitlines()
    assert heading.split()[:4] == ["CLIENT", "USER", "HOST", "ADDRESS"]
    assert row.split()[:3] == ["b", "bob", "desktop"]
    assert "frp 0.51.3, legacy cipher" in row
    assert (empty, weak) == ("", f"{LEGACY} (b)")


def test_those_that_are_gone_are_for_who_asks(scene: Scene, world: World) -> None:
    crowd(scene, world)
    _, row, *_ = scene("clients", "--all").lines
    assert row[:-1] == ["a", "ann", "laptop", "127.0.0.1", *"-----", "gone", "for"]
    assert row[-1].endswith("s")  # 0s, or a busy machine is later
    clients = json.loads(scene("clients", "--all", "--json").out)["clients"]
    assert [one["online"] for one in clients] == [False, True]
    assert clients[0]["rtt_ms"] is None


def test_nobody_is_said(scene: Scene) -> None:
    scene.frps()
    assert scene("clients") == (0, "no clients\n", "")
