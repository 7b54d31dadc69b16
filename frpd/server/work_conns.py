"""WorkConnPool: the work connections that one client keeps ready for visitors.

A visitor takes the oldest one that is ready, or waits while the client is
asked. We ask for as many as waiting visitors and the client's pool_count call
for, minus what was asked for already; frp asks twice per waiting visitor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from frpd.errors import ConnectionLost, LimitError, TransportError
from frpd.net.endpoint import Outcome
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.work import WorkStream

SPARE = 10  # frp keeps up to pool_count + 10
MAX_WAITING = 16_384
# A request may be lost (a client without tcp_mux failed to dial): ask again.
ASK_AGAIN_SECONDS = 2.0

OnWork = Callable[[WorkStream], None]
OnFailed = Callable[[TransportError], None]


class Waiting:
    """A visitor that waits for a work connection; cancel() withdraws it."""

    __slots__ = ("deadline", "on_failed", "on_work")

    def __init__(self, deadline: float, on_work: OnWork, on_failed: OnFailed) -> None:
        self.deadline = deadline
        self.on_work: OnWork | None = on_work
        self.on_failed = on_failed

    def cancel(self) -> None:
        """Call nothing any more. Idempotent."""
        self.on_work = None


class WorkSource(Protocol):
    """Where the visitors of one client get their work streams. Loop thread only."""

    @property
    def ready(self) -> int:
        """Work streams in stock."""

    @property
    def asked(self) -> int:
        """Work connections that the client was asked for and has not brought."""

    @property
    def waiting(self) -> int:
        """Visitors that wait."""

    def fill(self) -> None:
        """Ask for what is missing; call it once after login."""

    def acquire(self, on_work: OnWork, on_failed: OnFailed) -> Waiting:
        """Get a work stream, at once or later; one of the two is called.

        Raises:
            LimitError: too many visitors wait already.
        """

    def arrived(self, work: WorkStream) -> bool:
        """The client brought a work connection; False if it is one too many."""

    def close(self) -> None:
        """Close what is in stock and fail who waits. Idempotent."""


class WorkConnPool:
    """Ready work connections and waiting visitors. Loop thread only.

    Args:
        loop: the loop.
        request: asks the client for one more work connection.
        pool_count: how many to keep ready.
        wait_seconds: how long a visitor waits at most.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        request: Callable[[], None],
        *,
        pool_count: int,
        wait_seconds: float,
    ) -> None:
        self._loop = loop
        self._request = request
        self._pool_count = pool_count
        self._wait_seconds = wait_seconds
        self._ready: deque[WorkStream] = deque()
        self._waiting: deque[Waiting] = deque()
        self._asked = 0
        self._timer: Timer | None = None
        self._last_arrival = 0.0
        self._closed = False

    @property
    def ready(self) -> int:
        """Work connections in stock."""
        return len(self._ready)

    @property
    def asked(self) -> int:
        """Work connections that the client was asked for and has not brought."""
        return self._asked

    @property
    def waiting(self) -> int:
        """Visitors that wait."""
        return sum(one.on_work is not None for one in self._waiting)

    def fill(self) -> None:
        """Ask for what is missing; call it once after login."""
        self._ask()

    def acquire(self, on_work: OnWork, on_failed: OnFailed) -> Waiting:
        """See WorkSource.acquire."""
        waiting = Waiting(self._loop.now() + self._wait_seconds, on_work, on_failed)
        if self._closed:
            self._fail(waiting, "the client has gone")
            return waiting
        if self._ready:
            work = self._ready.popleft()
            work.endpoint.watch(None, None)
            self._ask()
            on_work(work)
            return waiting
        if len(self._waiting) >= MAX_WAITING:
            raise LimitError(f"{MAX_WAITING} visitors wait for work connections already")
        self._waiting.append(waiting)
        self._ask()
        if self._timer is None:
            self._last_arrival = self._loop.now()
            self._rearm()
        return waiting

    def arrived(self, work: WorkStream) -> bool:
        """The client brought a work connection; False if it is one too many."""
        self._asked = max(self._asked - 1, 0)
        self._last_arrival = self._loop.now()
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.on_work is not None:
                waiting.on_work(work)
                return True
        if self._closed or len(self._ready) >= self._pool_count + SPARE:
            return False
        self._ready.append(work)
        self._guard(work)
        return True

    def close(self) -> None:
        """Close what is in stock and fail who waits. Idempotent."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ready, self._ready = self._ready, deque()
        for work in ready:
            work.endpoint.close()
        waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            self._fail(one, "the client has gone")

    def _guard(self, work: WorkStream) -> None:
        """Notice when a connection dies in stock; clients send nothing here."""

        def dropped() -> None:
            if work in self._ready:
                self._ready.remove(work)
            work.endpoint.abort()
            self._ask()

        def readable() -> None:
            try:
                if work.endpoint.read(1) is Outcome.EMPTY:
                    return
            except ConnectionLost:
                pass
            dropped()

        work.endpoint.on_failure = dropped
        work.endpoint.watch(readable, None)

    def _ask(self) -> None:
        wanted = len(self._waiting) + self._pool_count - len(self._ready)
        while self._asked < wanted and not self._closed:
            self._asked += 1
            self._request()

    def _rearm(self) -> None:
        self._timer = None
        if self._waiting:
            when = min(self._waiting[0].deadline, self._last_arrival + ASK_AGAIN_SECONDS)
            self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        now = self._loop.now()
        while self._waiting and self._waiting[0].deadline <= now:
            self._fail(self._waiting.popleft(), "timeout trying to get work connection")
        if self._waiting and now - self._last_arrival >= ASK_AGAIN_SECONDS:
            self._last_arrival = now
            self._asked = 0
            self._ask()
        self._rearm()

    def _fail(self, waiting: Waiting, reason: str) -> None:
        if waiting.on_work is not None:
            waiting.on_work = None
            waiting.on_failed(TransportError(reason))
