from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from bench.scale.figures import Kept
from bench.scale.plots import PANELS, draw, series
from bench.tunnel.processes import MeasurementError

if TYPE_CHECKING:
    from pathlib import Path

POINT = {"seconds": 0.1, "frps_mib": 30.0, "p50_us": 200.0}


def kept(*counts: int) -> Kept:
    found = Kept()
    for count in counts:
        found.add("clients", "frpd", count, POINT)
    return found


def test_a_line_has_the_points_that_were_measured() -> None:
    points = {1: POINT, 10: {"seconds": 2.0}}
    assert series(points, "seconds") == ([1, 10], [0.1, 2.0])
    assert series(points, "frps_mib") == ([1], [30.0])
    assert series(points, "frpc_mib") == ([], [])


def test_one_point_is_no_curve(tmp_path: Path) -> None:
    assert draw(kept(1), tmp_path) == []


def test_who_lacks_the_library_is_told_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MeasurementError, match="need matplotlib"):
        draw(kept(1, 10), tmp_path)


def test_the_same_figures_are_the_same_small_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawn = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        [path] = draw(kept(1, 10, 100), folder)
        drawn.append(path.read_bytes())
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) < 60_000
    titles = dict(PANELS)
    assert titles["seconds"].encode() in drawn[0]
    assert titles["frpc_mib"].encode() not in drawn[0]
