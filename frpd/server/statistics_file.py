"""StatisticsFile: daily figures of proxies outlive the server, in a file that workers write.

Nobody waits for it: the server is ready before the old figures are there, and they are added
when they come. Whatever is wrong with the file is told and costs no more than the history.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from frpd.clock import unix_now
from frpd.errors import LimitError
from frpd.log import get_logger
from frpd.metrics.statistics import SavedFigures, Statistics
from frpd.selector_loop import SelectorLoop, Timer
from frpd.workers import WorkerPool

if TYPE_CHECKING:
    from frpd.metrics.store import Answer

OFF: Final = "off"
FOLDER: Final = "/var/lib/frpd"
SAVE_SECONDS: Final = 60.0
LAST_SAVE_SECONDS: Final = 2.0
"""How long the end waits for a disk."""

_log = get_logger("frpd.server.statistics_file")


def place_of(setting: str, name: str, environ: Mapping[str, str]) -> str | None:
    """Return the path of the file; None for no file.

    Args:
        setting: ``statistics_file`` of the configuration.
        name: of the configuration's file.
        environ: of the process; systemd tells the state folder in it.
    """
    if setting:
        return None if setting == OFF else os.path.abspath(setting)
    folder = environ.get("STATE_DIRECTORY", "").partition(":")[0] or FOLDER
    if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
        return os.path.join(folder, f"{name}.sqlite")
    return None


class StatisticsFile:
    """Keeps figures in a file. Loop thread only.

    Args:
        loop: the loop.
        pool: reads and writes.
        statistics: kept; brought up to date by its owner.
        path: of the file; its folder is there.
    """

    def __init__(
        self, loop: SelectorLoop, pool: WorkerPool, statistics: Statistics, path: str
    ) -> None:
        self._loop = loop
        self._pool = pool
        self._statistics = statistics
        self._path = path
        self._is_loaded = False
        self._is_failing = False
        self._lock = threading.Lock()  # one writer at a time
        self._timer: Timer = loop.call_later(0.0, self._begin)

    def close(self) -> None:
        """Save what is not saved, if the disk is not stuck.

        Call it once, when nothing is counted any more, and before the pool is closed.
        """
        self._timer.cancel()
        self._statistics.sample({}, unix_now())
        figures = self._statistics.unsaved(unix_now())
        if figures is None or not self._is_loaded:  # the file knows more than we do
            return
        done = threading.Event()

        def last() -> None:
            try:
                self._save(figures)
            finally:
                done.set()

        with contextlib.suppress(LimitError):
            self._pool.submit(last, lambda _: None, lambda _: None)
            if not done.wait(LAST_SAVE_SECONDS):
                _log.warning("statistics may not be saved: %s takes too long", self._path)

    def _begin(self) -> None:
        try:
            self._pool.submit(self._load, self._loaded, self._not_loaded)
        except LimitError as error:
            self._not_loaded(error)

    def _loaded(self, answer: Answer) -> None:
        if answer.set_aside:
            _log.warning("statistics: %s", answer.set_aside)
        if answer.found is not None:
            self._statistics.resume(answer.found, unix_now())
        self._is_loaded = True
        self._save_later()

    def _not_loaded(self, error: Exception) -> None:
        """Try again: until it is read it must not be written."""
        self._tell_failure("read", error)
        self._timer = self._loop.call_later(SAVE_SECONDS, self._begin)

    def _save_later(self) -> None:
        self._timer = self._loop.call_later(SAVE_SECONDS, self._save_now)

    def _save_now(self) -> None:
        figures = self._statistics.unsaved(unix_now())
        if figures is None:
            self._save_later()
            return

        def saved(answer: Answer) -> None:
            if self._is_failing:
                self._is_failing = False
                _log.info("statistics: %s can be written again", self._path)
            if answer.set_aside:
                _log.warning("statistics: %s", answer.set_aside)
                self._statistics.not_saved()
            self._save_later()

        def failed(error: Exception) -> None:
            self._tell_failure("written", error)
            self._statistics.not_saved(figures)
            self._save_later()

        try:
            self._pool.submit(lambda: self._save(figures), saved, failed)
        except LimitError as error:
            failed(error)

    def _tell_failure(self, what: str, error: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            _log.warning("statistics: %s cannot be %s: %s", self._path, what, error)

    # Worker threads. The module of the store brings sqlite3, which the loop has no time to import.

    def _load(self) -> Answer:
        from frpd.metrics.store import load  # noqa: PLC0415 - see above

        return load(self._path, unix_now())

    def _save(self, figures: SavedFigures) -> Answer:
        from frpd.metrics.store import save  # noqa: PLC0415 - see above

        with self._lock:
            return save(self._path, figures, unix_now())
