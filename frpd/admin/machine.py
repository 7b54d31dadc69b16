"""How this machine and this process do, by psutil. Any thread."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable
from typing import Final

import psutil

from frpd.clock import MonotonicClock

KEEP_SECONDS: Final = 1.0
"""So long an answer is good for everybody: shares of a processor need some time to be measured."""

Object = dict[str, object]

_clock = MonotonicClock()


class Machine:
    """Looks at the machine, at most once a second.

    Args:
        now: a clock.
    """

    def __init__(self, now: Callable[[], float] = _clock.now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._process = psutil.Process()
        self._taken_at = float("-inf")
        self._host: Object = {}
        self._own: Object = {}

    def host(self) -> Object:
        """Return processor and memory of the machine."""
        self._look()
        return self._host

    def process(self) -> Object:
        """Return what this process uses of it."""
        self._look()
        return self._own

    def _look(self) -> None:
        with self._lock:
            now = self._now()
            if now - self._taken_at < KEEP_SECONDS:
                return
            self._taken_at = now
            self._host = _host()
            self._own = _own(self._process)


def _host() -> Object:
    memory = psutil.virtual_memory()
    return {
        "cpu_percent": psutil.cpu_percent(interval=None),
        "cpu_count": psutil.cpu_count() or 1,
        "load": [round(one, 2) for one in os.getloadavg()],
        "memory_total": memory.total,
        "memory_available": memory.available,
    }


def _own(process: psutil.Process) -> Object:
    with process.oneshot():
        return {
            "cpu_percent": process.cpu_percent(interval=None),
            "rss": process.memory_info().rss,
            "fds": process.num_fds(),
            "fd_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "threads": process.num_threads(),
        }
