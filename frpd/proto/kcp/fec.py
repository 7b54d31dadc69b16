"""Error correction: parity behind every ten datagrams that we send, and its use.

Source: the framing of xtaci/kcp-go with 10 data and 3 parity shards.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from frpd.proto.kcp.galois import parity_of, recover
from frpd.proto.kcp.segment import CODED_FROM, DATA_SHARD, FEC_HEADER, PARITY_SHARD

DATA_SHARDS: Final = 10
PARITY_SHARDS: Final = 3
GROUP_SHARDS: Final = DATA_SHARDS + PARITY_SHARDS
NUMBERS: Final = 0xFFFFFFFF // GROUP_SHARDS * GROUP_SHARDS
"""Sequence numbers wrap here, at the end of a group."""
REMEMBERED: Final = 64
"""Datagrams that a reader keeps: four groups and a half."""
MAX_OPEN_GROUPS: Final = 4

_PARITY_HEADER = Struct("<IH")  # what would be the size is coded as well


class FecWriter:
    """Puts the head ahead of bodies and parity behind groups of them.

    Args:
        sends_parity: may be changed at any time; without it, its numbers are left out.
    """

    __slots__ = ("_number", "_shards", "sends_parity")

    def __init__(self, *, sends_parity: bool) -> None:
        self._number = 0
        self.sends_parity = sends_parity
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
            if self.sends_parity:
                coded = parity_of([shard[CODED_FROM:] for shard in shards])
                datagrams += [
                    _PARITY_HEADER.pack(row, PARITY_SHARD) + shard
                    for row, shard in enumerate(coded, number + 1)
                ]
            shards.clear()
            self._number = (number + 1 + PARITY_SHARDS) % NUMBERS


class FecReader:
    """Recovers datagrams that were lost from parity.

    What is remembered is the last ``REMEMBERED`` datagrams. Where a group
    begins is told by the kinds: libraries of 2023 and later leave parity out
    and number on, so the number alone does not say it.
    """

    __slots__ = ("_last", "_last_kind", "_numbers", "_open", "_phase", "_run", "_shards")

    def __init__(self) -> None:
        self._numbers = [-1] * REMEMBERED
        self._shards = [b""] * REMEMBERED
        self._last = -1
        self._last_kind = DATA_SHARD
        self._run = 0  # how many came one after the other, up to the last
        self._phase = 0  # groups begin at this number modulo 13
        self._open: dict[int, None] = {}  # beginnings of groups that want more shards

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take a datagram with a head; return the bodies that it let us recover."""
        number, kind, _ = FEC_HEADER.unpack_from(datagram)
        slot = number % REMEMBERED
        if self._numbers[slot] == number:
            return []
        self._numbers[slot] = number
        self._shards[slot] = datagram
        last_kind = self._last_kind
        self._last_kind = kind
        self._run = self._run + 1 if number == self._last + 1 else 1
        self._last = number
        if kind == PARITY_SHARD:
            if self._run > 1 and last_kind == DATA_SHARD:
                self._phase = (number - DATA_SHARDS) % GROUP_SHARDS
            if self._run >= GROUP_SHARDS:
                return []  # nothing was lost
            return self._recover(self._beginning(number))
        if self._open:
            for begin in list(self._open):
                if (number - begin) % NUMBERS < DATA_SHARDS:
                    return self._recover(begin)
        return []

    def _shard(self, number: int) -> bytes | None:
        slot = number % REMEMBERED
        return self._shards[slot] if self._numbers[slot] == number else None

    def _beginning(self, parity: int) -> int:
        """Return where the group of a parity shard begins, as far as can be said."""
        for row in range(PARITY_SHARDS):
            before = self._shard((parity - row - 1) % NUMBERS)
            if before is None:
                break
            if before[4] == DATA_SHARD:
                self._phase = (parity - row - DATA_SHARDS) % GROUP_SHARDS
                break
        return (parity - (parity - self._phase) % GROUP_SHARDS) % NUMBERS

    def _recover(self, begin: int) -> list[bytes]:
        self._open.pop(begin, None)
        data: dict[int, bytes] = {}
        parity: dict[int, bytes] = {}
        for index in range(GROUP_SHARDS):
            shard = self._shard((begin + index) % NUMBERS)
            if shard is None:
                continue
            if shard[4] != (DATA_SHARD if index < DATA_SHARDS else PARITY_SHARD):
                return []  # not a group
            if index < DATA_SHARDS:
                data[index] = shard[CODED_FROM:]
            else:
                parity[index - DATA_SHARDS] = shard[CODED_FROM:]
        if len(data) == DATA_SHARDS:
            return []
        if len(data) + len(parity) < DATA_SHARDS:
            self._leave_open(begin)
            return []
        lengths = set(map(len, parity.values()))
        if len(lengths) != 1 or max(map(len, data.values())) > max(lengths):
            return []
        return self._keep(begin, recover(data, parity))

    def _leave_open(self, begin: int) -> None:
        self._open[begin] = None
        if len(self._open) > MAX_OPEN_GROUPS:
            del self._open[next(iter(self._open))]

    def _keep(self, begin: int, recovered: dict[int, bytes]) -> list[bytes]:
        """Return the bodies of what looks sound, and count it as received."""
        bodies = []
        for index, shard in recovered.items():
            size = int.from_bytes(shard[:2], "little")
            if not 2 < size <= len(shard) or any(shard[size:]):
                continue
            number = (begin + index) % NUMBERS
            slot = number % REMEMBERED
            self._numbers[slot] = number
            self._shards[slot] = FEC_HEADER.pack(number, DATA_SHARD, size) + shard[2:size]
            bodies.append(shard[2:size])
        return bodies
