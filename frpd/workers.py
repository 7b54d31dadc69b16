"""Worker threads for work that blocks: DNS, files, hooks, admin requests.

A job takes values and returns a value. It shares nothing else with the loop: its
answer travels back by ``call_soon_threadsafe``, and the callbacks run on the loop.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from frpd.errors import FrpError, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from frpd.selector_loop import SelectorLoop

_T = TypeVar("_T")

SLOW_QUEUE_SECONDS: Final = 1.0
WARNING_INTERVAL_SECONDS: Final = 60.0

_log = logging.getLogger("frpd.workers")


class Job:
    """One piece of submitted work. Loop thread only."""

    __slots__ = ("_on_done", "_on_error", "_pool", "cancelled", "submitted_at", "work")

    def __init__(
        self,
        pool: WorkerPool,
        work: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[Exception], None],
        submitted_at: float,
    ) -> None:
        self.work = work
        self.submitted_at = submitted_at
        self.cancelled = False
        self._pool = pool
        self._on_done = on_done
        self._on_error = on_error

    def cancel(self) -> None:
        """Never call back. Work that has not begun is not begun. Idempotent."""
        if not self.cancelled:
            self.cancelled = True
            self._pool.withdraw(self)

    def deliver(self, result: object, error: Exception | None) -> None:
        """Hand the outcome to whoever asked, unless they lost interest."""
        if self.cancelled:
            return
        self.cancelled = True  # over: a late cancel() has nothing to withdraw
        if error is not None:
            self._on_error(error)
        else:
            self._on_done(result)


class WorkerPool:
    """At most ``threads`` daemon threads, each started when a job finds none idle.

    Args:
        loop: the loop on which all callbacks run.
        threads: how many jobs may be in work at once. A stuck job costs one of them.
        queue_limit: how many more may wait.
    """

    def __init__(self, loop: SelectorLoop, *, threads: int = 4, queue_limit: int = 1024) -> None:
        self._loop = loop
        self._thread_limit = threads
        self._queue_limit = queue_limit
        # Guards all that follows, and tells idle workers that there is something to do.
        self._changed = threading.Condition()
        self._queue: deque[Job] = deque()
        self._threads = 0
        self._busy = 0
        self._started = 0
        self._closed = False
        self._warn_again_at = float("-inf")

    @property
    def depth(self) -> int:
        """Number of jobs that wait for a thread."""
        return len(self._queue)

    @property
    def busy(self) -> int:
        """Number of jobs in work."""
        return self._busy

    def now(self) -> float:
        """Return the loop's time."""
        return self._loop.now()

    def submit(
        self,
        work: Callable[[], _T],
        on_done: Callable[[_T], None],
        on_error: Callable[[Exception], None],
    ) -> Job:
        """Run ``work()`` on a thread; then one of the two callbacks on the loop.

        Loop thread only. ``work`` must touch nothing that the loop owns.

        Raises:
            LimitError: the queue is full, the pool closed, or no thread can be had.
        """
        now = self._loop.clock.now()
        job = Job(self, work, on_done, on_error, now)
        with self._changed:
            if self._closed:
                raise LimitError("the worker pool is closed")
            if len(self._queue) >= self._queue_limit:
                raise LimitError(f"the worker queue is full ({self._queue_limit} jobs wait)")
            if len(self._queue) >= self._threads - self._busy:
                self._start_thread()
            self._queue.append(job)
            # The oldest is looked at here too: with all threads stuck nobody takes it.
            self._warn_if_slow(now - self._queue[0].submitted_at, now)
            self._changed.notify()
        return job

    def withdraw(self, job: Job) -> None:
        """Take a job out of the queue if it is still there; ``Job.cancel`` calls it."""
        with self._changed:
            if job in self._queue:
                self._queue.remove(job)

    def close(self, wait_seconds: float = 0.0) -> None:
        """Drop all jobs and callbacks; idempotent, loop thread only.

        Waits at most ``wait_seconds`` for jobs in work to end. A job that is stuck
        keeps its thread, a daemon, which does not keep the process alive.
        """
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._threads == 0, wait_seconds)

    def _start_thread(self) -> None:
        if self._threads >= self._thread_limit:
            return
        name = f"frpd-worker-{self._started + 1}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError as exc:  # the system's limit on threads
            if self._threads == 0:
                raise LimitError(f"cannot start a worker thread: {exc}") from exc
            return
        self._started += 1
        self._threads += 1

    def _warn_if_slow(self, waited: float, now: float) -> None:
        if waited <= SLOW_QUEUE_SECONDS or now < self._warn_again_at:
            return
        self._warn_again_at = now + WARNING_INTERVAL_SECONDS
        _log.warning(
            "the worker queue is slow: a job waited %.1f s, %d more wait, %d of %d threads busy",
            waited,
            len(self._queue),
            self._busy,
            self._thread_limit,
        )

    # Worker threads

    def _work(self) -> None:
        while (job := self._take()) is not None:
            result: object = None
            error: Exception | None = None
            try:
                result = job.work()
            except Exception as exc:  # any: it belongs to whoever submitted the job
                error = exc
            except BaseException as exc:  # such as sys.exit() in a hook
                error = FrpError(f"a job ended its thread: {exc!r}")
                error.__cause__ = exc
            with self._changed:
                self._busy -= 1
            self._loop.call_soon_threadsafe(self._finish, job, result, error)
            del job, result, error  # or an idle thread would keep them alive

    def _take(self) -> Job | None:
        """Wait for the next job; None ends the thread."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            if self._closed:
                self._threads -= 1
                self._changed.notify_all()
                return None
            job = self._queue.popleft()
            self._busy += 1
            now = self._loop.clock.now()
            self._warn_if_slow(now - job.submitted_at, now)
            return job

    # Loop thread

    def _finish(self, job: Job, result: object, error: Exception | None) -> None:
        if not self._closed:
            job.deliver(result, error)
