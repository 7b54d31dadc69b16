"""Budget: how many bytes may pass now, and whose turn it is. Sans clock: time is an argument.

A token bucket that several share. Who finds it empty waits in line and is woken in order, for
one portion each, so that nobody gets more by asking more often. The bucket is small: what
passes in any time is near the rate, and a pause saves up little.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Final

BURST_SECONDS: Final = 0.1
"""What a full bucket holds, in time."""
PORTION_SECONDS: Final = 0.02
MAX_PORTION_BYTES: Final = 256 * 1024
ROUNDING: Final = 1e-6
"""What times that were added up may lack for a byte."""


class Budget:
    """What those who share one limit may move.

    Args:
        bytes_per_second: the limit, 1 or more.
        now: the bucket is full.
    """

    def __init__(self, bytes_per_second: int, now: float) -> None:
        self.rate = bytes_per_second
        self.burst = max(1, int(bytes_per_second * BURST_SECONDS))
        self.portion = max(1, min(int(bytes_per_second * PORTION_SECONDS), MAX_PORTION_BYTES))
        self._tokens = float(self.burst)
        self._filled_at = now
        self._line: deque[Hashable] = deque()
        self._waiting: set[Hashable] = set()
        self._woken: set[Hashable] = set()

    def allow(self, who: Hashable, now: float) -> int:
        """Return how many bytes may pass for somebody; 0 puts it in the line, if it is not yet."""
        if who in self._waiting:
            return 0
        self._fill(now)
        is_shared = bool(self._line) or bool(self._woken - {who})
        has_turn = who in self._woken or not self._line
        whole = int(self._tokens + ROUNDING)
        if whole <= 0 or not has_turn:
            self._woken.discard(who)
            self._waiting.add(who)
            self._line.append(who)
            return 0
        return min(whole, self.portion) if is_shared else whole

    def spend(self, who: Hashable, nbytes: int) -> None:
        """So much has passed; more than was allowed is owed, and paid by all who come later."""
        self._tokens -= nbytes
        self._woken.discard(who)

    def leave(self, who: Hashable) -> None:
        """Somebody wants nothing any more. Idempotent."""
        self._woken.discard(who)
        if who in self._waiting:
            self._waiting.discard(who)
            self._line.remove(who)

    def next_deadline(self) -> float | None:
        """Return when somebody is to be woken; None if nobody waits."""
        if not self._line:
            return None
        lacking = min(self.portion, self.burst) - self._tokens
        return self._filled_at + max(0.0, lacking / self.rate)

    def handle_deadline(self, now: float) -> list[Hashable]:
        """Return whom to wake, in order: for each there is a portion."""
        self._fill(now)
        found: list[Hashable] = []
        left = self._tokens
        while self._line and left + ROUNDING >= self.portion:
            who = self._line.popleft()
            self._waiting.discard(who)
            self._woken.add(who)
            found.append(who)
            left -= self.portion
        return found

    def _fill(self, now: float) -> None:
        if now > self._filled_at:
            grown = self._tokens + (now - self._filled_at) * self.rate
            self._tokens = min(float(self.burst), grown)
            self._filled_at = now
