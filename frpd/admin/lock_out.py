"""LockOut: who has tried too many wrong passwords has to wait. Any thread."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from frpd.clock import MonotonicClock

MAX_FAILURES: Final = 5
WINDOW_SECONDS: Final = 60.0
FIRST_LOCK_SECONDS: Final = 60.0
LONGEST_LOCK_SECONDS: Final = 600.0
FORGET_SECONDS: Final = 3600.0
"""Without a wrong password, after which the locks begin small again."""
MAX_SOURCES: Final = 1024
V6_GROUPS: Final = 4
"""Of an IPv6 address: who has one has a whole /64."""

_clock = MonotonicClock()


class _Source:
    """One address."""

    __slots__ = ("failed_at", "failures", "lock_seconds", "until")

    def __init__(self) -> None:
        self.failures: list[float] = []  # of the last WINDOW_SECONDS
        self.failed_at = 0.0
        self.until = 0.0
        self.lock_seconds = 0.0


class LockOut:
    """Counts wrong passwords by address; the table is bounded.

    A right one changes nothing: who guesses may share an address with a dashboard that is
    open, or with a Prometheus.

    Where it overflows the address that failed longest ago is forgotten, and with it its
    lock: many addresses are needed for that, and each has but few tries.

    Args:
        now: a clock.
    """

    def __init__(self, now: Callable[[], float] = _clock.now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._sources: OrderedDict[str, _Source] = OrderedDict()  # failed longest ago first

    def seconds_left(self, address: str) -> float:
        """Return how long an address has to wait; 0.0 if it need not."""
        with self._lock:
            source = self._sources.get(_key(address))
            return 0.0 if source is None else max(0.0, source.until - self._now())

    def failed(self, address: str) -> float:
        """An address gave a wrong password; return for how long that locks it out."""
        with self._lock:
            now = self._now()
            self._forget_old(now)
            key = _key(address)
            source = self._sources.setdefault(key, _Source())
            self._sources.move_to_end(key)
            source.failed_at = now
            source.failures = [at for at in source.failures if now - at < WINDOW_SECONDS] + [now]
            if len(self._sources) > MAX_SOURCES:
                self._sources.popitem(last=False)
            if len(source.failures) < MAX_FAILURES:
                return 0.0
            source.failures.clear()
            seconds = min(max(FIRST_LOCK_SECONDS, source.lock_seconds * 2), LONGEST_LOCK_SECONDS)
            source.lock_seconds, source.until = seconds, now + seconds
            return seconds

    def _forget_old(self, now: float) -> None:
        while self._sources:
            oldest = next(iter(self._sources.values()))
            if now - oldest.failed_at < FORGET_SECONDS:
                return
            self._sources.popitem(last=False)


def _key(address: str) -> str:
    """Return what stands for an address: of IPv6 its network."""
    if ":" not in address or "." in address:
        return address
    try:
        known = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return ":".join(known.exploded.split(":")[:V6_GROUPS])
