"""LoopCalls: how another thread asks the loop for something and waits for the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Final, Generic, TypeVar, cast

from frpd.errors import FrpError
from frpd.selector_loop import SelectorLoop

T = TypeVar("T")

LIMIT_SECONDS: Final = 5.0
SLICE_SECONDS: Final = 0.001
"""So long may the steps of one answer take in one turn."""


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
        limit = self._limit_seconds if limit_seconds is None else limit_seconds

        def start(answer: _Answer[T]) -> None:
            begin(answer.give)

        return self._wait(start, limit)

    def _wait(self, begin: Callable[[_Answer[T]], object], limit: float) -> T:
        answer: _Answer[T] = _Answer()
        with self._lock:
            if self._closed:
                raise LoopBusyError("the program is stopping")
            self._waiting.add(answer)  # type: ignore[arg-type] # only failed, never read there
        try:
            self._loop.call_soon_threadsafe(_begin, begin, answer)
            if not answer.event.wait(limit):
                answer.given_up = True
                raise LoopBusyError(f"no answer within {limit:g} s")
        finally:
            with self._lock:
                self._waiting.discard(answer)
        if answer.error is not None:
            raise answer.error
        return cast("T", answer.value)

    def ask_steps(self, begin: Callable[[], Generator[None, None, T]]) -> T:
        """Return what a generator returns that runs on the loop, some steps in each turn.

        Raises:
            LoopBusyError: there is no answer in time.
        """
        return self._wait(lambda answer: self._go_on(begin(), answer), self._limit_seconds)

    def close(self) -> None:
        """Answer no more; whoever waits hears so at once. Idempotent."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
        for answer in waiting:
            answer.fail(LoopBusyError("the program is stopping"))

    def _go_on(self, steps: Generator[None, None, T], answer: _Answer[T]) -> None:
        """Loop thread only."""
        now = self._loop.clock.now
        until = now() + SLICE_SECONDS
        try:
            while not answer.given_up:
                next(steps)
                if now() >= until:
                    self._loop.call_soon(self._go_on, steps, answer)
                    return
        except StopIteration as end:
            answer.give(end.value)
        except MemoryError:
            raise  # see SelectorLoop
        except Exception as error:  # any: it belongs to whoever asked
            answer.fail(error)


def _begin(begin: Callable[[_Answer[T]], object], answer: _Answer[T]) -> None:
    """Loop thread only."""
    if answer.given_up:
        return
    try:
        begin(answer)
    except MemoryError:
        raise  # see SelectorLoop
    except Exception as error:  # any: it belongs to whoever asked
        answer.fail(error)
