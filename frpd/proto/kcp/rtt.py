"""How long the peer takes to answer, and after how long its silence means loss."""

from __future__ import annotations

from typing import Final

MIN_TIMEOUT: Final = 30
"""Milliseconds, as all times here: KCP's clock is 32 bits of them."""
MAX_TIMEOUT: Final = 60_000
FIRST_TIMEOUT: Final = 200
TICK: Final = 20
"""A peer that answers on its tick may take so much longer than the path does."""


class RoundTrip:
    """Jacobson's estimate as KCP keeps it."""

    __slots__ = ("_mean", "_variation", "timeout")

    def __init__(self) -> None:
        self._mean = -1
        self._variation = 0
        self.timeout = FIRST_TIMEOUT

    def measured(self, sample: int) -> None:
        """Count one round trip; one that cannot be (the peer names the time) is ignored."""
        if sample > MAX_TIMEOUT:
            return
        if self._mean < 0:
            self._mean, self._variation = sample, sample // 2
        else:
            self._variation = (3 * self._variation + abs(sample - self._mean)) // 4
            self._mean = (7 * self._mean + sample) // 8
        timeout = self._mean + max(TICK, 4 * self._variation)
        self.timeout = min(max(MIN_TIMEOUT, timeout), MAX_TIMEOUT)
