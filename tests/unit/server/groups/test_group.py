"""Who may join: the order of the checks, and frp's words for each."""

from __future__ import annotations

import pytest

from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]

GROUP = {"group": "web", "group_key": "right"}
OTHER_KEYS = pytest.mark.parametrize("key", ["", "wrong", "right\n", "r\u00efght"])


@OTHER_KEYS
def test_all_members_know_the_key(world: World, key: str) -> None:
    house, port = House(world), free_port()
    assert house.client().new_proxy("a", port, **GROUP).error == ""
    refused = house.client().new_proxy("b", port, group="web", group_key=key)
    assert refused.error == "group auth failed"


def test_no_key_is_a_key_too(world: World) -> None:
    house, port = House(world), free_port()
    assert house.client().new_proxy("a", port, group="web").error == ""
    assert house.client().new_proxy("b", port, group="web").error == ""
    assert house.client().new_proxy("c", port, **GROUP).error == "group auth failed"


def test_another_port_is_told_before_a_wrong_key(world: World) -> None:
    house = House(world)
    assert house.client().new_proxy("a", free_port(), **GROUP).error == ""
    refused = house.client().new_proxy("b", free_port(), group="web", group_key="wrong")
    assert refused.error == "group should have same remote port"


def test_the_first_member_s_strategy_counts(world: World, caplog: pytest.LogCaptureFixture) -> None:
    house, port = House(world), free_port()
    client = house.client()
    client.new_proxy("a", port, **GROUP, group_strategy="least_connections")
    client.new_proxy("b", port, **GROUP)
    client.new_proxy("c", port, **GROUP, group_strategy="least_connections")
    assert "group_strategy" not in caplog.text
    assert client.new_proxy("d", port, **GROUP, group_strategy="source_hash").error == ""
    told = "group_strategy [source_hash] does not count"
    assert told in caplog.text
    assert "[least_connections]" in caplog.text


def test_a_strategy_that_is_not_known_is_the_usual_one(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    answer = House(world).client().new_proxy("a", 0, **GROUP, group_strategy="by_moon")
    assert answer.error == ""
    assert "group_strategy [by_moon] is not known: round_robin" in caplog.text
