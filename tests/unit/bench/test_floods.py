from __future__ import annotations

import pytest

from bench.floods import Slice, Verdict, within


def slice_at(begun: float, ended: float) -> Slice:
    return Slice(begun, ended, p50_us=1, p99_us=2, cpu=0.5)


@pytest.mark.parametrize(
    ("ratio", "lag", "words"),
    [
        (2.0, 0.0099, ""),
        (2.01, 0.001, "tls: p99 is 2.01 times that of the quiet"),
        (1.0, 0.010, "tls: the loop's lag p99 is 10.0 ms"),
    ],
)
def test_bounds_are_held_or_named(ratio: float, lag: float, words: str) -> None:
    assert Verdict("tls", ratio, lag).broken == words


def test_values_belong_to_the_slices_of_their_time() -> None:
    slices = [slice_at(1, 2), slice_at(5, 6)]
    values = [(0.5, 1.0), (1.0, 2.0), (1.9, 3.0), (2.0, 4.0), (5.5, 5.0), (7.0, 6.0)]
    assert within(slices, values) == [2.0, 3.0, 5.0]
