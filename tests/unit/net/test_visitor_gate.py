"""Who may come in, how many at a time, and how many new ones in a second."""

from __future__ import annotations

import logging

import pytest

from frpd.log import get_logger
from frpd.net.access_list import AccessList
from frpd.net.visitor_gate import NOT_FROM_THERE, TOO_MANY, Crowd, VisitorGate
from tests.helpers.world import World, world

__all__ = ["world"]

HERE, THERE = "192.0.2.1", "198.51.100.1"
log = get_logger("frpd.test.gate").prefixed("web")


def kind(gate: VisitorGate, host: str = HERE) -> str:
    refusal = gate.refusal(host)
    return "" if refusal is None else refusal.kind


def test_without_settings_everybody_may_come(world: World) -> None:
    gate = VisitorGate(world.loop, log)
    for _ in range(1000):
        assert gate.refusal("") is None
        gate.enter()


def test_addresses_that_are_not_allowed_are_refused_for_good(world: World) -> None:
    gate = VisitorGate(world.loop, log, access=AccessList(["192.0.2.0/24"]))
    assert [kind(gate, host) for host in (HERE, THERE, "")] == ["", "address", "address"]
    refusal = gate.refusal(THERE)
    assert refusal is NOT_FROM_THERE
    assert (refusal.status, refusal.headers) == (403, ())


def test_a_full_crowd_takes_nobody_until_somebody_leaves(world: World) -> None:
    crowd = Crowd(2)
    gate = VisitorGate(world.loop, log, crowds=[Crowd(), crowd])
    gate.enter()
    assert kind(gate) == ""
    gate.enter()
    assert gate.refusal(HERE) is TOO_MANY
    gate.left()
    assert kind(gate) == ""
    assert crowd.present == 1


def test_gates_that_share_a_crowd_fill_it_together(world: World) -> None:
    crowd = Crowd(2)
    one, two = (VisitorGate(world.loop, log, crowds=[crowd]) for _ in range(2))
    one.enter()
    two.enter()
    assert (kind(one), kind(two)) == ("full", "full")
    crowd.limit = 3  # while it runs
    assert (kind(one), kind(two)) == ("", "")


def test_a_rate_lets_one_seconds_worth_in_at_once_and_then_one_by_one(world: World) -> None:
    gate = VisitorGate(world.loop, log, rate=2)
    let_in = 0
    while not kind(gate):
        gate.enter()
        let_in += 1
    assert let_in == 2
    world.advance(0.4)
    assert kind(gate) == "rate"
    world.advance(0.2)
    assert kind(gate) == ""
    gate.enter()
    assert kind(gate) == "rate"
    world.advance(60)
    for _ in range(2):
        assert kind(gate) == ""
        gate.enter()
    assert kind(gate) == "rate"


def test_a_rate_below_one_tells_when_to_come_again(world: World) -> None:
    gate = VisitorGate(world.loop, log, rate=0.1)
    assert kind(gate) == ""
    gate.enter()
    refusal = gate.refusal(HERE)
    assert refusal is not None
    assert (refusal.status, refusal.headers) == (429, (("Retry-After", "10"),))


def test_who_is_refused_is_counted_and_said_once_a_minute(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    gate = VisitorGate(world.loop, log)
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            gate.turned_away(TOO_MANY, f"{HERE}:1")
        gate.turned_away(NOT_FROM_THERE, f"{THERE}:2")
        assert len(caplog.messages) == 2
        world.advance(61)
        gate.turned_away(TOO_MANY, f"{HERE}:3")
    assert gate.refused == {"full": 51, "address": 1}
    assert caplog.messages[2].endswith("192.0.2.1:3, and 49 before it")
