"""The reactor: file descriptors, timers, signals and calls from other threads.

It knows no protocol and nothing of frp: an fd is a number with two interests, a
timer is a time and a function. One thread runs a loop and owns everything that is
registered with it; only ``call_soon_threadsafe`` may be called from elsewhere.
Why it is our own and sits on epoll itself: docs/adr/0001-reactor.md.

One turn, in this order:

1. Interests that changed since the last turn go to epoll, one call per fd at most.
2. epoll waits for the first event or timer, not at all if calls are waiting.
3. The clock is read; this is ``now()`` until the turn is over.
4. Events, then due timers, then ``call_soon``, then calls from other threads. I/O comes
   before timers, so that after a stall the bytes that prove a peer alive are read
   before the deadline that would declare it dead. Whatever a callback schedules here
   runs in a later turn, and every kind is bounded, so none can starve another.
5. ``call_at_turn_end``: whoever collected what the turn produced sends it.

Three traps of epoll and what is done about them:

- A batch may hold an event for an fd that an earlier callback of the batch closed, and
  whose number a new connection may already have. Interests reach epoll only between
  turns, so a watch with nothing registered cannot own any event of the batch.
- EPOLLHUP and EPOLLERR are reported even for an empty mask, for ever, level-triggered. An
  fd without interests is therefore taken out of the epoll set, not set to zero.
- A closed fd stays in the set while a duplicate of it lives, and can then no longer be
  removed. So a watch is closed before its fd.

What a callback raises is logged and ends what stands behind its fd, never the loop. Only
MemoryError comes out of ``run``: it may strike between any two steps, in books that many
connections share, so nobody can say whose bytes are still right. What catches everything
below the loop lets it through.

The file is longer than 500 lines because the turn, its handles and its wake-ups share
invariants that would be harder to see in several files.
"""

# ruff: noqa: SLF001 - Watch, Timer and SelectorLoop are one unit in three classes

from __future__ import annotations

import contextlib
import heapq
import logging
import os
import select
import signal
import socket
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVarTuple, Unpack

from frpd.clock import Clock, MonotonicClock

Callback: TypeAlias = Callable[[], None]

_Args = TypeVarTuple("_Args")
_Calls: TypeAlias = deque[tuple[Callable[..., object], tuple[Any, ...]]]

SCRATCH_BYTES: Final = 256 * 1024
MAX_EVENTS_PER_TURN: Final = 256
MAX_TIMERS_PER_TURN: Final = 256
MAX_THREAD_CALLS_PER_TURN: Final = 256
MAX_POLL_SECONDS: Final = 3600.0
"""epoll takes an int of milliseconds; an hour keeps far-away timers below its end."""
COMPACT_MIN_TIMERS: Final = 256
"""Below this many cancelled timers the heap is not worth rebuilding."""

LAG_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Turns are counted by these lags, each bound included. Below the first is where they belong."""

_READ: Final = select.EPOLLIN
_WRITE: Final = select.EPOLLOUT
# Hang-up and error count for both sides: whoever waits finds out by its own system call.
_TO_READER: Final = ~_WRITE
_TO_WRITER: Final = ~_READ

_log = logging.getLogger("frpd.loop")


def _nobody_left(exc: BaseException) -> None:
    """Stand in for the on_failure of a watch that was closed turns ago."""


class Watch:
    """One fd's interests, made by ``SelectorLoop.watch``. Loop thread only.

    Callbacks are level-triggered and may come once more than there is something to
    do: they must take EAGAIN calmly. On hang-up or error each callback that is set is
    called, the reader first.
    """

    __slots__ = (
        "_changed",
        "_closed",
        "_loop",
        "_mask",
        "_on_failure",
        "_on_readable",
        "_on_writable",
        "fd",
    )

    def __init__(
        self, loop: SelectorLoop, fd: int, on_failure: Callable[[BaseException], None]
    ) -> None:
        self.fd = fd
        self._loop = loop
        self._on_failure = on_failure
        self._on_readable: Callback | None = None
        self._on_writable: Callback | None = None
        self._mask = 0  # what epoll has; 0 = the fd is not in its set
        self._changed = False  # waits in the loop's list of changes
        self._closed = False

    def set(self, on_readable: Callback | None, on_writable: Callback | None) -> None:
        """Replace both interests; None drops one.

        A dropped callback is not called again, not even for an event already
        reported. Changes reach epoll once, before the next poll. On a closed watch
        nothing happens.
        """
        if self._closed:
            return
        self._on_readable = on_readable
        self._on_writable = on_writable
        wanted = _READ if on_readable is not None else 0
        if on_writable is not None:
            wanted |= _WRITE
        if wanted != self._mask and not self._changed:
            self._changed = True
            self._loop._changes.append(self)

    def close(self) -> None:
        """Forget the fd at once; call it before the fd is closed. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._on_readable = self._on_writable = None
        self._loop._forget(self)


