from __future__ import annotations

import math
from random import Random

import pytest

from bench.soak.slopes import BLOCKS, blocks, slope, sparkline


def noisy(rise_per_hour: float, seed: int = 1) -> tuple[list[float], list[float]]:
    dice, times = Random(seed), [5.0 * index for index in range(240)]
    return times, [40 + rise_per_hour * at / 3600 + dice.gauss(0, 0.1) for at in times]


def test_a_line_is_found_in_noise() -> None:
    found = slope(*noisy(6.0))
    assert found.per_hour == pytest.approx(6.0, abs=found.give_or_take)
    assert 0 < found.give_or_take < 1
    assert found.level == pytest.approx(41, abs=0.2)


def test_only_what_surely_grows_exceeds_a_bound() -> None:
    assert slope(*noisy(6.0)).exceeds(1.0)
    assert not slope(*noisy(0.5)).exceeds(1.0)
    assert not slope(*noisy(-6.0)).exceeds(1.0)


def test_few_samples_say_nothing_for_sure() -> None:
    for count in range(3):
        found = slope([0.0, 1.0][:count], [1.0, 99.0][:count])
        assert (found.per_hour, found.give_or_take) == (0.0, math.inf)
        assert not found.exceeds(0.0)


def test_a_straight_line_is_exact() -> None:
    found = slope([0.0, 1800.0, 3600.0], [1.0, 2.0, 3.0])
    assert (found.level, found.per_hour, found.give_or_take) == (2.0, 2.0, 0.0)


def test_neighbours_are_averaged() -> None:
    assert blocks([1, 2, 3, 4], 2) == [1.5, 3.5]
    assert blocks([1, 2], 9) == [1, 2]
    assert blocks([]) == []
    assert len(blocks(range(1001))) == BLOCKS


def test_a_picture_goes_from_the_least_to_the_greatest() -> None:
    assert sparkline([0, 7, 3.5]) == "▁█▅"
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([]) == ""
    assert len(sparkline(list(range(500)), 30)) == 30
