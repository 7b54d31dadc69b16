"""Echo: proof that whoever speaks KCP from an address also receives there.

KCP has no handshake. But an acknowledgement repeats the timestamp of the segment, and if
our clock of this conversation began at random, only who was sent it can know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from frpd.proto.buffer import Buffer
from frpd.proto.kcp.segment import ACK, HEADER, HEADER_BYTES, PUSH, body_offset


class Echo:
    """What was said to a stranger; heard() tells whether it came back."""

    __slots__ = ("_said",)

    def __init__(self) -> None:
        self._said: set[int] = set()

    def said(self, datagrams: Iterable[Buffer]) -> None:
        """Remember the timestamps that these bring."""
        for datagram in datagrams:
            self._said.update(_timestamps(datagram, PUSH))

    def heard(self, datagram: Buffer) -> bool:
        """Return whether this acknowledges something that was said."""
        said = self._said
        return any(timestamp in said for timestamp in _timestamps(datagram, ACK))


def _timestamps(datagram: Buffer, wanted: int) -> Iterator[int]:
    offset = body_offset(datagram)
    while offset is not None and len(datagram) - offset >= HEADER_BYTES:
        _, command, _, _, timestamp, _, _, length = HEADER.unpack_from(datagram, offset)
        if command == wanted:
            yield timestamp
        offset += HEADER_BYTES + length
