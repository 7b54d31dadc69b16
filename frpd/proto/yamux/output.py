"""The bytes a session wants on the wire, in order, and who waits for room.

Frames are appended to one growing buffer, so that what a loop turn produced
leaves in few system calls. A buffer that was handed out or has grown large is
frozen and the next one starts: appending to a large bytearray moves all of it
time and again. (Spliced payload will stand between two frozen buffers.)

Two marks bound the queue. Streams that met a full queue wait in line; when it
has drained below the low mark all of them are woken: first those that got
nothing last time, then those that got a part, each entitled to an equal share.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from frpd.errors import LocalProtocolError
from frpd.proto.yamux.frames import DATA, HEADER, HEADER_BYTES

if TYPE_CHECKING:
    from frpd.proto.buffer import Buffer

MAX_QUEUED_REPLIES: Final = 4096
"""Frames a peer may provoke (acknowledgements, ping answers, refusals) without
reading any; honest peers have at most 256 opens and a ping on their way."""
SMALL_WRITE_BYTES: Final = 2048
SMALL_WRITE_RESERVE_BYTES: Final = 65536
"""Small writes may exceed the high mark by this: a keystroke never waits for bulk."""
MIN_SHARE_BYTES: Final = 16384
LOW_MARK_DIVISOR: Final = 4
SEGMENT_BYTES: Final = 65536
"""A segment that reaches this is closed; see bench/yamux.py."""

_pack = HEADER.pack


class OutputQueue:
    """Ordered segments with watermarks.

    Args:
        high_water_bytes: payload is refused while more than this is queued.
    """

    __slots__ = (
        "_behind",
        "_frozen",
        "_frozen_replies",
        "_high",
        "_line",
        "_low",
        "_replies",
        "_tail",
        "_tail_replies",
        "queued",
        "share",
    )

    def __init__(self, high_water_bytes: int) -> None:
        self.queued = 0
        """Bytes not yet reported as sent."""
        self.share = high_water_bytes
        """What one stream may append at a time."""
        self._high = high_water_bytes
        self._low = high_water_bytes // LOW_MARK_DIVISOR
        self._tail = bytearray()
        self._frozen: deque[memoryview] = deque()
        self._replies = 0
        self._tail_replies = 0
        self._frozen_replies: deque[int] = deque()
        self._line: dict[int, None] = {}
        self._behind: dict[int, None] = {}

    # -- appending -------------------------------------------------------------

    def control(self, kind: int, flags: int, stream_id: int, value: int) -> None:
        """Append a frame without payload that we send on our own account."""
        self._tail += _pack(kind, flags, stream_id, value)
        self.queued += HEADER_BYTES

    def reply(self, kind: int, flags: int, stream_id: int, value: int) -> bool:
        """Append a frame without payload that the peer provoked.

        False, and nothing appended: the peer provokes answers and reads none.
        """
        if self._replies >= MAX_QUEUED_REPLIES:
            return False
        self._replies += 1
        self._tail_replies += 1
        self.control(kind, flags, stream_id, value)
        return True

    def data(self, stream_id: int, payload: Buffer, nbytes: int) -> None:
        """Append a data frame; ``nbytes`` is the length of ``payload``."""
        tail = self._tail
        tail += _pack(DATA, 0, stream_id, nbytes)
        tail += payload
        self.queued += nbytes + HEADER_BYTES
        if len(tail) >= SEGMENT_BYTES:
            self._freeze_tail()

    # -- room ------------------------------------------------------------------

    def fits(self, nbytes: int) -> bool:
        """Return whether a stream may append ``nbytes`` at once."""
        return nbytes <= self.share and self.queued + nbytes <= self._high

    def room_for(self, nbytes: int) -> int:
        """Return how much of ``nbytes`` a stream may append, 0 if it must wait."""
        room = self._high - self.queued
        if nbytes <= SMALL_WRITE_BYTES:
            return nbytes if nbytes <= room + SMALL_WRITE_RESERVE_BYTES else 0
        room = min(room, self.share)
        return 0 if room < SMALL_WRITE_BYTES else min(room, nbytes)

    def wait(self, stream_id: int, *, got_part: bool) -> None:
        """Put a stream in line; who got a part stands behind who got nothing."""
        if got_part:
            self._behind[stream_id] = None
        else:
            self._line[stream_id] = None

    def leave(self, stream_id: int) -> None:
        """Take a stream out of the line, if it stands there."""
        self._line.pop(stream_id, None)
        self._behind.pop(stream_id, None)

    # -- leaving ---------------------------------------------------------------

    def next_segment(self) -> memoryview | None:
        """Return the wire's next bytes, the same until they are reported as sent."""
        frozen = self._frozen
        if not frozen:
            if not self._tail:
                return None
            self._freeze_tail()
        return frozen[0]

    def _freeze_tail(self) -> None:
        self._frozen.append(memoryview(self._tail))
        self._frozen_replies.append(self._tail_replies)
        self._tail = bytearray()
        self._tail_replies = 0

    def sent(self, nbytes: int) -> list[int]:
        """Drop sent bytes; return the streams that now have room, in their order.

        Raises:
            LocalProtocolError: more than the handed-out segment held.
        """
        frozen = self._frozen
        if not frozen or nbytes > len(frozen[0]):
            raise LocalProtocolError(f"{nbytes} bytes sent that were not handed out")
        if nbytes == len(frozen[0]):
            frozen.popleft()
            self._replies -= self._frozen_replies.popleft()
        else:
            frozen[0] = frozen[0][nbytes:]
        self.queued -= nbytes
        if self.queued <= self._low and (self._line or self._behind or self.share < self._high):
            return self._wake()
        return []

    def _wake(self) -> list[int]:
        behind = self._behind
        ready = list(self._line)
        ready += [stream_id for stream_id in behind if stream_id not in self._line]
        self._line.clear()
        behind.clear()
        room = self._high - self.queued
        self.share = max(room // len(ready), MIN_SHARE_BYTES) if len(ready) > 1 else self._high
        return ready
