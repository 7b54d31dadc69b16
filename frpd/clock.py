"""Time as an argument: the one place that reads the monotonic clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Source of monotonic time."""

    def now(self) -> float:
        """Return seconds on a clock that never goes back; its zero means nothing."""


class MonotonicClock:
    """The system's monotonic clock."""

    __slots__ = ()

    def now(self) -> float:
        """Return seconds of CLOCK_MONOTONIC."""
        return time.monotonic()


def unix_time() -> float:
    """Return Unix seconds, for what people are shown."""
    return time.time()


def unix_now() -> int:
    """Return whole Unix seconds, for the timestamps that travel in messages."""
    return int(time.time())
