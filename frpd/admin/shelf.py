"""Shelf: a copy that several askers may share for a while. Any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from frpd.clock import MonotonicClock

T = TypeVar("T")

KEEP_SECONDS: Final = 1.0

_clock = MonotonicClock()


class Shelf(Generic[T]):
    """Keeps the copy that was made last.

    Args:
        now: a clock.
    """

    def __init__(self, now: Callable[[], float] = _clock.now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: tuple[float, T] | None = None

    def fresh(self, make: Callable[[], T]) -> T:
        """Return a copy that is made now."""
        begun = self._now()
        value = make()
        with self._lock:
            self._kept = begun, value
        return value

    def recent(self, make: Callable[[], T]) -> T:
        """Return the one that is kept if it is young, or one that is made now."""
        with self._lock:
            kept = self._kept
        if kept is not None and self._now() - kept[0] < KEEP_SECONDS:
            return kept[1]
        return self.fresh(make)

    def clear(self) -> None:
        """Something has been changed: what is kept is of no use."""
        with self._lock:
            self._kept = None