class Timer:
    """One call at one time. Loop thread only."""

    __slots__ = ("_args", "_fn", "_heap_owner", "when")

    def __init__(
        self, loop: SelectorLoop, when: float, fn: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self.when = when
        self._fn: Callable[..., object] | None = fn
        self._args = args
        self._heap_owner: SelectorLoop | None = loop  # None once taken out of the heap

    def cancel(self) -> None:
        """Make sure the function is not called any more. Idempotent."""
        if self._fn is None:
            return
        self._fn = None
        self._args = ()
        if self._heap_owner is not None:
            self._heap_owner._count_cancelled()

    def _fire(self) -> None:
        fn, args = self._fn, self._args
        if fn is not None:
            self._fn = None
            self._args = ()
            fn(*args)


class SelectorLoop:
    """A level-triggered epoll loop.

    All methods but ``call_soon_threadsafe`` are for the thread that runs the loop (or
    builds it, before ``run``).

    Args:
        clock: source of time; tests pass one that stands still.

    Attributes:
        clock: the clock given.
        scratch: one receive buffer for all readers of this loop; what it holds is
            valid until the next read of anyone.
        turns: number of turns so far.
        lag_seconds: how long the callbacks of the last turn took together, which is
            what an event that arrived meanwhile had to wait.
        worst_lag_seconds: the largest of these; whoever reports it may set it to 0.0.
        busy_seconds: all of these together.
        slow_turns: how many turns were above the first of LAG_BOUNDS: up to the second, up to
            the third, and so on, and above the last.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = MonotonicClock() if clock is None else clock
        self.scratch = memoryview(bytearray(SCRATCH_BYTES))
        self.turns = 0
        self.lag_seconds = 0.0
        self.worst_lag_seconds = 0.0
        self.busy_seconds = 0.0
        self.slow_turns = [0] * len(LAG_BOUNDS)
        self._read_clock = self.clock.now
        self._now = self._read_clock()
        self._running = False
        self._stopping = False
        self._closed = False
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._watches: dict[int, Watch] = {}
        self._changes: list[Watch] = []
        self._soon: _Calls = deque()
        self._heap: list[tuple[float, int, Timer]] = []
        self._timers_made = 0
        self._timers_cancelled = 0  # of those in the heap
        self._due: _Calls = deque()
        self._from_threads: _Calls = deque()
        self._at_end: list[Callable[[], object]] = []
        self._awake = False  # the eventfd is, or is about to be, readable
        self._wake_lock = threading.Lock()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._signals: dict[int, tuple[Callback, Any]] = {}
        self._signal_pair: tuple[socket.socket, socket.socket] | None = None
        self._signal_fd_before = -1
        self._watch_own(self._wake_fd, self._on_wake_up)

    # File descriptors

    def watch(self, fd: int, on_failure: Callable[[BaseException], None]) -> Watch:
        """Return a handle for ``fd`` without any interest yet.

        Args:
            fd: a descriptor that epoll can poll, non-blocking.
            on_failure: called with what a callback of this watch raised, after it was
                logged, or with the OSError of an fd that epoll refuses. It has to
                close what stands behind the fd.

        Raises:
            ValueError: the fd has a watch, so someone closed an fd before its watch.
        """
        if fd in self._watches:
            raise ValueError(f"fd {fd} is still watched")
        watch = self._watches[fd] = Watch(self, fd, on_failure)
        return watch

    # Calls and timers

    def now(self) -> float:
        """Return the time of this turn; outside of turns, the clock's."""
        return self._now if self._running else self.clock.now()

    def call_soon(self, fn: Callable[[Unpack[_Args]], object], *args: *_Args) -> None:
        """Call ``fn(*args)`` in the next turn, in order, never inside this call."""
        self._soon.append((fn, args))

    def call_at_turn_end(self, fn: Callable[[], object]) -> None:
        """Call ``fn()`` once the callbacks of this turn are through, before the next poll.

        For whoever collects what a turn produces, to send it in one system call. Asked
        for at a turn's end, or outside of turns, it waits for the end of the next one.
        """
        self._at_end.append(fn)

    def call_soon_threadsafe(self, fn: Callable[[Unpack[_Args]], object], *args: *_Args) -> None:
        """Have the loop call ``fn(*args)``; for any thread.

        Calls of one thread keep their order. After ``close`` they are dropped.
        """
        if self._closed:
            return
        self._from_threads.append((fn, args))
        if self._awake:
            return
        with self._wake_lock:  # a closed number may belong to someone else by now
            if not self._closed:
                self._awake = True
                os.eventfd_write(self._wake_fd, 1)

    def call_later(
        self, delay_seconds: float, fn: Callable[[Unpack[_Args]], object], *args: *_Args
    ) -> Timer:
        """Call ``fn(*args)`` once, ``delay_seconds`` after ``now()``."""
        return self.call_at(self.now() + delay_seconds, fn, *args)

    def call_at(self, when: float, fn: Callable[[Unpack[_Args]], object], *args: *_Args) -> Timer:
        """Call ``fn(*args)`` once at ``when``; a time in the past means the next turn.

        Timers of equal time fire in the order they were made.
        """
        timer = Timer(self, when, fn, args)
        self._timers_made += 1
        heapq.heappush(self._heap, (when, self._timers_made, timer))
        return timer

    def on_signal(self, signum: int, fn: Callback) -> None:
        """Call ``fn`` on the loop whenever ``signum`` arrives; main thread only.

        Only one loop of a process may do this. ``close`` restores what was there.
        """
        if self._signal_pair is None:
            self._open_signal_pair()
        before = signal.signal(signum, _let_the_wake_up_fd_tell)
        signal.siginterrupt(signum, False)
        if signum in self._signals:
            before = self._signals[signum][1]
        self._signals[signum] = (fn, before)

    # Running

    def run(self) -> None:
        """Run turns until ``stop``; a ``stop`` before ``run`` counts.

        Raises:
            MemoryError: of a callback; the program should end.
        """
        self._enter()
        try:
            while not self._stopping:
                self._turn(None)
        finally:
            self._running = self._stopping = False

    def stop(self) -> None:
        """Make ``run`` return after this turn; others use call_soon_threadsafe(stop)."""
        self._stopping = True

    def run_turn(self, timeout: float | None = 0.0) -> None:
        """Run one turn, waiting at most ``timeout`` seconds (None: as ``run`` does).

        The wait is epoll's and passes in real time, whatever the loop's clock says.
        Under a clock that stands still a timer never comes due by waiting: advance
        that clock, then run a turn with timeout 0. Wait for real only for what
        really happens elsewhere, such as a worker's answer.
        """
        self._enter()
        try:
            self._turn(timeout)
        finally:
            self._running = False

    def close(self) -> None:
        """Drop everything that was scheduled and free the loop's own fds. Idempotent.

        Watches are closed, their fds are not.
        """
        if self._closed:
            return
        self._stopping = True
        self._restore_signals()
        for watch in list(self._watches.values()):
            watch.close()
        with self._wake_lock:
            self._closed = True
            os.close(self._wake_fd)
        self._epoll.close()
        self._heap.clear()
        for calls in (self._soon, self._due, self._from_threads, self._at_end):
            calls.clear()

    # Figures

    @property
    def watch_count(self) -> int:
        """Number of open watches, the loop's own not counted."""
        own = 1 if self._signal_pair is None else 2
        return 0 if self._closed else len(self._watches) - own

    @property
    def timer_count(self) -> int:
        """Number of timers that are yet to come due."""
        return len(self._heap) - self._timers_cancelled

    # One turn

    def _enter(self) -> None:
        if self._closed:
            raise RuntimeError("the loop is closed")
        if self._running:
            raise RuntimeError("the loop is already running")
        self._running = True
        self._now = self.clock.now()

    def _turn(self, limit: float | None) -> None:
        if self._changes:
            self._apply_changes()
        events = self._poll(self._poll_seconds(limit), MAX_EVENTS_PER_TURN)
        self._now = now = self._read_clock()
        self.turns += 1
        # What runs in this turn is settled before the first callback can add to it.
        soon = len(self._soon)
        from_threads = min(len(self._from_threads), MAX_THREAD_CALLS_PER_TURN)
        if self._heap and self._heap[0][0] <= now:
            self._collect_due(now)
        if events:
            self._dispatch(events)
        if self._due:
            self._call(self._due, len(self._due))
        if soon:
            self._call(self._soon, soon)
        if from_threads:
            self._call(self._from_threads, from_threads)
        if self._at_end:
            self._end_turn()

    def _apply_changes(self) -> None:
        """Tell epoll what the watches want now. Runs no callback."""
        for watch in self._changes:
            watch._changed = False
            if watch._closed:
                watch._on_failure = _nobody_left  # breaks the owner-watch-owner cycle
                continue
            wanted = _READ if watch._on_readable is not None else 0
            if watch._on_writable is not None:
                wanted |= _WRITE
            if wanted != watch._mask:
                self._control(watch, wanted)
        self._changes.clear()

    def _control(self, watch: Watch, wanted: int) -> None:
        try:
            if not wanted:
                self._epoll.unregister(watch.fd)
            elif watch._mask:
                self._epoll.modify(watch.fd, wanted)
            else:
                self._epoll.register(watch.fd, wanted)
        except OSError as exc:
            watch._mask = 0
            self.call_soon(self._watch_failed, watch, exc)
        else:
            watch._mask = wanted

    def _poll_seconds(self, limit: float | None) -> float | None:
        """Return how long epoll may wait; it rounds up, so a timer is never early."""
        now = self._read_clock()
        self.lag_seconds = lag = now - self._now
        self.busy_seconds += lag
        if lag > LAG_BOUNDS[0]:  # few are: the others cost no call
            self.slow_turns[bisect_left(LAG_BOUNDS, lag) - 1] += 1
        if lag > self.worst_lag_seconds:  # noqa: PLR1730 - no call in every turn
            self.worst_lag_seconds = lag
        if self._soon or self._from_threads or self._due or self._at_end:
            return 0.0
        heap = self._heap
        while heap and heap[0][2]._fn is None:  # not worth waking up for
            heapq.heappop(heap)
            self._timers_cancelled -= 1
        if heap:
            wait = min(max(heap[0][0] - now, 0.0), MAX_POLL_SECONDS)
            if limit is None or wait < limit:
                return wait
        return limit

    def _dispatch(self, events: list[tuple[int, int]]) -> None:
        find = self._watches.get
        for fd, mask in events:
            watch = find(fd)
            if watch is None or not watch._mask:  # closed in this batch, number reused
                continue
            try:
                if mask & _TO_READER and (reader := watch._on_readable) is not None:
                    reader()
                if mask & _TO_WRITER and (writer := watch._on_writable) is not None:
                    writer()
            except MemoryError:
                raise
            except Exception as exc:  # any: one connection's bug must not stop the rest
                self._watch_failed(watch, exc)

    def _end_turn(self) -> None:
        at_end, self._at_end = self._at_end, []
        for fn in at_end:
            try:
                fn()
            except MemoryError:
                raise
            except Exception:
                _log.exception("a call at a turn's end failed: %r", fn)

    def _collect_due(self, now: float) -> None:
        heap = self._heap
        room = MAX_TIMERS_PER_TURN
        while heap and heap[0][0] <= now and room:
            timer = heapq.heappop(heap)[2]
            timer._heap_owner = None
            if timer._fn is None:
                self._timers_cancelled -= 1
            else:
                self._due.append((timer._fire, ()))
                room -= 1

    def _call(self, calls: _Calls, at_most: int) -> None:
        while calls and at_most:  # close() empties them at any time
            at_most -= 1
            fn, args = calls.popleft()
            try:
                fn(*args)
            except MemoryError:
                raise
            except Exception:
                _log.exception("a scheduled call failed: %r", fn)

    def _watch_failed(self, watch: Watch, exc: Exception) -> None:
        _log.error("a callback of fd %d failed", watch.fd, exc_info=exc)
        try:
            watch._on_failure(exc)
        except MemoryError:
            raise
        except Exception:
            _log.exception("on_failure of fd %d failed", watch.fd)
            watch.close()  # or the same event would fail for ever

    # What Watch and Timer ask for

    def _forget(self, watch: Watch) -> None:
        if self._watches.get(watch.fd) is watch:
            del self._watches[watch.fd]
        if watch._mask:
            watch._mask = 0
            try:
                self._epoll.unregister(watch.fd)
            except OSError:
                _log.exception("fd %d was closed before its watch", watch.fd)
        if not watch._changed:
            watch._changed = True
            self._changes.append(watch)

    def _count_cancelled(self) -> None:
        """Rebuild the heap when most of it is cancelled: O(1) for each, spread out."""
        self._timers_cancelled += 1
        dead = self._timers_cancelled
        if dead > COMPACT_MIN_TIMERS and dead * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if entry[2]._fn is not None]
            heapq.heapify(self._heap)
            self._timers_cancelled = 0

    # Wake-ups

    def _watch_own(self, fd: int, on_readable: Callback) -> None:
        def on_failure(exc: BaseException) -> None:
            """Stay open: without its wake-ups the loop would be deaf."""

        self.watch(fd, on_failure).set(on_readable, None)

    def _on_wake_up(self) -> None:
        # The flag falls after the read: a thread that saw it up has queued its call, and no
        # poll waits while calls are queued; a thread that sees it down writes again.
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake_fd)
        self._awake = False

    def _open_signal_pair(self) -> None:
        # Not the eventfd: the C handler writes one byte, and that byte says which signal.
        near, far = self._signal_pair = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        self._signal_fd_before = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
        self._watch_own(near.fileno(), self._on_signal_bytes)

    def _on_signal_bytes(self) -> None:
        assert self._signal_pair is not None
        with contextlib.suppress(BlockingIOError):
            for signum in self._signal_pair[0].recv(4096):
                if signum in self._signals:
                    self.call_soon(self._signals[signum][0])

    def _restore_signals(self) -> None:
        if self._signal_pair is None:
            return
        for signum, (_, before) in self._signals.items():
            # None: the handler was not installed from Python and cannot be put back.
            signal.signal(signum, signal.SIG_DFL if before is None else before)
        self._signals.clear()
        signal.set_wakeup_fd(self._signal_fd_before)
        near, far = self._signal_pair
        self._watches[near.fileno()].close()
        self._signal_pair = None
        near.close()
        far.close()


def _let_the_wake_up_fd_tell(signum: int, frame: object) -> None:
    """Do nothing: the signal's byte is in the wake-up fd, and the loop reads it."""
