"""splice(2) between sockets and pipes: the only place that calls it.

EAGAIN means two things. Into an empty pipe, the source is EMPTY. Into a pipe
that holds bytes, the pipe may be FULL: its capacity counts pages, so the byte
count cannot tell. The caller then stops reading until the pipe has drained.
"""

from __future__ import annotations

import os

from frpd.net.endpoint import Outcome
from frpd.net.pipes import Pipe

_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
_FLAGS_MORE = _FLAGS | os.SPLICE_F_MORE


def fill(fd: int, pipe: Pipe, limit: int) -> int | Outcome:
    """Move up to ``limit`` bytes from a socket into the pipe.

    Returns:
        The number of bytes, or EMPTY, FULL (maybe) or EOF.

    Raises:
        OSError: the connection was reset.
    """
    try:
        moved = os.splice(fd, pipe.write_fd, limit, flags=_FLAGS)
    except BlockingIOError:
        return Outcome.FULL if pipe.held else Outcome.EMPTY
    if not moved:
        return Outcome.EOF
    pipe.held += moved
    return moved


def drain(pipe: Pipe, fd: int, limit: int, *, more: bool = False) -> int:
    """Move up to ``limit`` bytes out of the pipe into a socket; 0 = the socket is full.

    Args:
        pipe: holds at least ``limit`` bytes.
        fd: the socket.
        limit: at most this many.
        more: further bytes follow at once, so a partial segment may wait.

    Raises:
        OSError: the peer is gone.
    """
    try:
        moved = os.splice(pipe.read_fd, fd, limit, flags=_FLAGS_MORE if more else _FLAGS)
    except BlockingIOError:
        return 0
    pipe.held -= moved
    return moved
