from __future__ import annotations

import time

import pytest

from frpd.selector_loop import LAG_BOUNDS, MAX_TIMERS_PER_TURN, SelectorLoop, Timer
from tests.helpers.clock import MockClock


def test_a_timer_fires_once_when_its_time_has_come(loop: SelectorLoop, clock: MockClock) -> None:
    calls: list[str] = []
    timer = loop.call_later(10.0, calls.append, "late")
    assert timer.when == clock.now() + 10.0
    clock.advance(9.999)
    loop.run_turn()
    assert calls == []
    clock.advance(0.001)
    loop.run_turn()
    loop.run_turn()
    assert calls == ["late"]
    assert loop.timer_count == 0


def test_timers_fire_by_time_and_equal_times_by_age(loop: SelectorLoop, clock: MockClock) -> None:
    calls: list[int] = []
    when = clock.now() + 5
    for name, offset in ((3, 1), (0, 0), (1, 0), (2, 0)):
        loop.call_at(when + offset, calls.append, name)
    clock.advance(60)
    loop.run_turn()
    assert calls == [0, 1, 2, 3]


def test_a_cancelled_timer_stays_silent(loop: SelectorLoop, clock: MockClock) -> None:
    calls: list[str] = []
    timer = loop.call_later(1, calls.append, "cancelled")
    timer.cancel()
    timer.cancel()
    assert loop.timer_count == 0
    clock.advance(2)
    loop.run_turn()
    assert calls == []
    assert loop.timer_count == 0


def test_a_timer_cancelled_by_one_due_with_it_stays_silent(
    loop: SelectorLoop, clock: MockClock
) -> None:
    calls: list[str] = []
    when = clock.now() + 1
    timers: list[Timer] = []

    def cancel_the_other() -> None:
        timers[0].cancel()

    loop.call_at(when, cancel_the_other)
    timers.append(loop.call_at(when, calls.append, "second"))
    clock.advance(1)
    loop.run_turn()
    assert calls == []
    assert loop.timer_count == 0


def test_cancelling_a_fired_timer_does_nothing(loop: SelectorLoop) -> None:
    timer = loop.call_later(0, lambda: None)
    loop.run_turn()
    timer.cancel()
    assert loop.timer_count == 0


def test_a_timer_in_the_past_fires_on_the_next_turn(loop: SelectorLoop, clock: MockClock) -> None:
    calls: list[int] = []

    def again() -> None:
        calls.append(loop.turns)
        loop.call_at(clock.now() - 100, again)

    loop.call_later(-5, again)
    assert calls == []
    for _ in range(3):
        loop.run_turn()
    assert calls == [1, 2, 3]


def test_due_timers_are_bounded_per_turn(loop: SelectorLoop) -> None:
    calls: list[int] = []
    for index in range(MAX_TIMERS_PER_TURN * 2 + 1):
        loop.call_later(0, calls.append, index)
    loop.run_turn()
    assert len(calls) == MAX_TIMERS_PER_TURN
    loop.run_turn()
    loop.run_turn()
    assert calls == list(range(MAX_TIMERS_PER_TURN * 2 + 1))


def test_a_hundred_thousand_cancelled_deadlines_do_not_grow_the_heap(
    loop: SelectorLoop, clock: MockClock
) -> None:
    calls: list[str] = []
    loop.call_later(20, calls.append, "kept")
    largest = 0
    for _ in range(100_000):
        loop.call_later(10, calls.append, "cancelled").cancel()
        largest = max(largest, len(loop._heap))
    assert largest < 1000
    assert loop.timer_count == 1
    clock.advance(30)
    loop.run_turn()
    assert calls == ["kept"]


def test_cancelling_many_at_once_frees_them(loop: SelectorLoop) -> None:
    timers = [loop.call_later(10 + index % 7, lambda: None) for index in range(10_000)]
    for timer in timers[:9_000]:
        timer.cancel()
    assert loop.timer_count == 1_000
    assert len(loop._heap) < 2_100


def test_a_failing_timer_is_logged_and_the_next_one_fires(
    loop: SelectorLoop, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def broken() -> None:
        raise RuntimeError("a bug")

    loop.call_later(0, broken)
    loop.call_later(0, calls.append, "next")
    loop.run_turn()
    assert calls == ["next"]
    assert [record.name for record in caplog.records] == ["frpd.loop"]
    assert "a bug" in caplog.text


def test_an_interrupted_turn_keeps_its_other_timers(loop: SelectorLoop) -> None:
    calls: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    loop.call_later(0, interrupt)
    loop.call_later(0, calls.append, "next")
    with pytest.raises(KeyboardInterrupt):
        loop.run_turn()
    loop.run_turn()
    assert calls == ["next"]


def test_time_stands_still_within_a_turn(loop: SelectorLoop, clock: MockClock) -> None:
    seen: list[float] = []
    began = clock.now()
    loop.call_soon(clock.advance, 3)
    loop.call_soon(lambda: seen.append(loop.now()))
    loop.run_turn()
    assert seen == [began]
    assert loop.now() == began + 3, "outside of turns it is the clock's"
    loop.call_soon(lambda: seen.append(loop.now()))
    loop.run_turn()
    assert seen == [began, began + 3]


def test_lag_is_the_time_that_callbacks_took() -> None:
    clock = MockClock()
    loop = SelectorLoop(clock)
    loop.call_soon(clock.advance, 0.25)
    loop.call_soon(loop.call_soon, loop.call_soon, loop.stop)
    loop.run()
    assert loop.turns == 3
    assert loop.lag_seconds == 0.0
    assert loop.worst_lag_seconds == 0.25
    loop.close()


def test_turns_are_counted_by_how_long_they_took() -> None:
    clock = MockClock()
    loop = SelectorLoop(clock)
    lags = [0.0, 0.0009, 0.002, 0.0024, 0.003, 2.4, 60.0, 60.0]

    def take_long() -> None:
        clock.advance(lags.pop())
        loop.call_soon(take_long if lags else loop.stop)

    loop.call_soon(take_long)
    loop.run()
    assert loop.turns - sum(loop.slow_turns) == 3
    assert loop.slow_turns == [2, 1, *[0] * (len(LAG_BOUNDS) - 4), 1, 2]
    assert loop.busy_seconds == pytest.approx(122.4083)
    loop.close()


def test_waiting_for_a_timer_neither_spins_nor_fires_early() -> None:
    loop = SelectorLoop()
    fired: list[float] = []

    def on_time() -> None:
        fired.append(time.monotonic())
        loop.stop()

    # 20.4 ms: rounded down to whole milliseconds the last 0.4 would be polled in circles
    timer = loop.call_later(0.0204, on_time)
    loop.run()
    loop.close()
    assert fired[0] >= timer.when
    assert loop.turns <= 3


def test_a_timer_beyond_what_epoll_can_count_does_not_disturb() -> None:
    loop = SelectorLoop()
    for seconds in (1e12, float("inf")):
        loop.call_later(seconds, lambda: None)
    loop.call_soon_threadsafe(lambda: None)
    loop.run_turn(None)
    loop.call_soon(loop.stop)
    loop.run()
    assert loop._poll_seconds(None) == 3600.0
    loop.close()
