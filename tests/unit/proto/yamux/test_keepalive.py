from __future__ import annotations

import pytest

from frpd.proto.yamux.frames import MAX_UINT32
from frpd.proto.yamux.keepalive import Keepalive


def test_a_ping_goes_out_every_interval_with_a_counter() -> None:
    keepalive = Keepalive(30.0, 100.0)
    assert keepalive.next_deadline(100.0) == 130.0
    assert keepalive.next_ping(129.0) is None
    assert keepalive.next_ping(130.0) == 0
    assert keepalive.receive_answer(0, 130.5) == pytest.approx(0.5)
    assert keepalive.next_deadline(130.5) == 160.0
    assert keepalive.next_ping(161.0) == 1


def test_there_is_one_ping_on_its_way_at_most() -> None:
    keepalive = Keepalive(5.0, 0.0)
    assert keepalive.next_ping(5.0) == 0
    assert keepalive.next_ping(10.0) is None


@pytest.mark.parametrize("interval", [1.0, 5.0, 10.0, 30.0])
def test_an_answer_never_brings_the_deadline_forward(interval: float) -> None:
    """Whoever has set a timer need not look at it again when input comes."""
    keepalive, now = Keepalive(interval, 0.0), 0.0
    for value in range(5):
        deadline = keepalive.next_deadline(now)
        assert deadline is not None
        now = deadline
        assert keepalive.next_ping(now) == value
        timer = keepalive.next_deadline(now)
        assert timer == now + min(interval, 10.0)
        keepalive.receive_answer(value, now + 0.1)
        after = keepalive.next_deadline(now + 0.1)
        assert after is not None
        assert after >= timer


def test_an_answer_that_takes_longer_than_the_interval_delays_the_next_ping() -> None:
    keepalive = Keepalive(1.0, 0.0)
    assert keepalive.next_ping(1.0) == 0
    assert keepalive.next_deadline(0.0) == 2.0
    assert keepalive.next_ping(2.0) is None
    assert keepalive.next_deadline(0.0) == 3.0
    assert keepalive.receive_answer(0, 2.5) == pytest.approx(1.5)
    assert keepalive.next_deadline(2.5) == 3.0
    assert keepalive.next_ping(3.0) == 1


def test_ten_silent_seconds_after_a_ping_are_a_death() -> None:
    keepalive = Keepalive(30.0, 0.0)
    assert not keepalive.is_overdue(1000.0, 0.0)
    assert keepalive.next_ping(30.0) == 0
    assert keepalive.next_deadline(0.0) == 40.0
    assert not keepalive.is_overdue(39.9, 0.0)
    assert keepalive.is_overdue(40.0, 0.0)


def test_any_input_after_the_ping_is_a_sign_of_life() -> None:
    keepalive = Keepalive(30.0, 0.0)
    assert keepalive.next_ping(30.0) == 0
    assert not keepalive.is_overdue(41.0, 35.0)
    assert keepalive.next_deadline(35.0) == 45.0
    assert keepalive.is_overdue(45.0, 35.0)


def test_answers_that_nobody_waits_for_are_ignored() -> None:
    keepalive = Keepalive(30.0, 0.0)
    assert keepalive.receive_answer(0, 1.0) is None
    assert keepalive.next_ping(30.0) == 0
    assert keepalive.receive_answer(7, 31.0) is None
    assert keepalive.is_overdue(40.0, 0.0)


def test_no_interval_means_no_pings() -> None:
    keepalive = Keepalive(None, 0.0)
    assert keepalive.next_deadline(0.0) is None
    assert keepalive.next_ping(1e9) is None


def test_the_counter_wraps_at_32_bits() -> None:
    keepalive = Keepalive(1.0, 0.0)
    keepalive._next_value = MAX_UINT32
    assert keepalive.next_ping(1.0) == MAX_UINT32
    keepalive.receive_answer(MAX_UINT32, 1.0)
    assert keepalive.next_ping(2.0) == 0
