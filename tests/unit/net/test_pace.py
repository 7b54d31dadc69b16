from __future__ import annotations

import pytest

from frpd.net.pace import BUSY_SECONDS, Pace
from tests.helpers.clock import MockClock


@pytest.fixture
def clock() -> MockClock:
    return MockClock()


def come(pace: Pace, count: int) -> int:
    """Return how many of those who come are taken at once."""
    taken = 0
    while taken < count and not pace.wait_seconds():
        pace.take()
        taken += 1
    return taken


def test_a_crowd_is_taken_until_its_places_are_used_up(clock: MockClock) -> None:
    pace = Pace(clock.now, per_second=100, places=5)
    assert come(pace, 9) == 5
    assert pace.wait_seconds() == pytest.approx(0.01)


def test_places_come_back_by_themselves_and_not_above_what_there_is(clock: MockClock) -> None:
    pace = Pace(clock.now, per_second=100, places=5)
    come(pace, 5)
    clock.advance(0.025)
    assert come(pace, 9) == 2
    clock.advance(60)
    assert come(pace, 9) == 5


def test_who_waited_as_long_as_he_was_told_is_taken(clock: MockClock) -> None:
    pace = Pace(clock.now, per_second=3, places=1)
    for _ in range(100):
        assert come(pace, 9) == 1
        clock.advance(pace.wait_seconds() + 1e-9)


def test_who_proves_himself_has_taken_nobodys_place(clock: MockClock) -> None:
    pace = Pace(clock.now, per_second=100, places=2)
    for _ in range(50):
        assert come(pace, 2) == 2
        pace.give_back()
        pace.give_back()
    pace.give_back()
    assert come(pace, 9) == 2


def test_nobody_is_taken_while_those_before_are_too_much(clock: MockClock) -> None:
    pace = Pace(clock.now, per_second=100, places=2)
    pace.is_busy = lambda: True
    assert pace.wait_seconds() == BUSY_SECONDS
    pace.is_busy = lambda: False
    assert come(pace, 9) == 2
