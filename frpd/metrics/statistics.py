"""Statistics of a server: what passed through each proxy on each of the last days.

Sans-IO: times are Unix seconds and come as arguments; days begin at local midnight. The
counters themselves belong to the proxies. A sample compares them with what the last one
saw, so that connections count while they run, and on the day on which their bytes passed.

As in frp a proxy that registers again under its name and type goes on with its figures, one
of another type begins anew, and proxies that are gone stay listed for seven days. Unlike there
their number is bounded: names come from clients.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from frpd.metrics.counters import ProxyCounters

DAYS: Final = 7
DAY_SECONDS: Final = 86_400
MAX_OFFLINE: Final = 1000
NOTHING: Final = (0, 0)


def local_day(now: float) -> int:
    """Return the number of the local day that a Unix time lies in."""
    return int((now + time.localtime(now).tm_gmtoff) // DAY_SECONDS)


Day = tuple[int, int, int]
"""Number of a local day, and bytes each way on it."""


class SavedProxy(NamedTuple):
    """What outlives the server of one proxy.

    Attributes:
        name: with the user's prefix.
        proxy_type: such as ``tcp``.
        seen_at: when it was last known to be registered, Unix time.
        days: those with any traffic.
    """

    name: str
    proxy_type: str
    seen_at: float
    days: tuple[Day, ...]


class SavedFigures(NamedTuple):
    """What outlives the server.

    Attributes:
        proxies: seen longest ago first.
        total: of all proxies, by day.
        forgotten: names of proxies that are to be forgotten.
    """

    proxies: tuple[SavedProxy, ...]
    total: tuple[Day, ...]
    forgotten: tuple[str, ...]


class DailyTraffic:
    """Bytes each way by day, today's first."""

    __slots__ = ("_bytes_in", "_bytes_out", "_day")

    def __init__(self, day: int) -> None:
        self._day = day
        self._bytes_in = [0] * DAYS
        self._bytes_out = [0] * DAYS

    def add(self, bytes_in: int, bytes_out: int, day: int) -> None:
        """Count bytes as passed on that day."""
        self._turn_to(day)
        self._bytes_in[0] += bytes_in
        self._bytes_out[0] += bytes_out

    def until(self, day: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return what came in and went out, that day's first."""
        self._turn_to(day)
        return tuple(self._bytes_in), tuple(self._bytes_out)

    def days(self) -> tuple[Day, ...]:
        """Return the days with any traffic."""
        rows = enumerate(zip(self._bytes_in, self._bytes_out, strict=True))
        return tuple((self._day - ago, *both) for ago, both in rows if any(both))

    def resume(self, days: Iterable[Day]) -> None:
        """Add what had passed before."""
        for day, bytes_in, bytes_out in days:
            ago = self._day - day
            if 0 <= ago < DAYS:
                self._bytes_in[ago] += bytes_in
                self._bytes_out[ago] += bytes_out

    def _turn_to(self, day: int) -> None:
        passed = min(day - self._day, DAYS)
        if passed <= 0:
            return  # the same day, or a clock that was set back
        self._day = day
        for days in (self._bytes_in, self._bytes_out):
            days[:] = [0] * passed + days[: DAYS - passed]


@dataclass(frozen=True, slots=True)
class ProxyFigures:
    """What is known of one proxy; a copy.

    Attributes:
        name: with the user's prefix.
        proxy_type: such as ``tcp``.
        run_id: of the client that has it, or had it last.
        is_online: whether it is registered now.
        started_at: when it was registered last.
        closed_at: when it was closed last; 0.0 for never.
        traffic_in: bytes from visitors by day, today's first.
        traffic_out: bytes to visitors by day.
        bytes_in: bytes from visitors since it was first registered.
        bytes_out: the same to visitors.
        connections_open: visitors connected now.
        connections_total: visitors ever.
    """

    name: str
    proxy_type: str
    run_id: str
    is_online: bool
    started_at: float
    closed_at: float
    traffic_in: tuple[int, ...]
    traffic_out: tuple[int, ...]
    bytes_in: int
    bytes_out: int
    connections_open: int
    connections_total: int


class _Record:
    """One proxy's books."""

    __slots__ = (
        "closed_at",
        "counters",
        "daily",
        "is_unsaved",
        "name",
        "proxy_type",
        "run_id",
        "seen",
        "seen_connections",
        "started_at",
    )

    def __init__(self, name: str, proxy_type: str, counters: ProxyCounters, day: int) -> None:
        self.name = name
        self.proxy_type = proxy_type
        self.counters = counters
        self.daily = DailyTraffic(day)
        self.seen = NOTHING  # bytes each way that were counted by day
        self.seen_connections = counters.connections_total
        self.run_id = ""
        self.started_at = 0.0
        self.closed_at = 0.0
        self.is_unsaved = True

    def saved(self, seen_at: float) -> SavedProxy:
        self.is_unsaved = False
        return SavedProxy(self.name, self.proxy_type, seen_at, self.daily.days())

    def figures(self, day: int, *, is_online: bool) -> ProxyFigures:
        traffic_in, traffic_out = self.daily.until(day)
        return ProxyFigures(
            name=self.name,
            proxy_type=self.proxy_type,
            run_id=self.run_id,
            is_online=is_online,
            started_at=self.started_at,
            closed_at=self.closed_at,
            traffic_in=traffic_in,
            traffic_out=traffic_out,
            bytes_in=self.seen[0],
            bytes_out=self.seen[1],
            connections_open=self.counters.connections_open,
            connections_total=self.counters.connections_total,
        )


class Statistics:
    """The books of all proxies of a server. Loop thread only.

    Args:
        now: Unix time.
        max_offline: proxies that are gone and still listed; whoever went first is forgotten.

    Attributes:
        bytes_in: bytes from visitors of all proxies, ever; as the last sample found them.
        bytes_out: the same to visitors.
        connections: visitors of all proxies, ever.
    """

    def __init__(self, now: float, *, max_offline: int = MAX_OFFLINE) -> None:
        self.bytes_in = 0
        self.bytes_out = 0
        self.connections = 0
        self._max_offline = max_offline
        self._online: dict[str, _Record] = {}
        self._offline: dict[str, _Record] = {}  # gone longest first
        self._draining: set[str] = set()  # of those, whose visitors may still be connected
        self._total = DailyTraffic(local_day(now))
        self._forgotten: list[str] = []

    def counters(self, name: str, proxy_type: str) -> ProxyCounters:
        """Return the counters that a proxy is to go on with."""
        known = self._offline.get(name)
        if known is not None and known.proxy_type == proxy_type:
            return known.counters
        return ProxyCounters()

    def proxy_started(
        self, name: str, proxy_type: str, counters: ProxyCounters, *, run_id: str, now: float
    ) -> None:
        """A proxy was registered, with counters of counters()."""
        self._draining.discard(name)
        record = self._offline.pop(name, None)
        if record is None or record.counters is not counters:
            record = _Record(name, proxy_type, counters, local_day(now))
        record.run_id = run_id
        record.started_at = now
        record.is_unsaved = True
        self._online[name] = record

    def proxy_closed(self, name: str, now: float) -> None:
        """It is not registered any more."""
        record = self._online.pop(name, None)
        if record is None:
            return
        record.closed_at = now
        record.is_unsaved = True
        self._offline[name] = record
        self._draining.add(name)
        if len(self._offline) > self._max_offline:
            self._forget(next(iter(self._offline)))

    def sample(self, live: Mapping[str, tuple[int, int]], now: float) -> None:
        """Count what has passed since the last sample; call it before figures are read.

        Args:
            live: bytes in and out so far of what runs, by proxy; counters do not have them yet.
            now: Unix time.
        """
        day = local_day(now)
        for record in self._online.values():
            self._count(record, live.get(record.name, NOTHING), day)
        for name in list(self._draining):
            record = self._offline[name]
            self._count(record, live.get(name, NOTHING), day)
            if record.counters.connections_open <= 0:
                self._draining.discard(name)
        self._expire(now)

    def figures(self, now: float) -> Iterator[ProxyFigures]:
        """Yield the figures of all proxies, of those that are gone too.

        Proxies may come and go between two of them.
        """
        day = local_day(now)
        for record in [*self._online.values(), *self._offline.values()]:
            yield record.figures(day, is_online=self._online.get(record.name) is record)

    def owner(self, name: str) -> str:
        """Return the run id of the client that has a proxy, or had it last; "" for none."""
        record = self._online.get(name) or self._offline.get(name)
        return "" if record is None else record.run_id

    def total(self, now: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return bytes in and out by day of all proxies, also of forgotten ones."""
        return self._total.until(local_day(now))

    def forget_offline(self) -> tuple[int, int]:
        """Drop proxies that are gone; return how many those were, and of how many."""
        cleared = len(self._offline)
        self._forgotten += self._offline
        self._offline.clear()
        self._draining.clear()
        return cleared, cleared + len(self._online)

    # What outlives us.

    def unsaved(self, now: float) -> SavedFigures | None:
        """Return what has changed since the last call; None if nothing has."""
        changed = [one.saved(one.closed_at) for one in self._offline.values() if one.is_unsaved]
        changed += [one.saved(now) for one in self._online.values() if one.is_unsaved]
        forgotten, self._forgotten = tuple(self._forgotten), []
        if not (changed or forgotten):
            return None
        return SavedFigures(tuple(changed), self._total.days(), forgotten)

    def not_saved(self, figures: SavedFigures | None = None) -> None:
        """Count everything as changed: these, or all figures, are not kept after all."""
        for records in (self._offline, self._online):
            for record in records.values():
                record.is_unsaved = True
        if figures is not None:
            self._forgotten[:0] = figures.forgotten

    def resume(self, saved: SavedFigures, now: float) -> None:
        """Add what was known before we were started; proxies may have come meanwhile."""
        day = local_day(now)
        self._total.until(day)
        self._total.resume(saved.total)
        known = self._online | self._offline
        before: dict[str, _Record] = {}
        for one in saved.proxies:
            record = known.get(one.name)
            if record is None and one.name not in self._forgotten:
                record = before[one.name] = _Record(one.name, one.proxy_type, ProxyCounters(), day)
                record.closed_at = one.seen_at
            if record is not None and record.proxy_type == one.proxy_type:
                record.daily.until(day)
                record.daily.resume(one.days)
        self._offline = before | self._offline
        while len(self._offline) > self._max_offline:
            self._forget(next(iter(self._offline)))

    def _count(self, record: _Record, live: tuple[int, int], day: int) -> None:
        counters, seen = record.counters, record.seen
        self.connections += counters.connections_total - record.seen_connections
        record.seen_connections = counters.connections_total
        total = (counters.bytes_in + live[0], counters.bytes_out + live[1])
        if total == seen:
            return
        # An older sample may end after a younger one; and visitors of an earlier proxy of the
        # name may end while another type has it.
        bytes_in, bytes_out = max(0, total[0] - seen[0]), max(0, total[1] - seen[1])
        record.seen = seen[0] + bytes_in, seen[1] + bytes_out
        record.daily.add(bytes_in, bytes_out, day)
        record.is_unsaved = True
        self._total.add(bytes_in, bytes_out, day)
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out

    def _expire(self, now: float) -> None:
        while self._offline:
            record = next(iter(self._offline.values()))
            if now - record.closed_at <= DAYS * DAY_SECONDS:
                return
            self._forget(record.name)

    def _forget(self, name: str) -> None:
        del self._offline[name]
        self._draining.discard(name)
