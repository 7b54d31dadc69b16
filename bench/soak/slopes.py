"""Whether something grows: a line through samples, and how sure its slope is."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BLOCKS: Final = 20
"""Samples are averaged in so many: neighbours are alike, and would feign certainty."""
T_VALUE: Final = 2.1
"""Of Student's distribution: 95 % for a line through so many blocks."""
HOUR: Final = 3600.0
BARS: Final = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Slope:
    """What a figure does: its level, its growth in an hour, and how much that may be off."""

    level: float
    per_hour: float
    give_or_take: float

    def exceeds(self, bound: float) -> bool:
        """Whether it surely grows by more than this in an hour."""
        return self.per_hour - self.give_or_take > bound


def slope(times: Sequence[float], values: Sequence[float]) -> Slope:
    """Return the line of least squares through samples; times are seconds."""
    xs, ys = blocks(times), blocks(values)
    level = statistics.fmean(ys) if ys else 0.0
    if len(xs) < 3:
        return Slope(level, 0.0, math.inf)
    middle = statistics.fmean(xs)
    spread = sum((x - middle) ** 2 for x in xs)
    rise = sum((x - middle) * (y - level) for x, y in zip(xs, ys, strict=True)) / spread
    off = sum((y - level - rise * (x - middle)) ** 2 for x, y in zip(xs, ys, strict=True))
    error = math.sqrt(off / (len(xs) - 2) / spread)
    return Slope(level, rise * HOUR, T_VALUE * error * HOUR)


def blocks(values: Sequence[float], count: int = BLOCKS) -> list[float]:
    """Return the means of so many neighbouring parts; fewer if there are not as many values."""
    count = min(count, len(values))
    edges = [len(values) * index // count for index in range(count + 1)] if count else []
    return [statistics.fmean(values[low:high]) for low, high in itertools.pairwise(edges)]


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Return a picture of the values in one line, from their least to their greatest."""
    found = blocks(values, width)
    if not found:
        return ""
    low, high = min(found), max(found)
    step = (high - low) / (len(BARS) - 1) or 1.0
    return "".join(BARS[round((value - low) / step)] for value in found)
