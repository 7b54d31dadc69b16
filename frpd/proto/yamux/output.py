"""The bytes a session wants on the wire, in order, and who waits for room.

Frames are appended to one growing buffer, so that what a loop turn produced
leaves in few system calls. A buffer that was handed out or has grown large is
frozen and the next one starts: appending to a large bytearray moves all of it
time and again.

A frame may be announced without its payload: the header ends a buffer and a
PayloadDue stands behind it, so nothing can come between the two. It is started
when the buffer with its header was handed out, and then it stays: handed-out
bytes never change. Until then it can be withdrawn, header and all.

Two marks bound the queue. Streams that met a full queue wait in line; when it
has drained below the low mark all of them are woken: first those that got
nothing last time, then those that got a part, each entitled to an equal share.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from frpd.errors import LocalProtocolError
from frpd.proto.yamux.frames import DATA, HEADER, HEADER_BYTES
from frpd.proto.yamux.payload import PayloadDue

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
        "_handed_out",
        "_high",
        "_line",
        "_low",
        "_queued_then",
        "_replies",
        "_tail",
        "_tail_replies",
        "queued",
        "share",
    )

    def __init__(self, high_water_bytes: int) -> None:
        self.queued = 0
        """Bytes not yet reported as sent, reserved ones included."""
        self.share = high_water_bytes
        """What one stream may append at a time."""
        self._high = high_water_bytes
        self._low = high_water_bytes // LOW_MARK_DIVISOR
        self._tail = bytearray()
        self._frozen: deque[memoryview | PayloadDue] = deque()
        self._handed_out = False  # the first of the frozen segments was
        self._replies = 0
        self._tail_replies = 0
        self._frozen_replies: deque[int] = deque()
        self._line: dict[int, None] = {}
        self._behind: dict[int, None] = {}
        self._queued_then = 0  # when _wake was called last

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

    def reserve(self, due: PayloadDue) -> None:
        """Append a data frame whose payload comes from elsewhere when its turn comes."""
        self._tail += _pack(DATA, 0, due.stream_id, due.remaining)
        self._freeze_tail()
        self._frozen.append(due)
        self._frozen_replies.append(0)
        self.queued += due.remaining + HEADER_BYTES

    def withdraw(self, mark: object) -> tuple[int, list[int]]:
        """Take back the reserved frames with this mark that were not started.

        Returns:
            The payload bytes taken back, and the streams that now have room.
        """
        started = 2 if self._handed_out else 1
        dues = [
            index
            for index, segment in enumerate(self._frozen)
            if type(segment) is PayloadDue and segment.mark is mark and index >= started
        ]
        withdrawn = sum(self._take_back(index) for index in reversed(dues))
        if not dues:
            return 0, []
        nbytes = withdrawn + HEADER_BYTES * len(dues)
        self.queued -= nbytes
        return withdrawn, self._wake(nbytes) if self.queued <= self._low else []

    def _take_back(self, index: int) -> int:
        """Remove one due and the header before it; return the payload's length."""
        nbytes = len(self._frozen[index])
        del self._frozen[index], self._frozen_replies[index]
        before = self._frozen[index - 1]
        assert isinstance(before, memoryview)
        if len(before) > HEADER_BYTES:
            self._frozen[index - 1] = before[:-HEADER_BYTES]
        else:
            del self._frozen[index - 1], self._frozen_replies[index - 1]
        return nbytes

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
        if self._line or self._behind:
            self._line.pop(stream_id, None)
            self._behind.pop(stream_id, None)

    # -- leaving ---------------------------------------------------------------

    def next_segment(self) -> memoryview | PayloadDue | None:
        """Return the wire's next bytes, the same until they are reported as sent."""
        frozen = self._frozen
        if not frozen:
            if not self._tail:
                return None
            self._freeze_tail()
        self._handed_out = True
        return frozen[0]

    @property
    def more_follows(self) -> bool:
        """Whether anything stands behind the first segment."""
        return len(self._frozen) > 1 or bool(self._tail)

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
        head = frozen[0]
        if nbytes == len(head):
            frozen.popleft()
            self._replies -= self._frozen_replies.popleft()
            self._handed_out = False
        elif type(head) is memoryview:
            frozen[0] = head[nbytes:]
        if type(head) is PayloadDue:
            head.remaining -= nbytes
        self.queued -= nbytes
        if self.queued <= self._low and (self._line or self._behind or self.share < self._high):
            return self._wake(nbytes)
        return []

    def _wake(self, nbytes: int) -> list[int]:
        """Empty the line and set the share, after ``nbytes`` have left."""
        behind = self._behind
        ready = list(self._line)
        ready += [stream_id for stream_id in behind if stream_id not in self._line]
        had_their_turn = self.queued + nbytes != self._queued_then
        self._queued_then = self.queued
        if ready or had_their_turn:  # those woken last have a right to the share set then
            self._line.clear()
            behind.clear()
            room = self._high - self.queued
            several = len(ready) > 1
            self.share = max(room // len(ready), MIN_SHARE_BYTES) if several else self._high
        return ready
