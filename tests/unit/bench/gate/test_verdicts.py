from __future__ import annotations

from statistics import median

import pytest

from bench.gate.verdicts import Verdict, exit_code, judge, table, together
from bench.tunnel.turns import Result


def costs(*each: float, per_s: float = 1000.0) -> Result:
    return Result([{"per_s": per_s, "cpu_us_per_op": one} for one in each])


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ((100, 140, 120), (139, 107, 150), "not slower"),
        ((100, 140, 120), (150, 109, 170), "slower"),
        ((100, 140, 130), (139, 112, 120), "not slower"),
        ((100, 140, 120), (91, 400, 400), "not slower"),
        ((100,), (108,), "not slower"),
    ],
)
def test_cheapest_and_median_rounds_decide_together(
    before: tuple[float, ...], now: tuple[float, ...], words: str
) -> None:
    one = judge("cps", costs(*before), costs(*now), 0.08)
    assert one.words == words
    assert one.bad is (words == "slower")
    ratios = min(now) / min(before), median(now) / median(before)
    assert one.times == min(ratios)


def test_a_rate_that_fell_is_told_and_decides_nothing() -> None:
    one = judge("cps", costs(100), costs(100, per_s=10), 0.08)
    assert (one.words, one.rates) == ("not slower", "1,000/s, now 10/s")


@pytest.mark.parametrize(
    "figures",
    [
        {"gbit_s": 4.0, "cpu_s_per_gb": 2.0},
        {"kib_per_connection": 2.0, "base_mib": 3.0, "opened_per_s": 9.0},
        {"ready_s": 0.4, "server_ready_s": 0.2, "cpu_s": 2.0, "base_mib": 30.0},
    ],
)
def test_each_row_has_a_cost(figures: dict[str, float]) -> None:
    dearer = {name: 1.2 * value for name, value in figures.items()}
    assert judge("row", Result([figures]), Result([dearer]), 0.08).words == "slower"
    assert judge("row", Result([figures]), Result([dearer]), 0.25).words == "not slower"


def test_a_row_that_fails_now_is_lost() -> None:
    one = judge("udp", costs(1), Result(failures=["it | died"]), 0.08)
    assert (one.words, one.bad) == ("lost: it | died", True)
    assert "| lost: it / died |" in table([one])


@pytest.mark.parametrize(
    ("baseline", "now"),
    [
        (Result(failures=["no such key"]), costs(1)),
        (Result(skipped="no udp"), Result(skipped="no udp")),
        (costs(0), costs(1)),
        (Result([{"p50_us": 1.0}]), Result([{"p50_us": 9.0}])),
    ],
)
def test_what_cannot_be_compared_is_neither_good_nor_bad(baseline: Result, now: Result) -> None:
    one = judge("row", baseline, now, 0.08)
    assert (one.bad, one.judged) == (False, False)


def test_more_rounds_are_added_to_the_first() -> None:
    both = together(costs(3, 2), Result([{"per_s": 1.0, "cpu_us_per_op": 1.0}], ["once"]))
    assert [one["cpu_us_per_op"] for one in both.rounds] == [3, 2, 1]
    assert both.failures == ["once"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("not slower", "not slower"), 0),
        (("not slower", "slower"), 1),
        (("lost: it died", "too short to tell"), 1),
        (("not slower", "too short to tell"), 2),
        ((), 2),
    ],
)
def test_the_exit_code_tells_the_worst(words: tuple[str, ...], code: int) -> None:
    rows = [Verdict("row", one, times=1.0 if one == "not slower" else None) for one in words]
    assert exit_code(rows) == code
