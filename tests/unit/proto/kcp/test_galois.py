"""Products, parity and what it recovers."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.proto.kcp.galois import PARITY_ROWS, _inverse, multiply, parity_of, recover, table

Shards = st.lists(st.binary(min_size=1, max_size=40), min_size=10, max_size=10)


def power(base: int, exponent: int) -> int:
    product = 1
    for _ in range(exponent):
        product = multiply(product, base)
    return product


def product_of(row: list[int], column: list[int]) -> int:
    total = 0
    for one, other in zip(row, column, strict=True):
        total ^= multiply(one, other)
    return total


def test_the_rows_are_the_systematic_vandermonde_matrix() -> None:
    vandermonde = [[power(row, column) for column in range(10)] for row in range(13)]
    inverse = _inverse(vandermonde[:10])
    columns = [list(column) for column in zip(*inverse, strict=True)]
    rows = [bytes(product_of(row, column) for column in columns) for row in vandermonde[10:]]
    assert tuple(rows) == PARITY_ROWS


def test_a_table_holds_the_products_of_its_factor() -> None:
    assert table(0) == bytes(256)
    assert table(1) == bytes(range(256))
    assert table(2)[0x80] == 0x1D
    assert table(0x16)[0x35] == multiply(0x35, 0x16)


@given(Shards)
def test_parity_is_the_sum_of_products(shards: list[bytes]) -> None:
    longest = max(map(len, shards))
    padded = [shard.ljust(longest, b"\0") for shard in shards]
    expected = [
        bytes(product_of(list(row), list(column)) for column in zip(*padded, strict=True))
        for row in PARITY_ROWS
    ]
    assert parity_of(shards) == expected


@settings(max_examples=3)
@given(Shards)
def test_any_three_of_thirteen_may_be_lost(shards: list[bytes]) -> None:
    parity = parity_of(shards)
    for lost in combinations(range(13), 3):
        data = {index: shard for index, shard in enumerate(shards) if index not in lost}
        rows = {row: shard for row, shard in enumerate(parity) if row + 10 not in lost}
        if len(data) == 10:
            continue
        for index, shard in recover(data, rows).items():
            assert shard == shards[index].ljust(len(parity[0]), b"\0")
