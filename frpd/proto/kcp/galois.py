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


def recover(data: dict[int, bytes], parity: dict[int, bytes]) -> dict[int, bytes]:
    """Return the data shards that are missing, as long as a parity shard.

    Args:
        data: those at hand, by column; none longer than a parity shard.
        parity: as many as data shards are missing, or more, by row.
    """
    missing = [column for column in range(len(PARITY_ROWS[0])) if column not in data]
    rows = sorted(parity)[: len(missing)]
    nbytes = len(parity[rows[0]])
    sums = []  # of the missing shards' products
    for row in rows:
        total = int.from_bytes(parity[row], "little")
        for column, shard in data.items():
            product = shard.translate(table(PARITY_ROWS[row][column]))
            total ^= int.from_bytes(product, "little")
        sums.append(total.to_bytes(nbytes, "little"))
    inverse = _inverse([[PARITY_ROWS[row][column] for column in missing] for row in rows])
    found = {}
    for column, factors in zip(missing, inverse, strict=True):
        total = 0
        for factor, known in zip(factors, sums, strict=True):
            total ^= int.from_bytes(known.translate(table(factor)), "little")
        found[column] = total.to_bytes(nbytes, "little")
    return found


def _inverse(matrix: list[list[int]]) -> list[list[int]]:
    """Invert a square part of PARITY_ROWS, all of which are regular, by Gauss and Jordan."""
    size = len(matrix)
    wide = [row + [int(one == index) for one in range(size)] for index, row in enumerate(matrix)]
    for index in range(size):
        pivot = next(row for row in range(index, size) if wide[row][index])
        wide[index], wide[pivot] = wide[pivot], wide[index]
        factor = _reciprocal(wide[index][index])
        wide[index] = [multiply(factor, element) for element in wide[index]]
        for other in range(size):
            if other != index:
                factor = wide[other][index]
                wide[other] = [
                    mine ^ multiply(factor, its)
                    for mine, its in zip(wide[other], wide[index], strict=True)
                ]
    return [row[size:] for row in wide]


def _reciprocal(element: int) -> int:
    return table(element).index(1)
