"""ScoreBook: what has worked is tried first, and no book grows without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.server.nathole import scores
from frpd.server.nathole.behaviours import Choice
from frpd.server.nathole.classify import classify
from frpd.server.nathole.scores import MAX_SCORE, ScoreBook, Way

EASY = classify(["1.1.1.1:5", "1.1.1.1:5"], [])
HARD = classify(["1.1.1.1:5", "1.1.1.1:6"], [])
HOURS = 3600.0


def way(owner_ip: str = "1.1.1.1", visitor_ip: str = "2.2.2.2") -> Way:
    return Way(owner_ip, EASY, visitor_ip, EASY)


def test_what_fails_gives_way_to_the_next_and_comes_again() -> None:
    book = ScoreBook(HOURS)
    first = [book.choose(way(), 0.0) for _ in range(10)]
    assert first == [(0, index) for index in range(10)]
    assert book.choose(way(), 0.0) == (0, 0)


def test_what_has_worked_is_tried_first() -> None:
    book = ScoreBook(HOURS)
    assert [book.choose(way(), 0.0) for _ in range(3)] == [(0, 0), (0, 1), (0, 2)]
    book.success(way(), (0, 2), 0.0)
    assert [book.choose(way(), 0.0) for _ in range(3)] == [(0, 2), (0, 2), (0, 3)]


def test_a_score_has_a_ceiling() -> None:
    book = ScoreBook(HOURS)
    choice = book.choose(way(), 0.0)
    for _ in range(50):
        book.success(way(), choice, 0.0)
    chosen = [book.choose(way(), 0.0) for _ in range(MAX_SCORE + 1)]
    assert chosen == [choice] * MAX_SCORE + [(0, 0)]
    assert book.choose(way(), 0.0) == (0, 1)


def test_each_pair_of_networks_has_its_own_scores() -> None:
    book = ScoreBook(HOURS)
    assert book.choose(way(), 0.0) == (0, 0)
    assert book.choose(way("2.2.2.2", "1.1.1.1"), 0.0) == (0, 0)
    assert book.choose(Way("1.1.1.1", EASY, "2.2.2.2", HARD), 0.0) == (1, 0)
    assert book.choose(way(), 0.0) == (0, 1)
    assert len(book) == 3


def test_a_record_is_forgotten_some_time_after_its_last_use() -> None:
    book = ScoreBook(HOURS)
    book.choose(way(), 0.0)
    book.choose(way("3.3.3.3"), 1.0)
    book.success(way(), (0, 0), HOURS)  # this keeps it
    assert book.choose(way("4.4.4.4"), HOURS + 1.5) == (0, 0)
    assert len(book) == 2
    assert book.choose(way("3.3.3.3"), HOURS + 1.5) == (0, 0)
    # The first has a point more than the others, so it is tried twice.
    assert [book.choose(way(), 2 * HOURS) for _ in range(3)] == [(0, 0), (0, 0), (0, 1)]


def test_a_success_of_a_forgotten_way_or_an_unknown_choice_is_nothing() -> None:
    book = ScoreBook(HOURS)
    book.success(way(), (0, 0), 0.0)
    assert len(book) == 0
    book.choose(way(), 0.0)
    book.success(way(), (4, 0), 0.0)
    assert book.choose(way(), 0.0) == (0, 1)


def test_the_oldest_record_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "MAX_RECORDS", 2)
    book = ScoreBook(HOURS)
    for owner in ("1.1.1.1", "2.2.2.2", "1.1.1.1", "3.3.3.3"):
        book.choose(way(owner), 0.0)
    assert len(book) == 2
    assert book.choose(way("1.1.1.1"), 0.0) == (0, 2)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60))
def test_whatever_is_reported_something_is_chosen(steps: list[tuple[bool, int]]) -> None:
    book = ScoreBook(HOURS)
    last: Choice = (0, 0)
    for now, (works, owner) in enumerate(steps):
        one = way(f"1.1.1.{owner}")
        if works:
            book.success(one, last, float(now))
        last = book.choose(one, float(now))
        assert last in [(0, index) for index in range(10)]
        assert len(book) <= 4
