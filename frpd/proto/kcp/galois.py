"""Arithmetic in GF(256), polynomial 0x11d, on whole shards.

A product is ``bytes.translate`` with a table of the factor, a sum is the
exclusive or of shards taken as integers: both run in C.
"""

from __future__ import annotations

from functools import cache
from typing import Final

_POLYNOMIAL: Final = 0x11D

PARITY_ROWS: Final = (
    bytes.fromhex("8196afb8d2c4fee80302"),
    bytes.fromhex("9681b8afc4d2e8fe0203"),
    bytes.fromhex("bfd6620a066fdfb70504"),
)
"""What each data shard counts in each parity shard.

The last rows of the 13 x 10 Vandermonde matrix (row to the power of column)
times the inverse of its first ten.
"""


def multiply(one: int, other: int) -> int:
    """Return the product of two elements."""
    product = 0
    while other:
        if other & 1:
            product ^= one
        one <<= 1
        if one & 0x100:
            one ^= _POLYNOMIAL
        other >>= 1
    return product


@cache
def table(factor: int) -> bytes:
    """Return the products of ``factor`` with every element, for ``bytes.translate``."""
    return bytes(multiply(factor, element) for element in range(256))


def parity_of(shards: list[bytes]) -> list[bytes]:
    """Return the three parity shards of ten data shards, each as long as the longest.

    The rows have a structure (columns go in pairs and fours that differ by
    few bits), so eleven products do instead of thirty: see the test, which
    has them out of the matrix.
    """
    read = int.from_bytes
    nbytes = max(map(len, shards))
    s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 = [read(shard, "little") for shard in shards]
    pair_0, pair_2, pair_8 = s0 ^ s1, s2 ^ s3, s8 ^ s9
    pair_4 = s4 ^ s5
    first_four = pair_0 ^ pair_2
    eight = first_four ^ pair_4 ^ s6 ^ s7
    all_eight = eight.to_bytes(nbytes, "little")
    fours = first_four.to_bytes(nbytes, "little")
    outer = (pair_0 ^ pair_4).to_bytes(nbytes, "little")
    edge = (pair_2 ^ pair_8).to_bytes(nbytes, "little")
    odd = (s1 ^ s3 ^ s5 ^ s7).to_bytes(nbytes, "little")

    def times(shard: bytes, factor: int) -> int:
        return read(shard.translate(table(factor)), "little")

    # Shares of the rows that cost no product.
    plain_0 = s1 ^ s3 ^ pair_8 ^ s9
    first = (
        times(all_eight, 0xFE)
        ^ times(fours, 0x53)
        ^ times(outer, 0x2C)
        ^ times(edge, 0x02)
        ^ times(odd, 0x16)
        ^ plain_0
    )
    second = first ^ times(all_eight, 0x16) ^ first_four ^ pair_8
    third = (
        times(all_eight, 0xDF)
        ^ times(fours, 0xB9)
        ^ times(outer, 0xD9)
        ^ times(edge, 0x04)
        ^ times(odd, 0x68)
        ^ s1
        ^ s5
        ^ pair_8
        ^ s9
    )
    return [row.to_bytes(nbytes, "little") for row in (first, second, third)]
