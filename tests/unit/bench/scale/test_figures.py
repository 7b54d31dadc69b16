from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.scale.figures import Kept, each_kib, load, table

if TYPE_CHECKING:
    from pathlib import Path

ONE = {
    "seconds": 0.1,
    "frps_mib": 30.0,
    "frps_own_mib": 20.0,
    "frpc_mib": 20.0,
    "frpc_own_mib": 15.0,
    "p50_us": 200.0,
    "p99_us": 400.0,
}
MANY = {
    "seconds": 2.0,
    "frps_mib": 30.5,
    "frps_own_mib": 21.0,
    "frpc_mib": 22.0,
    "frpc_own_mib": 17.0,
    "p50_us": 300.0,
    "p99_us": 500.0,
}


def kept() -> Kept:
    found = Kept({"machine": "this"})
    found.add("connections", "frpd", 1025, MANY)
    found.add("connections", "frpd", 1, ONE)
    return found


def test_figures_are_read_as_they_were_kept(tmp_path: Path) -> None:
    path = tmp_path / "scale.json"
    kept().save(path)
    assert load(path) == kept()


def test_a_missing_file_is_empty(tmp_path: Path) -> None:
    assert load(tmp_path / "none") == Kept()


def test_medians_are_of_all_rounds_and_rise_by_count() -> None:
    found = kept()
    for seconds in (4.0, 6.0):
        found.add("connections", "frpd", 1025, {**MANY, "seconds": seconds})
    medians = found.medians("connections")["frpd"]
    assert list(medians) == [1, 1025]
    assert medians[1025]["seconds"] == 4.0
    assert found.medians("proxies") == {}


def test_one_more_takes_what_is_beyond_the_fewest() -> None:
    points = {1: ONE, 1025: MANY}
    assert each_kib(points, 1025, "frps_own_mib") == pytest.approx(1.0)
    assert each_kib(points, 1025, "frpc_own_mib") == pytest.approx(2.0)


@pytest.mark.parametrize(("count", "key"), [(1, "frps_mib"), (10, "frps_mib"), (1025, "other")])
def test_what_one_takes_is_not_told_of_few_or_of_the_unknown(count: int, key: str) -> None:
    assert each_kib({1: ONE, 10: MANY, 1025: MANY}, count, key) is None


def test_a_table_has_a_row_for_each_point() -> None:
    lines = table("connections", kept().medians("connections")).splitlines()
    assert lines[2:] == [
        "| 1 | frpd | 0.10 s | 30.0 MiB | 20.0 MiB |  |  | 200 us, 400 |",
        "| 1,025 | frpd | 2.00 s | 30.5 MiB | 22.0 MiB | 1.0 KiB | 2.0 KiB | 300 us, 500 |",
    ]


def test_a_table_leaves_empty_what_was_not_measured() -> None:
    alone = {"seconds": 1.0, "frps_mib": 3.0, "p50_us": 1.0, "p99_us": 2.0}
    text = table("clients", {"go": {1: alone}})
    assert text.splitlines()[-1] == "| 1 | go | 1.00 s | 3.0 MiB |  |  |  | 1 us, 2 |"
