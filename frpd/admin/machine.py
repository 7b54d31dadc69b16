"""How this machine and this process do, by psutil. Any thread.

A sandbox may hide what psutil reads, some of it while it is imported: then nothing is known,
and all else goes on.
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from frpd.clock import MonotonicClock
from frpd.log import get_logger

KEEP_SECONDS: Final = 1.0
"""So long an answer is good for everybody: shares of a processor need some time to be measured."""

Object = dict[str, object]

_log = get_logger("frpd.admin.machine")

_clock = MonotonicClock()


class Machine:
    """Looks at the machine, at most once a second.

    Args:
        now: a clock.
    """

    def __init__(self, now: Callable[[], float] = _clock.now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._psutil = _psutil()
        self._process = None if self._psutil is None else self._psutil.Process()
        self._taken_at = float("-inf")
        self._host: Object | None = None
        self._own: Object | None = None

    def host(self) -> Object | None:
        """Return processor and memory of the machine; None if they are hidden."""
        self._look()
        return self._host

    def process(self) -> Object | None:
        """Return what this process uses of it; None if that is hidden."""
        self._look()
        return self._own

    def _look(self) -> None:
        with self._lock:
            now = self._now()
            if now - self._taken_at < KEEP_SECONDS:
                return
            self._taken_at = now
            self._host = self._own = None
            if self._psutil is None:
                return
            hidden = (OSError, self._psutil.Error)
            with contextlib.suppress(*hidden):
                self._host = _host(self._psutil)
            with contextlib.suppress(*hidden):
                self._own = _own(self._process)


def _psutil() -> ModuleType | None:
    try:
        import psutil  # noqa: PLC0415 - it reads /proc meanwhile, which may be hidden
    except (ImportError, OSError) as error:
        _log.warning("figures of the machine are hidden: %s", error)
        return None
    return psutil


def _host(psutil: ModuleType) -> Object:
    memory = psutil.virtual_memory()
    return {
        "cpu_percent": psutil.cpu_percent(interval=None),
        "cpu_count": psutil.cpu_count() or 1,
        "load": [round(one, 2) for one in os.getloadavg()],
        "memory_total": memory.total,
        "memory_available": memory.available,
    }


def _own(process: Any) -> Object:
    with process.oneshot():
        return {
            "cpu_percent": process.cpu_percent(interval=None),
            "rss": process.memory_info().rss,
            "fds": process.num_fds(),
            "fd_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "threads": process.num_threads(),
        }
