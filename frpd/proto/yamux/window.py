"""Flow control of one direction of one stream: plain arithmetic, no frames.

Credit goes back in large steps, as frp does it: only when half of the window
was consumed, so a bulk stream costs one 12-byte frame per half window.
"""

from __future__ import annotations

from frpd.errors import LocalProtocolError
from frpd.proto.yamux.frames import INITIAL_WINDOW_BYTES, MAX_UINT32


class WindowBudget:
    """Credit beyond first windows, shared by all the sessions of a process.

    Credit that a peer holds cannot be taken back, so what is granted is what
    counts: a stream keeps its share until its id is forgotten.

    Args:
        total_bytes: of all streams together.
        stream_bytes: the largest window of one stream.
    """

    __slots__ = ("left", "stream_bytes")

    def __init__(self, total_bytes: int, stream_bytes: int) -> None:
        self.left = total_bytes
        self.stream_bytes = stream_bytes

    def grow(self, limit: int) -> int:
        """Return by how much a window of ``limit`` may grow now: it doubles, or stays."""
        extra = min(limit, self.stream_bytes - limit)
        if extra <= 0 or extra > self.left:
            return 0
        self.left -= extra
        return extra

    def give_back(self, nbytes: int) -> None:
        """A stream that had grown by this much is gone."""
        self.left += nbytes


class ReceiveWindow:
    """What the peer may still send, and what we owe it.

    ``limit == remaining + owed + unconsumed`` always holds, so the bytes that
    wait for a consumer need no counter of their own.
    """

    __slots__ = ("limit", "owed", "remaining")

    def __init__(self, limit: int = INITIAL_WINDOW_BYTES) -> None:
        self.limit = limit
        self.remaining = limit
        self.owed = 0

    @property
    def unconsumed(self) -> int:
        """Bytes of announced frames that nobody has reported as consumed."""
        return self.limit - self.remaining - self.owed

    def take(self, nbytes: int) -> bool:
        """Charge an incoming frame; False means that the peer exceeded the window."""
        if nbytes > self.remaining:
            return False
        self.remaining -= nbytes
        return True

    def give_back(self, nbytes: int) -> int:
        """Note consumed bytes; return the credit to send now, 0 for not yet.

        Raises:
            LocalProtocolError: more was consumed than had come.
        """
        owed = self.owed + nbytes
        if owed > self.limit - self.remaining:
            raise LocalProtocolError(f"{nbytes} bytes consumed, only {self.unconsumed} had come")
        if owed * 2 < self.limit:
            self.owed = owed
            return 0
        self.owed = 0
        self.remaining += owed
        return owed

    def widen(self, nbytes: int) -> None:
        """Grant more than was consumed; the caller sends the credit."""
        self.limit += nbytes
        self.remaining += nbytes


class SendWindow:
    """What the peer still allows us to send."""

    __slots__ = ("remaining",)

    def __init__(self, remaining: int = INITIAL_WINDOW_BYTES) -> None:
        self.remaining = remaining

    def open(self, delta: int) -> bool:
        """Add credit; False means that the sum does not fit 32 bits."""
        remaining = self.remaining + delta
        if remaining > MAX_UINT32:
            return False
        self.remaining = remaining
        return True

    def take(self, nbytes: int) -> None:
        """Spend credit for a frame we are about to send.

        Raises:
            LocalProtocolError: the peer did not allow so much.
        """
        if nbytes > self.remaining:
            raise LocalProtocolError(f"{nbytes} bytes to send, window is {self.remaining}")
        self.remaining -= nbytes
