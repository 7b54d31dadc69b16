"""How much of the send window is used: less after heavy loss.

KCP as frp sets it up has no congestion window, and a path that loses one
datagram in ten is to be filled all the same. But a peer whose socket buffer
is shorter than the window (Linux gives about 180 datagrams unless told
otherwise) loses most of each burst, again and again. So only loss by the dozen counts.
"""

from __future__ import annotations

from typing import Final

FLOOR_SEGMENTS: Final = 128
"""Never less: the window that frp's own client has always used."""
HEAVY_SEGMENTS: Final = 32
"""So many lost at once, if they are a quarter of what is in flight, are heavy loss."""
GROWTH_SHARE: Final = 16
"""Above the half that heavy loss left, so many arrived segments make room for one more."""


class Allowance:
    """The most segments in flight, as far as we have a say.

    Args:
        window: its upper limit.
    """

    __slots__ = ("_arrived", "_steady", "_window", "segments")

    def __init__(self, window: int) -> None:
        self._window = window
        self._steady = window
        self._arrived = 0
        self.segments = min(window, FLOOR_SEGMENTS)

    def arrived(self, count: int) -> None:
        """So many segments were acknowledged."""
        if self.segments >= self._window:
            return
        if self.segments < self._steady:
            self.segments = min(self.segments + count, self._window)
            return
        self._arrived += count
        grown, self._arrived = divmod(self._arrived, GROWTH_SHARE)
        self.segments = min(self.segments + grown, self._window)

    def lost(self, count: int, in_flight: int) -> None:
        """So many segments, of those in flight, turned out to be lost at once."""
        if count >= HEAVY_SEGMENTS and count * 4 >= in_flight:
            self._steady = min(self._window, max(FLOOR_SEGMENTS, in_flight // 2))
            self.segments = min(self.segments, self._steady)
