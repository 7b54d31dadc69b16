from __future__ import annotations

import json

import pytest

from bench.tunnel.report import FIGURES, as_json, medians, ratio, rows, table
from bench.tunnel.turns import Result


def test_median_is_taken_per_figure() -> None:
    rounds = [{"per_s": 1.0, "p50_us": 9.0}, {"per_s": 5.0, "p50_us": 2.0}]
    rounds.append({"per_s": 2.0, "p50_us": 3.0})
    assert medians(rounds) == {"per_s": 2.0, "p50_us": 3.0}


def test_no_rounds_have_no_medians() -> None:
    assert medians([]) == {}


@pytest.mark.parametrize("figure", FIGURES)
def test_ratio_above_one_is_better_whatever_the_figure(figure: str) -> None:
    better, worse = (2.0, 4.0) if FIGURES[figure].less_is_better else (4.0, 2.0)
    assert ratio(figure, better, worse) == 2.0
    assert ratio(figure, worse, better) == 0.5


def test_ratio_with_nothing_is_none() -> None:
    assert ratio("per_s", 1.0, 0.0) is None
    assert ratio("cpu_s_per_gb", 0.0, 1.0) is None


def test_row_shows_median_spread_and_both_ratios() -> None:
    ours = Result([{"gbit_s": rate, "cpu_s_per_gb": 1.0} for rate in (4.0, 8.0, 6.0)])
    base = Result([{"gbit_s": 2.0, "cpu_s_per_gb": 3.0}])
    first, second = rows("bulk_up", "gbit_s", {"ours": ours, "go": base}, "go")
    assert first[1:7] == ("ours", "6.00 Gbit/s", "4.00 - 8.00", "3.00x", "1.00 CPU s/GB", "3.00x")
    assert second[1:5] == ("go", "2.00 Gbit/s", "2.00 - 2.00", "base")


def test_errors_are_shown_beside_a_figure_only_if_there_were_any() -> None:
    good = Result([{"per_s": 9.0, "cpu_us_per_op": 1.0, "errors": 0.0}])
    bad = Result([{"per_s": 9.0, "cpu_us_per_op": 1.0, "errors": 3.0}])
    lines = rows("cps", "per_s", {"good": good, "bad": bad}, "good")
    assert [line[-1] for line in lines] == ["", "3 errors"]


def test_failed_and_skipped_keep_their_rows() -> None:
    failed = Result(failures=["no echo | at all"])
    skipped = Result(skipped="no udp")
    lines = rows("udp", "per_s", {"a": failed, "b": skipped}, "a")
    assert lines[0][2] == "-"
    assert lines[0][-1] == "failed in 1 rounds: no echo / at all"
    assert lines[1][-1] == "skipped: no udp"


def test_ratio_is_missing_where_the_base_failed() -> None:
    ours = Result([{"gbit_s": 1.0, "cpu_s_per_gb": 1.0}])
    lines = rows("bulk_up", "gbit_s", {"ours": ours, "go": Result(failures=["no"])}, "go")
    assert lines[0][4] == lines[0][6] == "no base"


def test_table_has_a_head_a_rule_and_as_many_columns_everywhere() -> None:
    lines = rows("rtt_1", "per_s", {"ours": Result([{"per_s": 1.0}])}, "ours")
    text = table(lines).splitlines()
    assert len(text) == 3
    assert len({line.count("|") for line in text}) == 1


def test_json_holds_every_round_and_failure() -> None:
    result = Result([{"per_s": 1.0}, {"per_s": 3.0}], failures=["once"])
    text = json.dumps(as_json({"rtt_1": {"ours": result}}, {"base": "ours"}))
    back = json.loads(text)
    assert back["base"] == "ours"
    ours = back["scenarios"]["rtt_1"]["ours"]
    assert ours["median"] == {"per_s": 2.0}
    assert len(ours["rounds"]) == 2
    assert ours["failures"] == ["once"]
