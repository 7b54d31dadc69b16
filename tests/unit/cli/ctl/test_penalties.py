"""frpd.cli.ctl.penalties: whom frps holds something against, and forgiving it."""

from __future__ import annotations

import json

from frpd.server.guard.penalties import Offence
from tests.unit.cli.ctl.scene import Scene


def offend(scene: Scene) -> None:
    guard, _ = scene.frps().house.service.held
    for _ in range(3):
        guard.accuse("192.0.2.1", Offence.AUTHFAIL)
    guard.accuse("192.0.2.2", Offence.NOAUTH)


def test_who_is_refused_is_listed(scene: Scene) -> None:
    offend(scene)
    heading, refused, adds_up = scene("penalties").lines
    assert heading == ["SOURCE", "LEFT", "OFFENCES", "LAST", "REFUSED", "AT"]
    assert refused == ["192.0.2.1", "15s", "3", "authfail", "yes", "frps"]
    assert adds_up == ["192.0.2.2", "1s", "1", "noauth", "no", "frps"]
    assert json.loads(scene("penalties", "--json").out)["total"] == 2


def test_it_is_forgiven(scene: Scene) -> None:
    offend(scene)
    assert scene("penalties", "--clear", "192.0.2.1") == (0, "192.0.2.1 is forgiven\n", "")
    again = scene("penalties", "--clear", "192.0.2.1")
    assert again == (0, "nothing is held against 192.0.2.1\n", "")
    done = scene("penalties", "--clear", "all", "--json")
    assert json.loads(done.out) == {"source": "all", "cleared": 1}
    assert scene("penalties", "--clear", "all").out == "0 sources are forgiven\n"
    assert scene("penalties") == (0, "nothing is held against anyone\n", "")
