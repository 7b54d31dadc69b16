"""History: what passed in each of the last intervals. Sans-IO: times are arguments."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

INTERVALS: Final = 60


@dataclass(frozen=True, slots=True)
class HistoryView:
    """Totals by interval, the oldest first; a copy.

    Attributes:
        interval_seconds: how long each is.
        begins_at: when the first one began, Unix time.
        bytes_in: from visitors.
        bytes_out: to visitors.
        connections: visitors that came.
    """

    interval_seconds: float
    begins_at: float
    bytes_in: tuple[int, ...]
    bytes_out: tuple[int, ...]
    connections: tuple[int, ...]


class History:
    """Turns totals that only grow into what came in each interval. Loop thread only.

    Args:
        interval_seconds: between two notes, about.
        now: Unix time.
    """

    def __init__(self, interval_seconds: float, now: float) -> None:
        self._interval_seconds = interval_seconds
        self._noted_at = now
        self._totals = (0, 0, 0)
        self._rows: deque[tuple[int, int, int]] = deque(maxlen=INTERVALS)

    def note(self, bytes_in: int, bytes_out: int, connections: int, now: float) -> None:
        """An interval is over; these are the totals so far."""
        totals, before = (bytes_in, bytes_out, connections), self._totals
        self._rows.append(
            (totals[0] - before[0], totals[1] - before[1], totals[2] - before[2]),
        )
        self._totals, self._noted_at = totals, now

    def view(self) -> HistoryView:
        """Return a copy."""
        columns = tuple(zip(*self._rows, strict=True)) or ((), (), ())
        return HistoryView(
            self._interval_seconds,
            self._noted_at - len(self._rows) * self._interval_seconds,
            *columns,
        )
