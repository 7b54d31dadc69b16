"""Pace: how fast strangers are taken in.

Whoever is accepted and never shows that he may be here costs a loop as much as one who does,
and comes again at once. So a crowd at the door, not the program, would say how much of the
loop's time it gets. Here each newcomer takes a place out of a small store that fills up by
itself at a fixed rate; who proves himself gives his place back. Clients and visitors who are
what they say are therefore never slowed down, a crowd of others is, whatever it sends. Who
waits meanwhile waits in the kernel's backlog.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

NEWCOMERS_PER_SECOND: Final = 200.0
"""A stranger costs a quarter of a millisecond until he is gone, with TLS three times as much."""
BUSY_SECONDS: Final = 0.005
PLACES: Final = 256.0
"""So many may come at once. Who is not through after milliseconds is no client of ours."""


def _never() -> bool:
    return False


class Pace:
    """The store of places. Loop thread only.

    Args:
        now: the loop's time.
        per_second: how many places come back by themselves.
        places: most that there are.

    Attributes:
        is_busy: whether those who were taken in already are as much as we can do. On a slow
            machine nobody would be through before he is pushed out by the next.
    """

    __slots__ = ("_free", "_now", "_per_second", "_places", "_seen", "is_busy")

    def __init__(
        self,
        now: Callable[[], float],
        *,
        per_second: float = NEWCOMERS_PER_SECOND,
        places: float = PLACES,
    ) -> None:
        self._now = now
        self._per_second = per_second
        self._places = places
        self._free = places
        self._seen = now()
        self.is_busy: Callable[[], bool] = _never

    def wait_seconds(self) -> float:
        """Return how long the next newcomer has to wait; 0.0 if not at all."""
        now = self._now()
        self._put_back((now - self._seen) * self._per_second)
        self._seen = now
        if self.is_busy():
            return BUSY_SECONDS
        return 0.0 if self._free >= 1.0 else (1.0 - self._free) / self._per_second

    def take(self) -> None:
        """Someone was taken in."""
        self._free -= 1.0

    def give_back(self) -> None:
        """Someone has proved that he may be here."""
        self._put_back(1.0)

    def _put_back(self, places: float) -> None:
        self._free = min(self._places, self._free + places)
