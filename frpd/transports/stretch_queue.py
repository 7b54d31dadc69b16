"""StretchQueue: many secrets to stretch, one at a time.

Each takes 0.1 s of a worker and 32 MiB, and the workers have other things to do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from frpd.transports.stretched import StretchedSecret
from frpd.workers import WorkerPool


class QueuedSecret(StretchedSecret):
    """One of them; made by StretchQueue.add(). Loop thread only."""

    __slots__ = ("_is_queued", "_queue", "text")

    def __init__(self, pool: WorkerPool, queue: StretchQueue, text: str) -> None:
        super().__init__(pool, None)
        self._queue = queue
        self.text = text
        self._is_queued = True

    @property
    def is_pending(self) -> bool:
        """See StretchedSecret.is_pending."""
        return self._is_queued or self._job is not None

    def when_ready(self, call: Callable[[], None]) -> None:
        """See StretchedSecret.when_ready; it is the next one then."""
        if self._is_queued:
            self._queue.hurry(self)
        if self.is_pending:
            self._waiting.append(call)
        else:
            call()

    @property
    def is_worth_keeping(self) -> bool:
        """Whether it is there, or will be."""
        return self.is_pending or self.value is not None

    def give_up(self) -> None:
        """Nobody wants it any more: call back whoever waits."""
        if self._is_queued:
            self._is_queued = False
            self._queue.drop(self)
            self._settle()

    def begin(self, pool: WorkerPool) -> None:
        """It is its turn."""
        self._is_queued = False
        self._start(pool, self.text)
        if self._job is None:
            super()._settle()

    def close(self) -> None:
        """Call nobody back. Idempotent."""
        self._queue.drop(self)
        self._is_queued = False
        super().close()

    def _settle(self) -> None:
        super()._settle()
        self._queue.settled(self)


class StretchQueue:
    """Has at most one secret in work. Loop thread only.

    Args:
        pool: works them out.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._queued: OrderedDict[QueuedSecret, None] = OrderedDict()
        self._in_work: QueuedSecret | None = None

    def add(self, text: str) -> QueuedSecret:
        """Return a secret whose turn will come."""
        secret = QueuedSecret(self._pool, self, text)
        self._queued[secret] = None
        self._go_on()
        return secret

    def hurry(self, secret: QueuedSecret) -> None:
        """Make it the next one."""
        if secret in self._queued:
            self._queued.move_to_end(secret, last=False)

    def drop(self, secret: QueuedSecret) -> None:
        """Nobody wants it any more. Idempotent."""
        self._queued.pop(secret, None)
        self.settled(secret)

    def close(self) -> None:
        """Begin nothing any more. Idempotent."""
        self._queued.clear()

    def settled(self, secret: QueuedSecret) -> None:
        """It is done, or never will be."""
        if self._in_work is secret:
            self._in_work = None
            self._go_on()

    def _go_on(self) -> None:
        while self._in_work is None and self._queued:
            secret, _ = self._queued.popitem(last=False)
            secret.begin(self._pool)
            if secret.is_pending:
                self._in_work = secret
