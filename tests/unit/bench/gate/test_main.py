from __future__ import annotations

from pathlib import Path

import pytest

from bench.gate import __main__ as gate
from bench.gate.__main__ import ROWS, parser, verdict
from bench.tunnel.__main__ import chosen
from bench.tunnel.backends import Tools
from bench.tunnel.implementations import Implementation
from bench.tunnel.scenarios import SCENARIOS, Scenario
from bench.tunnel.turns import Plan, Result

PAIR = [Implementation(name, ("frps",), ("frpc",)) for name in ("baseline", "now")]


def plan(tmp_path: Path) -> Plan:
    return Plan(PAIR, Tools({}, ""), tmp_path, 3, 1.0)


def rounds(cost: float, count: int) -> Result:
    return Result([{"per_s": 1.0, "cpu_us_per_op": cost}] * count)


@pytest.mark.parametrize(
    ("second", "words", "asked"), [(100.0, "not slower", [3, 6]), (130.0, "slower", [3, 6])]
)
def test_what_looks_slower_is_measured_again(
    second: float, words: str, asked: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def measured(_: Scenario, plan: Plan) -> dict[str, Result]:
        counts.append(plan.rounds)
        now = 130.0 if len(counts) == 1 else second
        return {"baseline": rounds(100.0, plan.rounds), "now": rounds(now, plan.rounds)}

    monkeypatch.setattr(gate, "run_scenario", measured)
    assert verdict(SCENARIOS[0], plan(tmp_path), 0.08).words == words
    assert counts == asked


def test_what_does_not_look_slower_is_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = {"baseline": rounds(100.0, 3), "now": rounds(101.0, 3)}
    monkeypatch.setattr(gate, "run_scenario", lambda *_: same)
    assert verdict(SCENARIOS[0], plan(tmp_path), 0.08).times == 1.01


def test_the_rows_are_those_of_the_bench() -> None:
    assert [one.name for one in chosen(ROWS)] == ROWS.split(",")
    assert parser().parse_args(["--store"]).store == "HEAD"
