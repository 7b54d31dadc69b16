from __future__ import annotations

import pytest

from bench.scale.__main__ import chosen
from bench.scale.points import CURVES


def test_all_curves_are_measured_at_their_own_sizes_if_nothing_is_said() -> None:
    assert chosen(None, None) == list(CURVES)


def test_curves_and_sizes_can_be_chosen() -> None:
    [one] = chosen("proxies", "7,70")
    assert (one.name, one.counts) == ("proxies", (7, 70))


@pytest.mark.parametrize(
    ("curves", "counts", "words"),
    [
        ("warp", None, "unknown curves: warp"),
        (None, "0", "begin at 1"),
        (None, "some", "invalid literal"),
    ],
)
def test_what_is_no_curve_or_no_size_is_refused(
    curves: str | None, counts: str | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        chosen(curves, counts)
