"""Cheap changes of inputs, for runs without coverage."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

_ODD_BYTES: Final = b"\0\x01\x7f\x80\xff\r\n \"'%.,:;=[]{}"
_MOST_CHANGES: Final = 4
_MOST_COPIED: Final = 64


def mutate(inputs: Sequence[bytes], random: Random, max_bytes: int) -> bytes:
    """Return one of the inputs with a few changes, some of them out of the others."""
    data = bytearray(random.choice(inputs))
    for _ in range(random.randint(1, _MOST_CHANGES)):
        _change(data, random, random.choice(inputs))
    return bytes(data[:max_bytes])


def _change(data: bytearray, random: Random, other: bytes) -> None:
    at = random.randrange(len(data) + 1)
    size = random.randint(1, _MOST_COPIED)
    what = random.randrange(6)
    if what == 0:
        data[at : at + 1] = bytes((random.choice(_ODD_BYTES),))
    elif what == 1:
        data[at : at + 1] = bytes((random.randrange(256),))
    elif what == 2:
        del data[at : at + size]
    elif what == 3:
        data[at:at] = data[at : at + size]
    elif what == 4:
        start = random.randrange(len(other) + 1)
        data[at : at + size] = other[start : start + size]
    elif at < len(data):
        data[at] ^= 1 << random.randrange(8)
