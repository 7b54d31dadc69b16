"""frpd.admin.lock_out: how long who guesses has to wait."""

from __future__ import annotations

import pytest

from frpd.admin.lock_out import (
    FIRST_LOCK_SECONDS,
    FORGET_SECONDS,
    LONGEST_LOCK_SECONDS,
    MAX_FAILURES,
    MAX_SOURCES,
    WINDOW_SECONDS,
    LockOut,
)

WHO = "192.0.2.7"


class Case:
    """A LockOut and its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lock_out = LockOut(lambda: self.now)

    def fail(self, times: int, address: str = WHO) -> float:
        return [self.lock_out.failed(address) for _ in range(times)][-1]

    def left(self, address: str = WHO) -> float:
        return self.lock_out.seconds_left(address)


@pytest.fixture
def case() -> Case:
    return Case()


def test_some_mistakes_are_free(case: Case) -> None:
    assert case.fail(MAX_FAILURES - 1) == 0.0
    assert case.left() == 0.0
    case.now += WINDOW_SECONDS
    assert case.fail(MAX_FAILURES - 1) == 0.0


def test_too_many_of_them_lock_one_address_for_a_while(case: Case) -> None:
    assert case.fail(MAX_FAILURES) == FIRST_LOCK_SECONDS
    case.now += 20.0
    assert case.left() == FIRST_LOCK_SECONDS - 20.0
    assert case.left("192.0.2.8") == 0.0
    case.now += FIRST_LOCK_SECONDS - 20.0
    assert case.left() == 0.0


def test_locks_grow_up_to_a_limit(case: Case) -> None:
    seconds = []
    for _ in range(6):
        seconds.append(case.fail(MAX_FAILURES))
        case.now += seconds[-1]
    assert seconds == [60.0, 120.0, 240.0, 480.0, LONGEST_LOCK_SECONDS, LONGEST_LOCK_SECONDS]


def test_who_waits_long_begins_anew(case: Case) -> None:
    case.fail(MAX_FAILURES)
    case.now += FORGET_SECONDS
    assert case.fail(MAX_FAILURES) == FIRST_LOCK_SECONDS


def test_the_table_is_bounded(case: Case) -> None:
    case.fail(MAX_FAILURES)
    for index in range(MAX_SOURCES):
        assert case.left() > 0.0
        case.fail(1, f"10.0.{index >> 8}.{index & 255}")
    assert case.left() == 0.0


def test_a_network_of_ipv6_is_one_source(case: Case) -> None:
    for index in range(MAX_FAILURES):
        case.fail(1, f"2001:db8::{index}")
    assert case.left("2001:db8::ffff%eth0") > 0.0
    assert case.left("2001:db8:0:1::1") == 0.0
    assert case.left("::ffff:192.0.2.1") == 0.0
    case.fail(MAX_FAILURES, "a:strange name")
    assert case.left("a:strange name") > 0.0
