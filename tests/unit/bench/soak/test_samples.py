from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from bench.soak.samples import Samples, bound_of, report


def grown(per_hour: float, name: str = "frps mib") -> Samples:
    samples = Samples()
    for index in range(100):
        samples.add(5.0 * index, {name: 50 + per_hour * 5 * index / 3600, "errors": 0.0})
    return samples


def test_what_grows_beyond_its_bound_is_told() -> None:
    lines, broken = report(grown(30.0), 0)
    assert len(lines) == 4
    assert broken == ["frps mib: +30.00 ± 0.00 in an hour, and 1.0 would be allowed"]
    assert report(grown(0.5), 0)[1] == []
    assert report(grown(30.0, "whatever"), 0)[1] == []


def test_latencies_may_grow_by_a_share_of_themselves() -> None:
    assert bound_of("probe p99 us", grown(0, "probe p99 us"), 0) == 100
    samples = Samples()
    samples.add(0, {"probe p99 us": 4000})
    assert bound_of("probe p99 us", samples, 0) == 2000


def test_the_warm_up_and_gaps_count_for_nothing() -> None:
    samples = Samples()
    for at, value in ((100.0, 1000.0), (110.0, 1.0), (115.0, math.nan), (120.0, 3.0)):
        samples.add(at, {"frps mib": value})
    samples.add(125.0, {})
    assert samples.steady("frps mib", 10) == ([110, 120], [1, 3])


@pytest.mark.parametrize("name", ["out.csv", "out.json"])
def test_samples_are_written_as_asked(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    grown(0).write(path)
    if name.endswith(".csv"):
        rows = list(csv.reader(path.read_text().splitlines()))
        assert rows[:2] == [["time", "frps mib", "errors"], ["0.0", "50.0", "0.0"]]
        assert len(rows) == 101
    else:
        found = json.loads(path.read_text())
        assert list(found) == ["time", "frps mib", "errors"]
        assert len(found["time"]) == 100
