"""StretchedSecret: what scrypt makes of a token, worked out beside the loop at the start."""

from __future__ import annotations

from collections.abc import Callable

from frpd.errors import LimitError
from frpd.log import get_logger
from frpd.proto import seal_keys
from frpd.workers import Job, WorkerPool

_log = get_logger("frpd.transports.stretched")


class StretchedSecret:
    """Starts at once, and calls back whoever waits. Loop thread only.

    Args:
        pool: works it out.
        secret: the text; an empty one is not worth it, nor is None.
        ahead: has what comes of it, since that was begun elsewhere; any thread.
    """

    __slots__ = ("_job", "_waiting", "value")

    def __init__(
        self, pool: WorkerPool, secret: str | None, ahead: Callable[[], bytes] | None = None
    ) -> None:
        self.value: bytes | None = None
        """None for ever if there is nothing to stretch, or it failed."""
        self._waiting: list[Callable[[], None]] = []
        self._job: Job | None = None
        if secret:
            self._start(pool, secret, ahead)

    def _start(self, pool: WorkerPool, text: str, ahead: Callable[[], bytes] | None = None) -> None:
        work = ahead or (lambda: seal_keys.stretch(text))
        try:
            self._job = pool.submit(work, self._done, self._failed)
        except LimitError as error:
            _log.warning("seal is not possible: %s", error)

    @property
    def is_pending(self) -> bool:
        """Whether the answer is yet to come."""
        return self._job is not None

    def when_ready(self, call: Callable[[], None]) -> None:
        """Call once it is there or never will be: now, or later."""
        if self._job is None:
            call()
        else:
            self._waiting.append(call)

    def close(self) -> None:
        """Call nobody back. Idempotent."""
        self._waiting.clear()
        if self._job is not None:
            self._job.cancel()

    def _done(self, value: bytes) -> None:
        self.value = value
        self._settle()

    def _failed(self, error: Exception) -> None:
        _log.warning("seal is not possible: %s", error)
        self._settle()

    def _settle(self) -> None:
        self._job = None
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()
