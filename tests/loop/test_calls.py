from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from frpd.selector_loop import MAX_THREAD_CALLS_PER_TURN, SelectorLoop

if TYPE_CHECKING:
    from tests.loop.conftest import MakePair


def test_call_soon_waits_for_the_next_turn_and_keeps_order(loop: SelectorLoop) -> None:
    calls: list[str] = []

    def first() -> None:
        calls.append("first")
        loop.call_soon(calls.append, "third")

    loop.call_soon(first)
    loop.call_soon(calls.append, "second")
    assert calls == []
    loop.run_turn()
    assert calls == ["first", "second"]
    loop.run_turn()
    assert calls == ["first", "second", "third"]


@pytest.mark.parametrize("how", ["call_soon", "call_soon_threadsafe"])
def test_what_an_event_schedules_runs_in_a_later_turn(
    loop: SelectorLoop, make_pair: MakePair, how: str
) -> None:
    near, far = make_pair()
    far.send(b"x")
    turns: list[int] = []

    def on_readable() -> None:
        near.recv(1)
        getattr(loop, how)(lambda: turns.append(loop.turns))
        loop.call_later(0, lambda: turns.append(loop.turns))

    loop.watch(near.fileno(), lambda exc: None).set(on_readable, None)
    loop.run_turn()
    assert turns == []
    loop.run_turn()
    assert turns == [2, 2]


