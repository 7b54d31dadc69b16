"""Tests of server.guard.rates."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.server.guard import rates
from frpd.server.guard.rates import SourceRates


def test_a_second_s_worth_may_come_at_once_and_then_at_the_rate() -> None:
    source = SourceRates(5.0)
    assert [source.admits("a", 100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert source.admits("a", 100.2)
    assert not source.admits("a", 100.2)
    assert [source.admits("a", 200.0) for _ in range(6)] == [True] * 5 + [False]


def test_sources_do_not_share() -> None:
    source = SourceRates(1.0)
    assert source.admits("a", 0.0)
    assert source.admits("b", 0.0)
    assert not source.admits("a", 0.5)


def test_less_than_one_a_second_is_one_every_few_seconds() -> None:
    source = SourceRates(0.5)
    assert [source.admits("a", now) for now in (0.0, 1.0, 2.0, 3.9, 4.0)] == [
        True, False, True, False, True,
    ]  # fmt: skip


def test_0_is_no_limit_and_another_rate_counts_at_once() -> None:
    source = SourceRates()
    assert all(source.admits("a", 0.0) for _ in range(999))
    source.use(1.0)
    assert source.is_on
    assert [source.admits("a", 0.0) for _ in range(2)] == [True, False]


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_SOURCES", 2)
    source = SourceRates(1.0)
    for name in "abc":
        assert source.admits(name, 0.0)
    assert not source.admits("b", 0.0)  # as yet remembered
    for name in "de":
        assert source.admits(name, 0.0)
    assert source.admits("a", 0.0)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 20))
def test_never_more_come_than_the_rate_allows(pauses: list[int], per_second: int) -> None:
    source, now, taken = SourceRates(per_second), 0.0, []
    for pause in pauses:
        now += pause / 1000
        if source.admits("a", now):
            taken.append(now)
    for number, begin in enumerate(taken):
        for end in taken[number:]:
            count = sum(begin <= one <= end for one in taken)
            assert count <= per_second * (1 + end - begin) + 0.01
