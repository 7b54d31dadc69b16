"""HoleBook: so many holes at a time, and so many of one visitor."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from frpd.clock import unix_now
from frpd.errors import ProxyError
from frpd.server.nathole import holes
from frpd.server.nathole.holes import HoleBook
from tests.helpers.world import FixedEntropy


@dataclass(eq=False)
class Dug:
    sid: str
    visitor_key: str
    closed: int = 0

    def close(self) -> None:
        self.closed += 1


def dig(book: HoleBook[Dug], visitor: str) -> Dug:
    hole = Dug(book.new_sid(visitor), visitor)
    book.add(hole)
    return hole


def test_a_sid_is_the_time_and_sixteen_random_digits() -> None:
    book: HoleBook[Dug] = HoleBook(FixedEntropy())
    before = unix_now()
    one, other = dig(book, "v"), dig(book, "v")
    assert (one.sid[-16:], other.sid[-16:]) == (f"{1:016x}", f"{2:016x}")
    assert before <= int(one.sid[:-16]) <= unix_now()
    assert book.get(one.sid) is one
    assert book.get("") is None


def test_what_is_dropped_is_closed_and_forgotten_once() -> None:
    book: HoleBook[Dug] = HoleBook(FixedEntropy())
    one, other = dig(book, "v"), dig(book, "v")
    book.drop(one)
    book.drop(one)
    assert book.get(one.sid) is None
    assert len(book) == 1
    book.clear()
    assert (len(book), other.closed) == (0, 1)
    assert not book._by_visitor


@pytest.mark.parametrize("limit", ["MAX_HOLES", "MAX_PER_VISITOR"])
def test_there_are_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(holes, limit, 2)
    book: HoleBook[Dug] = HoleBook(FixedEntropy())
    first, _ = dig(book, "v"), dig(book, "v")
    with pytest.raises(ProxyError, match="too many hole punchings at a time"):
        dig(book, "v")
    if limit == "MAX_PER_VISITOR":
        dig(book, "w")
    book.drop(first)
    dig(book, "v")
    assert not book._by_visitor["nobody"]
