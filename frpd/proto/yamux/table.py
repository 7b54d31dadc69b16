"""The streams of a session: who is alive, whose id is next, who is late.

Knows no frames and emits no events. Opens and closes are kept in the order in
which they happened, so the oldest, the only one a deadline asks for, is first.
"""

from __future__ import annotations

from typing import Final

from frpd.proto.yamux.frames import INITIAL_WINDOW_BYTES, MAX_UINT32
from frpd.proto.yamux.stream import Stream

MAX_UNACKNOWLEDGED: Final = 256
"""Go's accept backlog: what exceeds it would be refused there."""
OPEN_SECONDS: Final = 75.0
CLOSE_SECONDS: Final = 300.0


class StreamTable:
    """Live streams by id.

    Args:
        is_client: our ids are odd; otherwise even.
        window_bytes: what each stream's peer may send unconsumed.
    """

    __slots__ = (
        "_closing",
        "_last_peer_id",
        "_next_id",
        "_unacknowledged",
        "_window_bytes",
        "streams",
    )

    def __init__(self, *, is_client: bool, window_bytes: int) -> None:
        self.streams: dict[int, Stream] = {}
        self._window_bytes = window_bytes
        self._next_id = 1 if is_client else 2
        self._last_peer_id = 0
        self._unacknowledged: dict[int, float] = {}  # id -> opened at
        self._closing: dict[int, float] = {}  # id -> last sign of it since we ended

    def is_next(self, stream_id: int) -> bool:
        """Return whether the peer has used neither this id nor a higher one, and it is its own."""
        return stream_id > self._last_peer_id and (stream_id ^ self._next_id) & 1 == 1

    def accept(self, stream_id: int) -> None:
        """Enter a stream that the peer opened."""
        self._last_peer_id = max(self._last_peer_id, stream_id)
        self.add(stream_id)

    def add(self, stream_id: int) -> None:
        """Enter a stream, whoever opened it."""
        self.streams[stream_id] = Stream(self._window_bytes, INITIAL_WINDOW_BYTES)

    def why_no_open(self) -> str | None:
        """Return why we cannot open a stream now; None if we can."""
        while self._next_id in self.streams:  # a peer may use ids of our parity
            self._next_id += 2
        if self._next_id > MAX_UINT32:
            return "the yamux session has used up its stream ids"
        if len(self._unacknowledged) >= MAX_UNACKNOWLEDGED:
            return "too many unacknowledged yamux streams"
        return None

    def opens_are_pending(self) -> bool:
        """Return whether an acknowledgement is yet to come."""
        return bool(self._unacknowledged)

    def open(self, now: float) -> int:
        """Enter a stream of ours and return its id; only if ``why_no_open`` is None."""
        stream_id = self._next_id
        self._next_id = stream_id + 2
        self.add(stream_id)
        self._unacknowledged[stream_id] = now
        return stream_id

    def settle_open(self, stream_id: int) -> bool:
        """Note an acknowledgement; return whether one was missing."""
        return self._unacknowledged.pop(stream_id, None) is not None

    def note_closing(self, stream_id: int, now: float) -> None:
        """Start, or start anew, the wait for the peer's end of a stream that we ended."""
        self._closing.pop(stream_id, None)
        self._closing[stream_id] = now

    def forget(self, stream_id: int) -> bool:
        """Remove a stream; return whether its open had not been acknowledged."""
        del self.streams[stream_id]
        self._closing.pop(stream_id, None)
        return self.settle_open(stream_id)

    def next_deadline(self) -> float | None:
        """Return when an open or a close is too late; None if none is pending."""
        due = [since + OPEN_SECONDS for since in _first(self._unacknowledged)]
        due += [since + CLOSE_SECONDS for since in _first(self._closing)]
        return min(due, default=None)

    def is_open_overdue(self, now: float) -> bool:
        """Return whether the peer left an open of ours unacknowledged for too long."""
        return any(now >= since + OPEN_SECONDS for since in _first(self._unacknowledged))

    def overdue_closes(self, now: float) -> list[int]:
        """Return the streams whose peer should have ended them, oldest first."""
        overdue = []
        for stream_id, since in self._closing.items():
            if now < since + CLOSE_SECONDS:
                break
            overdue.append(stream_id)
        return overdue


def _first(pending: dict[int, float]) -> list[float]:
    """Return the oldest time in a list, or an empty list."""
    for since in pending.values():
        return [since]
    return []
