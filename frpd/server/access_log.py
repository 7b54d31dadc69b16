"""Where visits that are over are told: in a file of their own, or in the log.

The file is written by a worker, so that a slow disk costs lines and not time: what waits is
bounded, what finds no room is counted and the number logged. It rotates as ``log_file`` does.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from typing import Final

from frpd.clock import unix_time
from frpd.errors import LimitError
from frpd.log import get_logger
from frpd.log_file import LogFile
from frpd.metrics.access import Visit, as_json, as_remark, as_text, fields
from frpd.selector_loop import SelectorLoop, Timer
from frpd.workers import WorkerPool

FLUSH_SECONDS: Final = 0.2
MAX_WAITING: Final = 10_000
"""Lines; of 300 bytes as a rule, of 14 KiB at worst."""
LAST_WORDS_SECONDS: Final = 2.0
"""How long the end waits for a disk."""

_log = get_logger("frpd.server.access_log")
_lines = logging.getLogger("frpd.access")


class AccessFile:
    """Writes lines to a file. Loop thread only.

    Args:
        loop: the loop.
        pool: writes.
        file: owned from now on.
        as_json: whether lines are objects.

    Attributes:
        dropped: lines that were not written.
    """

    def __init__(
        self, loop: SelectorLoop, pool: WorkerPool, file: LogFile, *, as_json: bool
    ) -> None:
        self.file = file
        self.dropped = 0
        self._told = 0
        self._loop = loop
        self._pool = pool
        self._as_json = as_json
        self._timer: Timer | None = None
        self._is_writing = False
        # Of both threads: one puts in, whoever holds the lock takes out and writes.
        self._waiting: deque[Visit] = deque()
        self._lock = threading.Lock()

    def tell(self, visit: Visit) -> None:
        """Have a line written soon."""
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(visit)
        self._write_soon()

    def close(self) -> None:
        """Write what waits, if the disk is not stuck, and close the file.

        Call it once, after what may tell, and before the pool is closed.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_writing = True
        done = threading.Event()
        with contextlib.suppress(LimitError):
            self._pool.submit(lambda: self._write_last(done), lambda _: None, lambda _: None)
            done.wait(LAST_WORDS_SECONDS)

    def _write_soon(self) -> None:
        if self._timer is None and not self._is_writing:
            self._timer = self._loop.call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._is_writing = True
        try:
            self._pool.submit(self._write, self._written, self._failed)
        except LimitError as error:
            self._failed(error)

    def _written(self, lost: tuple[int, str]) -> None:
        number, reason = lost
        self.dropped += number
        self._is_writing = False
        if self._waiting:
            self._write_soon()
        if self.dropped == self._told:
            return
        if not self._told or not number:  # the first of a trouble, and its sum
            why = reason or "more came than could be written"
            lines = self.dropped - self._told
            _log.warning("access_log: %d lines were dropped: %s", lines, why)
            self._told = self.dropped

    def _failed(self, error: Exception) -> None:
        self._written((0, str(error)))

    # Worker threads.

    def _write(self) -> tuple[int, str]:
        """Write all that waits; return how many lines were lost, and why."""
        with self._lock:
            found = [self._waiting.popleft() for _ in range(len(self._waiting))]
            form = as_json if self._as_json else as_text
            text = "".join(f"{form(visit)}\n" for visit in found)
            self.file.follow(unix_time())
            try:
                self.file.write(text.encode("utf-8", "backslashreplace"))
            except OSError as error:
                return len(found), f"cannot write to {self.file.path}: {error.strerror}"
            return 0, ""

    def _write_last(self, done: threading.Event) -> None:
        try:
            self._write()
            with self._lock:
                self.file.close()
        finally:
            done.set()


def tell_in_log(visit: Visit) -> None:
    """Tell of a visit by a line of the log."""
    if not _lines.isEnabledFor(logging.INFO):
        return
    names = tuple(name for name in (visit.run_id, visit.proxy) if name)
    prefix = "".join(f"[{name}] " for name in names)
    facts = {"access": fields(visit)}
    extra = {"prefix": prefix, "names": names, "facts": facts}
    _lines.info("access: %s", as_remark(visit), extra=extra)
