"""What a relay joins: anything that can be read, written, watched and closed.

An endpoint is a socket, a yamux stream, or either of them behind a cipher.
A relay knows this interface and nothing else.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol, TypeAlias

from frpd.net.pipes import Pipe, PipePool

Buffer: TypeAlias = bytes | bytearray | memoryview
Callback: TypeAlias = Callable[[], None]


class Outcome(enum.Enum):
    """Why a read returned no bytes."""

    EMPTY = "empty"
    """Nothing now; wait for on_readable."""
    FULL = "full"
    """The pipe that the bytes would go into may be full; drain it first."""
    COPY = "copy"
    """The next bytes cannot go through a pipe; use read()."""
    EOF = "eof"
    """The peer ended its direction cleanly; nothing will come any more."""


class Endpoint(Protocol):
    """One bidirectional byte stream. Loop thread only."""

    on_failure: Callback | None
    """Called when whoever joined this endpoint to others must let go of all of
    them: a callback given to ``watch`` raised (the endpoint has been aborted
    by then), or the connection was lost after its end had been read, when
    nobody watches any more."""

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

    # Payload that never enters this process. Only if ``splices``.

    @property
    def splices(self) -> bool:
        """Whether payload may pass through pipes; False where bytes change."""

    def splice_with(self, pool: PipePool | None) -> None:
        """Say that read_pipe() will be used, with pipes of this pool; None ends it."""

    def read_pipe(self, limit: int) -> Pipe | Outcome:
        """Return a pipe with bytes to move on, at most about ``limit`` new ones.

        The pipe stays the endpoint's. Report with pipe_moved() what was moved
        on; the next call gives the same pipe as long as anything is in it.

        Returns:
            The pipe; or EMPTY, EOF; FULL, when nothing new fits in before the
            pipe has drained; COPY, when the next bytes have to be read().

        Raises:
            ConnectionLost: the connection was reset.
        """

    def pipe_moved(self, nbytes: int) -> None:
        """Bytes of the pipe were taken by the sink."""

    def write_pipe(self, pipe: Pipe, limit: int) -> int:
        """Take up to ``limit`` bytes of a pipe that nobody has promised yet.

        They have left the pipe, or are promised and leave it later; 0 means
        blocked: wait for on_writable. A limit of 0 only asks for the error.

        Raises:
            ConnectionLost: as write().
        """
