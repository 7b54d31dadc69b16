from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from frpd.errors import FrpError, LimitError
from frpd.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from frpd.selector_loop import SelectorLoop
    from tests.helpers.clock import MockClock


def raise_it(exc: Exception) -> None:
    raise exc


def unexpected(result: object) -> None:
    raise AssertionError(f"unexpected result {result!r}")


class Stuck:
    """Work that lasts until it is released."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.release.wait(30)
        return "late"


@pytest.fixture
def make_stuck() -> Iterator[Callable[[], Stuck]]:
    made: list[Stuck] = []

    def make() -> Stuck:
        made.append(Stuck())
        return made[-1]

    yield make
    for stuck in made:
        stuck.release.set()


@pytest.fixture
def pool(loop: SelectorLoop, make_stuck: Callable[[], Stuck]) -> Iterator[WorkerPool]:
    made = WorkerPool(loop, threads=2, queue_limit=3)
    yield made
    made.close()


def run_until(loop: SelectorLoop, is_over: Callable[[], object]) -> None:
    for _ in range(1000):
        if is_over():
            return
        loop.run_turn(10.0)
    raise AssertionError("still not over")


def threads_since(before: list[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread not in before]


def test_work_runs_on_a_worker_and_its_result_comes_on_the_loop(
    loop: SelectorLoop, pool: WorkerPool
) -> None:
    results: list[tuple[str, str]] = []

    def on_done(name: str) -> None:
        results.append((name, threading.current_thread().name))

    pool.submit(lambda: threading.current_thread().name, on_done, raise_it)
    assert results == []
    run_until(loop, lambda: results)
    assert results == [("frpd-worker-1", threading.current_thread().name)]


def test_an_exception_comes_on_the_loop_as_an_error(loop: SelectorLoop, pool: WorkerPool) -> None:
    errors: list[Exception] = []

    def work() -> None:
        raise OSError("disk on fire")

    pool.submit(work, unexpected, errors.append)
    run_until(loop, lambda: errors)
    assert [str(exc) for exc in errors] == ["disk on fire"]


def test_work_that_exits_costs_no_thread(loop: SelectorLoop, pool: WorkerPool) -> None:
    errors: list[Exception] = []
    for _ in range(3):
        pool.submit(sys.exit, unexpected, errors.append)
    run_until(loop, lambda: len(errors) == 3)
    assert {type(exc) for exc in errors} == {FrpError}
    results: list[int] = []
    pool.submit(lambda: 1, results.append, raise_it)
    run_until(loop, lambda: results)


def test_threads_start_on_demand_and_are_used_again(loop: SelectorLoop, pool: WorkerPool) -> None:
    before = threading.enumerate()
    for count in range(1, 6):
        results: list[int] = []
        pool.submit(lambda count=count: count, results.append, raise_it)  # type: ignore[misc]  # the default binds the loop variable
        run_until(loop, lambda results=results: results)  # type: ignore[misc]  # as above
    assert [thread.name for thread in threads_since(before)] == ["frpd-worker-1"]


def test_a_stuck_job_does_not_delay_the_others(
    loop: SelectorLoop, pool: WorkerPool, make_stuck: Callable[[], Stuck]
) -> None:
    stuck = make_stuck()
    late: list[str] = []
    pool.submit(stuck, late.append, raise_it)
    results: list[int] = []
    for number in range(20):
        pool.submit(lambda number=number: number, results.append, raise_it)  # type: ignore[misc]  # the default binds the loop variable
        run_until(loop, lambda number=number: len(results) > number)  # type: ignore[misc]  # as above
    assert results == list(range(20))
    assert late == []
    assert pool.busy == 1
    stuck.release.set()
    run_until(loop, lambda: late)
    assert late == ["late"]
    assert pool.busy == 0


def test_a_full_queue_refuses_and_takes_jobs_again_later(
    loop: SelectorLoop, pool: WorkerPool, make_stuck: Callable[[], Stuck]
) -> None:
    stuck = [make_stuck(), make_stuck()]
    results: list[object] = []
    for each in stuck:
        pool.submit(each, results.append, raise_it)
    for each in stuck:
        assert each.begun.wait(10)
    jobs = [pool.submit(lambda: "queued", results.append, raise_it) for _ in range(3)]
    assert (pool.busy, pool.depth) == (2, 3)
    with pytest.raises(LimitError, match="worker queue is full"):
        pool.submit(lambda: "refused", results.append, raise_it)
    jobs[1].cancel()
    assert pool.depth == 2
    pool.submit(lambda: "instead", results.append, raise_it)
    for each in stuck:
        each.release.set()
    run_until(loop, lambda: len(results) == 5)
    assert sorted(map(str, results)) == ["instead", "late", "late", "queued", "queued"]


def test_a_job_cancelled_in_the_queue_is_never_begun(
    loop: SelectorLoop, pool: WorkerPool, make_stuck: Callable[[], Stuck]
) -> None:
    stuck = [make_stuck(), make_stuck()]
    late: list[str] = []
    for each in stuck:
        pool.submit(each, late.append, raise_it)
    begun: list[bool] = []
    job = pool.submit(lambda: begun.append(True), unexpected, raise_it)
    job.cancel()
    job.cancel()
    for each in stuck:
        each.release.set()
    run_until(loop, lambda: len(late) == 2)
    after: list[int] = []
    pool.submit(lambda: 1, after.append, raise_it)
    run_until(loop, lambda: after)
    assert begun == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_job_cancelled_at_work_stays_silent(
    loop: SelectorLoop,
    pool: WorkerPool,
    make_stuck: Callable[[], Stuck],
    caplog: pytest.LogCaptureFixture,
    fails: bool,
) -> None:
    stuck = make_stuck()

    def work() -> None:
        stuck()
        if fails:
            raise RuntimeError("nobody wants to know")

    job = pool.submit(work, unexpected, raise_it)
    assert stuck.begun.wait(10)
    job.cancel()
    stuck.release.set()
    after: list[int] = []
    run_until(loop, lambda: pool.busy == 0)
    pool.submit(lambda: 1, after.append, raise_it)
    run_until(loop, lambda: after)
    assert caplog.records == []


def test_a_failing_callback_is_logged_by_the_loop(
    loop: SelectorLoop, pool: WorkerPool, caplog: pytest.LogCaptureFixture
) -> None:
    pool.submit(lambda: "result", unexpected, raise_it)
    run_until(loop, lambda: caplog.records)
    assert "unexpected result 'result'" in caplog.text


def test_close_waits_no_longer_than_asked_and_drops_callbacks(
    loop: SelectorLoop, make_stuck: Callable[[], Stuck], caplog: pytest.LogCaptureFixture
) -> None:
    pool = WorkerPool(loop, threads=1)
    stuck = make_stuck()
    pool.submit(stuck, unexpected, raise_it)
    pool.submit(lambda: "queued", unexpected, raise_it)
    assert stuck.begun.wait(10)
    pool.close()
    assert pool.depth == 0
    assert pool.busy == 1, "it came back although a job is stuck"
    with pytest.raises(LimitError, match="closed"):
        pool.submit(lambda: "refused", unexpected, raise_it)
    stuck.release.set()
    pool.close(wait_seconds=10.0)
    assert pool.busy == 0
    loop.run_turn()
    assert caplog.records == []


def test_close_lets_idle_threads_go(loop: SelectorLoop) -> None:
    before = threading.enumerate()
    pool = WorkerPool(loop)
    results: list[int] = []
    pool.submit(lambda: 1, results.append, raise_it)
    run_until(loop, lambda: results)
    (thread,) = threads_since(before)
    assert thread.daemon
    pool.close(wait_seconds=10.0)
    thread.join(10)
    assert not thread.is_alive()


def test_a_slow_queue_is_logged_at_most_once_a_minute(
    loop: SelectorLoop,
    clock: MockClock,
    make_stuck: Callable[[], Stuck],
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = WorkerPool(loop, threads=1)
    stuck = make_stuck()
    results: list[str] = []
    pool.submit(stuck, results.append, raise_it)
    assert stuck.begun.wait(10)
    for _ in range(2):
        pool.submit(lambda: "waited", results.append, raise_it)
    clock.advance(1.5)
    assert caplog.records == []
    stuck.release.set()
    run_until(loop, lambda: len(results) == 3)
    assert [record.getMessage() for record in caplog.records] == [
        "the worker queue is slow: a job waited 1.5 s, 1 more wait, 1 of 1 threads busy"
    ]
    pool.close(wait_seconds=10.0)


def test_a_queue_that_nobody_serves_is_logged_by_the_next_submit(
    loop: SelectorLoop,
    clock: MockClock,
    make_stuck: Callable[[], Stuck],
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = WorkerPool(loop, threads=1)
    stuck = make_stuck()
    pool.submit(stuck, unexpected, raise_it)
    assert stuck.begun.wait(10)
    for seconds, warnings in ((0.0, 0), (2.0, 1), (30.0, 1), (30.0, 2)):
        clock.advance(seconds)
        pool.submit(lambda: "queued", unexpected, raise_it)
        assert len(caplog.records) == warnings
    pool.close()
    stuck.release.set()
    pool.close(wait_seconds=10.0)


def test_no_thread_to_be_had_is_a_limit_error(
    loop: SelectorLoop, pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(LimitError, match="cannot start a worker"):
            pool.submit(lambda: 1, unexpected, raise_it)
    results: list[int] = []
    pool.submit(lambda: 1, results.append, raise_it)
    run_until(loop, lambda: results)
    assert pool.depth == 0
