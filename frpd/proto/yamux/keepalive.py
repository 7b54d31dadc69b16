"""When to ping, and when silence means that the peer is gone.

Stricter implementations drop a peer whose answer takes ten seconds even while
its bytes arrive. On a slow link the answer waits behind megabytes of our own
data in kernel buffers, so any byte that arrives counts as a sign of life here.
"""

from __future__ import annotations

from typing import Final

from frpd.proto.yamux.frames import MAX_UINT32

ANSWER_SECONDS: Final = 10.0


class Keepalive:
    """The ping schedule of one session.

    Args:
        interval_seconds: from one ping to the next; None never pings.
        now: the session's birth.
    """

    __slots__ = ("_interval", "_next_at", "_next_value", "_pending_value", "_sent_at")

    def __init__(self, interval_seconds: float | None, now: float) -> None:
        self._interval = interval_seconds
        self._next_value = 0
        self._pending_value: int | None = None
        self._sent_at = now
        self._next_at = now + (interval_seconds or 0.0)

    def next_deadline(self, last_input_at: float) -> float | None:
        """Return when the next ping is due, or when silence becomes a death.

        An answer never moves it forward, whichever of the two comes first.
        """
        if self._interval is None:
            return None
        if self._pending_value is None:
            return self._next_at
        return min(self._next_at, max(self._sent_at, last_input_at) + ANSWER_SECONDS)

    def is_overdue(self, now: float, last_input_at: float) -> bool:
        """Return whether a ping went unanswered and nothing else came either."""
        if self._pending_value is None:
            return False
        return now >= max(self._sent_at, last_input_at) + ANSWER_SECONDS

    def next_ping(self, now: float) -> int | None:
        """Return the value of the ping to send now; None: not yet, or the last has no answer."""
        if self._interval is None or now < self._next_at:
            return None
        self._next_at = now + self._interval
        if self._pending_value is not None:
            return None
        value = self._pending_value = self._next_value
        self._next_value = (value + 1) & MAX_UINT32
        self._sent_at = now
        return value

    def receive_answer(self, value: int, now: float) -> float | None:
        """Return the round trip in seconds; None if nobody asked for this answer."""
        if value != self._pending_value:
            return None
        self._pending_value = None
        return now - self._sent_at
