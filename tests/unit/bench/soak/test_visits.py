from __future__ import annotations

import pytest

from bench.soak.services import pattern
from bench.soak.visits import WrongBytesError, check


def test_patterns_are_their_seeds_own() -> None:
    for size in (0, 1, 1023, 2048, 5000):
        assert len(pattern(7, size)) == size
    assert pattern(7, 5000) == pattern(7, 5000)
    assert pattern(7, 5000) != pattern(8, 5000)
    assert pattern(7, 5000)[:2048] == pattern(7, 2048)


def test_less_than_all_is_a_cut_and_anything_else_is_wrong() -> None:
    check(b"abc", b"abc")
    with pytest.raises(ConnectionError, match="cut after 2 of 3 bytes"):
        check(b"abc", b"ab")
    for got in (b"abd", b"abcd", b"xb"):
        with pytest.raises(WrongBytesError):
            check(b"abc", got)
