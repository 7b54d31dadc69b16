"""Penalties: who offends has to stay away for a while, as with OpenSSH's PerSourcePenalties.

Sans-time: the caller says what time it is. Nothing that is refused is told or logged; one line
says when a source begins to be.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, nlargest
from typing import Final

from frpd.config.penalties import DENY_ALL, NET_BLOCKS, PENALTIES, NetBlockSize, PenaltyRules
from frpd.log import get_logger
from frpd.net.access_list import AccessList
from frpd.server.guard.sources import source_of

_STALE_PER_ROW: Final = 2
_STALE_AT_ALL: Final = 64
MOST_TOLD: Final = 1000

_log = get_logger("frpd.server.guard.penalties")


class Offence(enum.Enum):
    """What a source may be penalised for; values as in per_source_penalties."""

    AUTHFAIL = "authfail"
    """A secret that is wrong."""
    NOAUTH = "noauth"
    """It left without trying to prove anything."""
    GRACE_EXCEEDED = "grace-exceeded"
    """It took too long to do so."""
    PROTOCOL = "protocol"
    """What it said makes no sense."""
    REFUSECONNECTION = "refuseconnection"
    """An access list or a rate turned it away."""


@dataclass(frozen=True, slots=True)
class Penalty:
    """One source that has offended, for who asks.

    Attributes:
        source: an address, or a network.
        seconds_left: until all of it is forgotten.
        is_enforced: whether it is refused meanwhile.
        offences: that have added up.
        last: of them.
    """

    source: str
    seconds_left: float
    is_enforced: bool
    offences: int
    last: Offence


class _Row:
    __slots__ = ("is_enforced", "last", "offences", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self.is_enforced = False
        self.offences = 0
        self.last = Offence.AUTHFAIL


class Penalties:
    """Knows who has to stay away. Loop thread only.

    Args:
        rules: what offences cost.
        size: how wide a source is.
        exempt: networks that nothing is held against.
        of: behind the source in the log: of what it is refused, unless of the server.
    """

    def __init__(
        self,
        rules: PenaltyRules = PENALTIES,
        size: NetBlockSize = NET_BLOCKS,
        exempt: tuple[str, ...] = (),
        *,
        of: str = "",
    ) -> None:
        self._of = of
        self._v4 = _Table()
        self._v6 = _Table()
        self.use(rules, size, exempt)

    def use(self, rules: PenaltyRules, size: NetBlockSize, exempt: tuple[str, ...]) -> None:
        """Go by these from now on; what has been enforced is, but for who is exempt now."""
        self._rules = rules
        self._is_exempt: Callable[[str], bool] = (
            AccessList(exempt).admits if exempt else lambda _host: False
        )
        if not rules.is_on or size != self._v4.size:
            self.clear()
        for table, most, overflow in (
            (self._v4, rules.max_sources4, rules.overflow),
            (self._v6, rules.max_sources6, rules.overflow6),
        ):
            table.size, table.most, table.denies = size, most, overflow == DENY_ALL

    def offend(self, host: str, offence: Offence, now: float) -> float:
        """Hold something against an address that is known to be its own.

        Returns:
            For how many seconds its source is refused now; 0.0 if it is not.
        """
        rules = self._rules
        seconds: float = getattr(rules, offence.name.lower()) if rules.is_on else 0.0
        if not seconds or self._is_exempt(host):
            return 0.0
        table = self._v6 if ":" in host else self._v4
        row = table.row(source := source_of(host, table.size), now)
        if row is None:
            return table.full_seconds(now)
        until = min(max(now, row.until) + seconds, now + rules.max)
        table.extend(source, row, until)
        row.offences += 1
        row.last = offence
        if not row.is_enforced and until - now >= rules.min:
            row.is_enforced = True
            _log.warning(
                "penalty: %s refused%s for %.3g s (%s)",
                source,
                self._of,
                until - now,
                offence.value,
            )
        return until - now if row.is_enforced else 0.0

    def refused(self, host: str, now: float) -> float:
        """Return for how many seconds an address is still refused; 0.0 if it is not."""
        table = self._v6 if ":" in host else self._v4
        if not table.rows:
            return 0.0
        row = table.rows.get(source_of(host, table.size))
        if row is None:
            seconds = table.full_seconds(now)
        elif not row.is_enforced:
            return 0.0
        else:
            seconds = row.until - now
        return seconds if seconds > 0 and not self._is_exempt(host) else 0.0

    def __len__(self) -> int:
        return len(self._v4.rows) + len(self._v6.rows)

    def rows(self, now: float, limit: int = MOST_TOLD) -> list[Penalty]:
        """Return who has offended lately, those with the longest to wait, and first these."""
        known = [*self._v4.rows.items(), *self._v6.rows.items()]
        found = nlargest(limit, known, key=lambda item: (item[1].until, item[0]))
        return [
            Penalty(source, row.until - now, row.is_enforced, row.offences, row.last)
            for source, row in found
            if row.until > now
        ]

    def clear(self, host: str | None = None) -> int:
        """Forget what is held against an address or a source, or all; return how many that were."""
        if host is None:
            cleared = len(self)
            self._v4.forget_all()
            self._v6.forget_all()
            return cleared
        table = self._v6 if ":" in host else self._v4
        names = {host, source_of(host, table.size)}
        return sum(table.rows.pop(name, None) is not None for name in names)


class _Table:
    """The sources of one family: bounded, and whoever is free first is forgotten first.

    The heap may have older times of a source that has offended again, or was cleared: those
    are passed over, and swept out before they are many.
    """

    __slots__ = ("_ends", "denies", "most", "rows", "size")

    def __init__(self) -> None:
        self.rows: dict[str, _Row] = {}
        self.size = NET_BLOCKS
        self.most = 1
        self.denies = False
        self._ends: list[tuple[float, str]] = []

    def row(self, source: str, now: float) -> _Row | None:
        """Return the row of a source; None if the table is full and takes no more."""
        row = self.rows.get(source)
        if row is not None:
            if row.until > now:
                return row
            del self.rows[source]  # it begins anew
        self._drop_over(now)
        if len(self.rows) >= self.most:
            if self.denies:
                return None
            while len(self.rows) >= self.most:
                self._drop_next()
        row = self.rows[source] = _Row()
        return row

    def extend(self, source: str, row: _Row, until: float) -> None:
        row.until = until
        heappush(self._ends, (until, source))
        if len(self._ends) > _STALE_PER_ROW * len(self.rows) + _STALE_AT_ALL:
            self._ends = [(row.until, source) for source, row in self.rows.items()]
            heapify(self._ends)

    def full_seconds(self, now: float) -> float:
        """Return how long nobody is taken, as the table is full; 0.0 if it is not."""
        if not self.denies or len(self.rows) < self.most:
            return 0.0
        self._drop_over(now)
        if len(self.rows) < self.most:
            return 0.0
        return self._ends[0][0] - now

    def forget_all(self) -> None:
        self.rows.clear()
        self._ends.clear()

    def _drop_over(self, now: float) -> None:
        """Forget who is free by now, and leave the next one to be on top of the heap."""
        while self._ends:
            until, source = self._ends[0]
            row = self.rows.get(source)
            is_current = row is not None and row.until == until
            if is_current and until > now:
                return
            heappop(self._ends)
            if is_current:
                del self.rows[source]

    def _drop_next(self) -> None:
        while self._ends:
            until, source = heappop(self._ends)
            row = self.rows.get(source)
            if row is not None and row.until == until:
                del self.rows[source]
                return
