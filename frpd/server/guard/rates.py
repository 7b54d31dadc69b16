"""SourceRates: how many new connections a second one source may have taken."""

from __future__ import annotations

from typing import Final

MAX_SOURCES: Final = 16_384
"""Then who came longest ago is forgotten, and has all his places again."""


class SourceRates:
    """A bucket of places for each source: one second's worth, and at least one. Sans-time.

    Instead of places it keeps when a bucket will be full again, which is one number. Those of
    the last MAX_SOURCES sources, and as many before, are kept.
    """

    __slots__ = ("_before", "_gap", "_lately", "_slack")

    def __init__(self, per_second: float = 0.0) -> None:
        self._lately: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self.use(per_second)

    @property
    def is_on(self) -> bool:
        """Whether there is a limit."""
        return self._gap > 0.0

    def use(self, per_second: float) -> None:
        """Go by this from now on; 0 is no limit."""
        self._gap = 1.0 / per_second if per_second > 0.0 else 0.0
        self._slack = max(1.0, self._gap)
        if not self.is_on:
            self._lately.clear()
            self._before.clear()

    def admits(self, source: str, now: float) -> bool:
        """Take a place of a source; False if it has none."""
        if not self.is_on:
            return True
        full_at = self._lately.get(source)
        if full_at is None:
            full_at = self._before.get(source, 0.0)
        full_at = (full_at if full_at > now else now) + self._gap
        if full_at - now > self._slack * 1.000001:  # what is added up is never quite exact
            return False
        if source not in self._lately and len(self._lately) >= MAX_SOURCES:
            self._before, self._lately = self._lately, {}
        self._lately[source] = full_at
        return True
