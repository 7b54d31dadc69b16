"""Stranger: what a KCP peer is held to before it has logged in.

KCP has no handshake: whoever writes any address on a datagram is answered there. So a
stranger is sent at most three times what he sent, until he has shown that he receives it:
an acknowledgement repeats the timestamp of the segment, and where our clock of this
conversation began at random, only who was sent it can know it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from frpd.proto.buffer import Buffer
from frpd.proto.kcp.segment import ACK, HEADER, HEADER_BYTES, PUSH, body_offset

AMPLIFICATION: Final = 3
MAX_TAKEN_BYTES: Final = 64 * 1024
"""So much of a stranger's datagrams is taken: more than any login needs, less than a window."""


class Stranger:
    """One peer. What is not let through counts as lost, and KCP sends it again.

    Attributes:
        is_proven: it receives what we send.
    """

    __slots__ = ("_allowance", "_said", "_taken", "is_proven")

    def __init__(self) -> None:
        self.is_proven = False
        self._said: set[int] = set()
        self._allowance = self._taken = 0

    def may_enter(self, datagram: Buffer) -> bool:
        """Return whether to take what came from it."""
        if not self.is_proven:
            self.is_proven = any(at in self._said for at in _timestamps(datagram, ACK))
            self._allowance += AMPLIFICATION * len(datagram)
        self._taken += len(datagram)
        return self._taken <= MAX_TAKEN_BYTES

    def may_leave(self, datagrams: list[bytes]) -> list[bytes]:
        """Return those of what is for it that may be sent."""
        if self.is_proven:
            return datagrams
        for index, datagram in enumerate(datagrams):
            if len(datagram) > self._allowance:
                return datagrams[:index]
            self._allowance -= len(datagram)
            self._said.update(_timestamps(datagram, PUSH))
        return datagrams


def _timestamps(datagram: Buffer, wanted: int) -> Iterator[int]:
    offset = body_offset(datagram)
    while offset is not None and len(datagram) - offset >= HEADER_BYTES:
        _, command, _, _, timestamp, _, _, length = HEADER.unpack_from(datagram, offset)
        if command == wanted:
            yield timestamp
        offset += HEADER_BYTES + length
