from __future__ import annotations

import array
from pathlib import Path

from bench.lag import percentile, read_lags


def test_lags_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "lags"
    path.write_bytes(array.array("d", [1.0, 0.1, 2.0, 0.2]).tobytes())
    assert read_lags(path) == [(1.0, 0.1), (2.0, 0.2)]


def test_a_percentile_is_a_value_that_so_many_are_not_above() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.99) == 100
    assert percentile([3.0], 0.99) == 3
