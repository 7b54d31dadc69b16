"""frpd.clock: the two real clocks."""

from __future__ import annotations

import time

from frpd.clock import MonotonicClock, unix_now, unix_time


def test_the_monotonic_clock_is_the_system_s_and_never_goes_back() -> None:
    clock = MonotonicClock()
    before = time.monotonic()
    first, second = clock.now(), clock.now()
    assert before <= first <= second <= time.monotonic()


def test_unix_time_is_whole_seconds() -> None:
    assert isinstance(unix_now(), int)
    assert abs(unix_now() - time.time()) < 2


def test_unix_time_has_fractions() -> None:
    assert abs(unix_time() - time.time()) < 2
