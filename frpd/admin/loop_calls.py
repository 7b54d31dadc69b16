"""LoopCalls: how another thread asks the loop for something and waits for the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast

from frpd.errors import FrpError
from frpd.selector_loop import SelectorLoop

T = TypeVar("T")

LIMIT_SECONDS: Final = 5.0


class LoopBusyError(FrpError):
    """The loop did not answer in time, or is no more."""


class _Answer(Generic[T]):
    """One answer on its way."""

    __slots__ = ("error", "event", "given_up", "value")

    def __init__(self) -> None:
        self.event = threading.Event()
        self.value: T | None = None
        self.error: BaseException | None = None
        self.given_up = False

    def give(self, value: T) -> None:
        self.value = value
        self.event.set()

    def fail(self, error: BaseException) -> None:
        if not self.event.is_set():
            self.error = error
            self.event.set()


class LoopCalls:
    """Calls functions on the loop for other threads.

    Args:
        loop: the loop.
        limit_seconds: how long a call may take before its caller gives up. What had not
            begun by then is not done any more.
    """

    def __init__(self, loop: SelectorLoop, *, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._loop = loop
        self._limit_seconds = limit_seconds
        self._lock = threading.Lock()
        self._waiting: set[_Answer[object]] = set()
        self._closed = False

    def ask(self, fn: Callable[[], T]) -> T:
        """Return what ``fn()`` returns on the loop, or raise what it raises. Never on the loop.

        Raises:
            LoopBusyError: there is no answer in time.
        """

        def begin(done: Callable[[T], None]) -> None:
            done(fn())

        return self.ask_for(begin)

    def ask_for(
        self, begin: Callable[[Callable[[T], None]], object], limit_seconds: float | None = None
    ) -> T:
        """Begin something on the loop that answers later, by calling what it is given.

        Raises:
            LoopBusyError: there is no answer in time.
        """
        answer: _Answer[T] = _Answer()
        with self._lock:
            if self._closed:
                raise LoopBusyError("the program is stopping")
            self._waiting.add(answer)  # type: ignore[arg-type] # only failed, never read there
        try:
            self._loop.call_soon_threadsafe(_begin, begin, answer)
            limit = self._limit_seconds if limit_seconds is None else limit_seconds
            if not answer.event.wait(limit):
                answer.given_up = True
                raise LoopBusyError(f"no answer within {limit:g} s")
        finally:
            with self._lock:
                self._waiting.discard(answer)
        if answer.error is not None:
            raise answer.error
        return cast("T", answer.value)

    def close(self) -> None:
        """Answer no more; whoever waits hears so at once. Idempotent."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
        for answer in waiting:
            answer.fail(LoopBusyError("the program is stopping"))


def _begin(begin: Callable[[Callable[[T], None]], object], answer: _Answer[T]) -> None:
    """Loop thread only."""
    if answer.given_up:
        return
    try:
        begin(answer.give)
    except Exception as error:  # any: it belongs to whoever asked
        answer.fail(error)
