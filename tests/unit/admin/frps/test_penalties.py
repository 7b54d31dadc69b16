"""frpd.admin.frps.penalties: whom frps holds something against."""

from __future__ import annotations

import pytest

from frpd.config.penalties import PenaltyRules
from frpd.server.guard.penalties import Offence
from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk

PATH = "/api/frpd/penalties"


@pytest.fixture
def desk(world: World) -> Desk:
    """Two sources at the door, and one that has tried keys of ``vault``."""
    desk = Desk(world, per_source_penalties=PenaltyRules.parse("authfail:20 noauth:1 protocol:50"))
    client = desk.house.client()
    assert client.new_proxy("vault", 0, "stcp", sk="k").error == ""
    guard, guesses = desk.house.service.held
    guard.accuse("192.0.2.1", Offence.AUTHFAIL)
    guard.accuse("2001:db8::1", Offence.NOAUTH)
    guesses.wrong(desk.house.service.proxies["vault"], "192.0.2.1")
    guesses.wrong(desk.house.service.proxies["vault"], "192.0.2.1")
    return desk


def test_who_has_to_wait_is_listed_and_who_has_not_yet(desk: Desk) -> None:
    found = desk.get(PATH)
    assert found["total"] == 3
    assert found["penalties"] == [
        {"source": "192.0.2.1", "seconds_left": 40.0, "is_refused": True, "offences": 2,
         "last": "authfail", "proxy": "vault"},
        {"source": "192.0.2.1", "seconds_left": 20.0, "is_refused": True, "offences": 1,
         "last": "authfail", "proxy": None},
        {"source": "2001:db8::/64", "seconds_left": 1.0, "is_refused": False, "offences": 1,
         "last": "noauth", "proxy": None},
    ]  # fmt: skip


def test_a_source_is_forgiven_wherever_it_has_to_wait(desk: Desk) -> None:
    assert desk.call("POST", f"{PATH}/clear", {"source": "192.0.2.1"}).json == {"cleared": 2}
    assert [one["source"] for one in desk.get(PATH)["penalties"]] == ["2001:db8::/64"]
    assert desk.call("POST", f"{PATH}/clear", {"source": "192.0.2.1"}).json == {"cleared": 0}


def test_all_are_forgiven(desk: Desk) -> None:
    assert desk.call("POST", f"{PATH}/clear", {"source": "all"}).json == {"cleared": 3}
    assert desk.get(PATH) == {"total": 0, "penalties": []}


@pytest.mark.parametrize("body", [{}, {"source": ""}, {"source": 1}])
def test_who_is_to_be_forgiven_has_to_be_named(desk: Desk, body: dict[str, object]) -> None:
    assert desk.call("POST", f"{PATH}/clear", body).status == 400
    assert desk.call.get(f"{PATH}/clear").status == 405
