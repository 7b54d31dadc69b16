"""Each way to choose among members."""

from __future__ import annotations

from dataclasses import dataclass, field

from frpd.metrics.counters import ProxyCounters
from frpd.net.visitor_gate import VisitorGate
from frpd.server.groups.strategy import LEAST_CONNECTIONS, ROUND_ROBIN, SOURCE_HASH, STRATEGIES

SOURCES = [f"192.0.2.{number}" for number in range(200)]


@dataclass(eq=False)
class One:
    name: str
    counters: ProxyCounters = field(default_factory=ProxyCounters)
    gate: VisitorGate | None = None


A, B, C = One("a"), One("b"), One("c")


def test_round_robin_takes_turns() -> None:
    chosen = [STRATEGIES[ROUND_ROBIN]([A, B, C], turn, "") for turn in range(5)]
    assert chosen == [A, B, C, A, B]


def test_least_connections_are_counted_and_the_equal_take_turns() -> None:
    choose = STRATEGIES[LEAST_CONNECTIONS]
    busy = One("busy", ProxyCounters(connections_open=2))
    assert [choose([busy, A, B], turn, "") for turn in range(4)] == [A, A, B, A]


def test_a_source_keeps_its_member() -> None:
    choose = STRATEGIES[SOURCE_HASH]
    for source in SOURCES:
        assert choose([A, B, C], 0, source) is choose([C, A, B], 1, source)


def test_who_leaves_moves_only_its_own_sources() -> None:
    choose = STRATEGIES[SOURCE_HASH]
    before = {source: choose([A, B, C], 0, source) for source in SOURCES}
    assert set(before.values()) == {A, B, C}
    for source, member in before.items():
        after = choose([A, C], 0, source)
        assert after is member or member is B
