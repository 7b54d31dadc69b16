"""What a relay joins: anything that can be read, written, watched and closed.

An endpoint is a socket, a yamux stream, or either of them behind a cipher.
A relay knows this interface and nothing else.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
Callback: TypeAlias = Callable[[], None]


class Outcome(enum.Enum):
    """Why a read returned no bytes."""

    EMPTY = "empty"
    """Nothing now; wait for on_readable."""
    EOF = "eof"
    """The peer ended its direction cleanly; nothing will come any more."""


class Endpoint(Protocol):
    """One bidirectional byte stream. Loop thread only."""

    on_failure: Callback | None
    """Called when a callback given to ``watch`` raised: whoever joined this
    endpoint to others must let go of all of them. The endpoint itself has
    been aborted by then."""

    def read(self, limit: int) -> Buffer | Outcome:
        """Return between 1 and about ``limit`` bytes, or why there are none.

        The buffer is borrowed: it is valid until control returns to the loop
        or the next read of any endpoint, whichever is first. Keep ``bytes()``
        of what must live longer.

        Raises:
            ConnectionLost: the connection was reset.
        """

    def unread(self, data: Buffer) -> None:
        """Put bytes back in front of what the next read returns (copied)."""

    def write(self, data: Buffer) -> int:
        """Take a prefix of ``data`` and return its length; 0 means blocked.

        After a short write wait for on_writable. The data is copied or sent
        before the call returns.

        Raises:
            ConnectionLost: the peer is gone or this direction was shut.
        """

    def room(self) -> int:
        """Return how many bytes a write is likely to take now; 0 = blocked."""

    def watch(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """Replace both interests; None drops one.

        Level-triggered: as long as an endpoint is readable (end and reset
        included) on_readable is called again on later turns. Callbacks never
        run inside ``watch``.
        """

    def shutdown_write(self) -> None:
        """End our direction after all bytes taken so far; reading goes on."""

    def close(self) -> None:
        """Send what was taken, then end both directions. Idempotent."""

    def abort(self) -> None:
        """Drop everything at once; the peer sees a reset. Idempotent."""

    def describe(self) -> str:
        """Return a short name for logs, such as ``127.0.0.1:5022``."""
