"""HeadStart: one piece of work for a thread of its own while the program is still being loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class HeadStart(Generic[T]):
    """Begins at once. Not before a fork: no thread outlives one.

    Args:
        work: done without the interpreter's lock, or nothing is gained.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._done: list[T] = []
        self._error: BaseException | None = None
        # There is no WorkerPool yet: it is among what is still being loaded.
        self._thread = threading.Thread(target=self._run, daemon=True)  # noqa: TID251
        self._thread.start()

    def result(self) -> T:
        """Return what came of it, once it is there; raises what the work raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._done[0]

    def _run(self) -> None:
        try:
            self._done.append(self._work())
        except Exception as error:
            self._error = error