def test_a_call_that_calls_itself_does_not_starve_io(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    calls: list[str] = []

    def again() -> None:
        calls.append("call")
        loop.call_soon(again)

    loop.watch(near.fileno(), lambda exc: None).set(lambda: calls.append("read"), None)
    far.send(b"x")
    loop.call_soon(again)
    loop.run_turn()
    loop.run_turn()
    assert calls == ["read", "call"] * 2


def test_events_come_before_timers_and_timers_before_calls(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    far.send(b"x")
    calls: list[str] = []
    loop.call_soon_threadsafe(calls.append, "thread")
    loop.call_soon(calls.append, "soon")
    loop.call_later(0, calls.append, "timer")
    loop.watch(near.fileno(), lambda exc: None).set(lambda: calls.append("event"), None)
    loop.run_turn()
    assert calls == ["event", "timer", "soon", "thread"]


def test_bytes_that_arrived_in_time_cancel_a_deadline_that_is_due(
    loop: SelectorLoop, make_pair: MakePair
) -> None:
    near, far = make_pair()
    calls: list[str] = []
    deadline = loop.call_later(0, calls.append, "peer is dead")
    loop.watch(near.fileno(), lambda exc: None).set(deadline.cancel, None)
    far.send(b"x")
    loop.run_turn()
    assert calls == []


def test_a_failing_call_is_logged_and_the_next_one_runs(
    loop: SelectorLoop, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def broken() -> None:
        raise RuntimeError("a bug")

    for schedule in (loop.call_soon, loop.call_soon_threadsafe):
        schedule(broken)
        schedule(calls.append, "next")
    loop.run_turn()
    assert calls == ["next", "next"]
    assert caplog.text.count("RuntimeError: a bug") == 2


def test_calls_from_several_threads_all_arrive_in_their_order() -> None:
    loop = SelectorLoop()
    per_thread, names = 2000, range(4)
    got: dict[int, list[int]] = {name: [] for name in names}
    owner = threading.get_ident()
    strangers: list[int] = []

    def receive(name: int, number: int) -> None:
        got[name].append(number)
        if threading.get_ident() != owner:
            strangers.append(number)
        if sum(map(len, got.values())) == per_thread * len(names):
            loop.stop()

    def send(name: int) -> None:
        for number in range(per_thread):
            loop.call_soon_threadsafe(receive, name, number)

    threads = [threading.Thread(target=send, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    loop.run()
    for thread in threads:
        thread.join()
    loop.close()
    assert all(numbers == list(range(per_thread)) for numbers in got.values())
    assert strangers == []


def test_calls_from_threads_are_drained_in_bounded_batches(loop: SelectorLoop) -> None:
    calls: list[int] = []
    for number in range(MAX_THREAD_CALLS_PER_TURN + 10):
        loop.call_soon_threadsafe(calls.append, number)
    loop.run_turn()
    assert len(calls) == MAX_THREAD_CALLS_PER_TURN
    loop.run_turn(None)
    assert len(calls) == MAX_THREAD_CALLS_PER_TURN + 10


def test_a_call_from_a_thread_wakes_a_loop_that_waits() -> None:
    loop = SelectorLoop()
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(loop.stop,))
    loop.call_soon(thread.start)
    loop.run()
    thread.join()
    loop.close()


def test_every_wake_up_is_taken_back(loop: SelectorLoop) -> None:
    for _ in range(3):
        calls: list[str] = []
        loop.call_soon_threadsafe(calls.append, "call")
        loop.run_turn()
        assert calls == ["call"]
        assert loop._epoll.poll(0) == [], "the eventfd would keep the loop awake"


def test_a_call_from_a_thread_after_close_is_dropped() -> None:
    loop = SelectorLoop()
    loop.close()
    loop.call_soon_threadsafe(lambda: None)
    loop.call_soon(lambda: None)


def test_a_callback_may_close_the_loop() -> None:
    loop = SelectorLoop()
    calls: list[str] = []
    loop.call_soon(loop.close)
    loop.call_soon(calls.append, "dropped")
    loop.run()
    assert calls == []


def test_stop_ends_run_after_the_turn_and_run_can_be_repeated(loop: SelectorLoop) -> None:
    calls: list[str] = []
    for _ in range(2):
        loop.call_soon(loop.stop)
        loop.call_soon(calls.append, "same turn")
        loop.run()
    assert calls == ["same turn"] * 2
    assert loop.turns == 2


def test_a_stop_before_run_counts(loop: SelectorLoop) -> None:
    loop.stop()
    loop.run()
    assert loop.turns == 0


def test_a_turn_inside_a_turn_is_refused(
    loop: SelectorLoop, caplog: pytest.LogCaptureFixture
) -> None:
    loop.call_soon(loop.run_turn)
    loop.run_turn()
    assert "already running" in caplog.text


def test_two_loops_run_side_by_side() -> None:
    loops = [SelectorLoop(), SelectorLoop()]
    calls: list[str] = []

    def pong() -> None:
        calls.append("pong")
        loops[0].call_soon_threadsafe(loops[0].stop)
        loops[1].stop()

    def ping() -> None:
        calls.append("ping")
        loops[1].call_soon_threadsafe(pong)

    loops[0].call_soon(ping)
    other = threading.Thread(target=loops[1].run)
    other.start()
    loops[0].run()
    other.join()
    for loop in loops:
        loop.close()
    assert calls == ["ping", "pong"]


def test_a_signal_calls_its_function_on_the_loop(loop: SelectorLoop) -> None:
    calls: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: calls.append("one"))
    loop.on_signal(signal.SIGUSR2, lambda: calls.append("two"))
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert calls == []
    for _ in range(2):
        loop.run_turn(5.0)
    assert sorted(calls) == ["one", "two"]
    assert loop.watch_count == 0, "the loop's own watches are not counted"


def test_a_signal_taken_by_another_thread_wakes_the_loop() -> None:
    loop = SelectorLoop()
    loop.on_signal(signal.SIGUSR1, loop.stop)

    def take_it() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    thread = threading.Thread(target=take_it)
    loop.call_soon(thread.start)
    loop.run()
    thread.join()
    loop.close()


def test_a_later_function_replaces_the_former_one(loop: SelectorLoop) -> None:
    calls: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: calls.append("former"))
    loop.on_signal(signal.SIGUSR1, lambda: calls.append("later"))
    os.kill(os.getpid(), signal.SIGUSR1)
    for _ in range(2):
        loop.run_turn(5.0)
    assert calls == ["later"]


def test_close_puts_signal_handlers_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)]
    loop = SelectorLoop()
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR1):
        loop.on_signal(number, lambda: None)
    loop.close()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_failing_signal_function_is_logged(
    loop: SelectorLoop, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    loop.on_signal(signal.SIGUSR1, broken)
    os.kill(os.getpid(), signal.SIGUSR1)
    for _ in range(2):
        loop.run_turn(5.0)
    assert "RuntimeError: a bug" in caplog.text


HOWS = ("watch", "call_soon", "timer", "call_at_turn_end", "on_failure")


@pytest.mark.parametrize("how", HOWS)
def test_a_callback_without_memory_ends_the_loop(
    loop: SelectorLoop, make_pair: MakePair, how: str
) -> None:
    def starve(_error: BaseException | None = None) -> None:
        raise MemoryError

    def fail() -> None:
        raise RuntimeError("a bug")

    near, far = make_pair()
    if how in {"watch", "on_failure"}:
        watch = loop.watch(near.fileno(), starve)
        watch.set(starve if how == "watch" else fail, None)
        far.send(b"x")
    elif how == "timer":
        loop.call_later(0.0, starve)
    else:
        getattr(loop, how)(starve)
    with pytest.raises(MemoryError):
        loop.run()
