"""The receiving half of a conversation: what came, in order, and what is to be acknowledged."""

from __future__ import annotations

from collections import deque
from typing import Final

_MASK: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000
_MAX_WINDOW: Final = 0xFFFF


class Inbox:
    """Segments received.

    Never holds more than two windows of them: one that waits to be read, one
    ahead of a gap.

    Args:
        window: the most segments that wait to be read.
    """

    __slots__ = (
        "_acks",
        "_early",
        "_last_ack",
        "_ready",
        "_window",
        "ack_due",
        "next_number",
        "opened",
        "readable_bytes",
    )

    def __init__(self, window: int) -> None:
        self._window = min(window, _MAX_WINDOW)
        self._ready: deque[bytes] = deque()
        self._early: dict[int, bytes] = {}  # ahead of a gap
        self._acks: dict[int, int] = {}  # their timestamps by number, since the last answer
        self._last_ack = (0, 0)
        self.next_number = 0
        self.readable_bytes = 0
        self.ack_due = False
        self.opened = False
        """Whether there is room again after the peer was told that there is none."""

    @property
    def free(self) -> int:
        """For how many more segments there is room."""
        return self._window - len(self._ready)

    def read(self, limit: int) -> bytes:
        """Remove and return at most ``limit`` bytes, in order."""
        ready = self._ready
        if not ready or limit <= 0:
            return b""
        was_full = len(ready) >= self._window
        if limit >= self.readable_bytes:
            taken = b"".join(ready)
            ready.clear()
        else:
            taken = self._read_some(limit)
        self.readable_bytes -= len(taken)
        if was_full and len(ready) < self._window:
            self.opened = True
            self._release_early()
        return taken

    def _read_some(self, limit: int) -> bytes:
        ready = self._ready
        parts = []
        while limit > 0:
            part = ready.popleft()
            if len(part) > limit:
                ready.appendleft(part[limit:])
                part = part[:limit]
            parts.append(part)
            limit -= len(part)
        return b"".join(parts)

    def take(self, number: int, timestamp: int, payload: bytes) -> None:
        """Take a segment.

        One beyond the window is as good as lost, one that was seen before is
        only acknowledged again.
        """
        ahead = (number - self.next_number) & _MASK
        if ahead == 0 and len(self._ready) < self._window:
            self._make_ready(payload)
            if self._early:
                self._release_early()
        elif ahead < self._window:
            self._early.setdefault(number, payload)
            if len(self._acks) < self._window:
                self._acks[number] = timestamp
        elif ahead < _HALF:
            return
        self._last_ack = (number, timestamp)
        self.ack_due = True

    def _make_ready(self, payload: bytes) -> None:
        self.next_number = (self.next_number + 1) & _MASK
        if payload:  # an empty one would fill the window with nothing to read
            self._ready.append(payload)
            self.readable_bytes += len(payload)

    def _release_early(self) -> None:
        early = self._early
        while len(self._ready) < self._window and self.next_number in early:
            self._make_ready(early.pop(self.next_number))

    def acknowledgements(self) -> list[tuple[int, int]]:
        """Return numbers and timestamps to answer; nothing if nothing came since the last call.

        What ``next_number`` says already is left out, except for the last, which
        lets the peer measure.
        """
        if not self.ack_due:
            return []
        self.ack_due = False
        last = self._last_ack
        una = self.next_number
        answers = [
            (number, timestamp)
            for number, timestamp in self._acks.items()
            if number != last[0] and (number - una) & _MASK < _HALF
        ]
        self._acks.clear()
        answers.append(last)
        return answers
