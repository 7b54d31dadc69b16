"""A clock that stands still until a test moves it."""

from __future__ import annotations


class MockClock:
    """Satisfies frpd.clock.Clock."""

    __slots__ = ("_now",)

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now

    def now(self) -> float:
        """Return the time that the test has reached."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once; a clock never goes back."""
        assert seconds >= 0, "a monotonic clock cannot go back"
        self._now += seconds
