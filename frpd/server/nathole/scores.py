"""ScoreBook: what has worked between two networks, so that it is tried first the next time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from frpd.server.nathole.behaviours import Choice, first_scores
from frpd.server.nathole.classify import NatFeature

SUCCESS: Final = 2
MAX_SCORE: Final = 10
MAX_RECORDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Way:
    """Between which two networks: their public addresses and NATs."""

    owner_ip: str
    owner: NatFeature
    visitor_ip: str
    visitor: NatFeature


@dataclass(slots=True)
class _Record:
    scores: dict[Choice, int]
    used_at: float


class ScoreBook:
    """Scores of all ways that were gone lately. Times are those of the caller's clock.

    Args:
        reserve_seconds: how long a record outlives its last use.
    """

    def __init__(self, reserve_seconds: float) -> None:
        self.reserve_seconds = reserve_seconds
        self._records: OrderedDict[Way, _Record] = OrderedDict()  # unused longest first

    def __len__(self) -> int:
        return len(self._records)

    def choose(self, way: Way, now: float) -> Choice:
        """Return what to try; it has one point less until success() is told."""
        self._forget(now)
        record = self._records.get(way)
        if record is None:
            record = self._records[way] = _Record(first_scores(way.owner, way.visitor), now)
            if len(self._records) > MAX_RECORDS:
                self._records.popitem(last=False)
        self._use(way, record, now)
        choice = max(record.scores, key=record.scores.__getitem__)
        record.scores[choice] -= 1
        return choice

    def success(self, way: Way, choice: Choice, now: float) -> None:
        """It has worked; nothing is remembered of a way that was forgotten."""
        record = self._records.get(way)
        if record is not None and choice in record.scores:
            record.scores[choice] = min(record.scores[choice] + SUCCESS, MAX_SCORE)
            self._use(way, record, now)

    def _use(self, way: Way, record: _Record, now: float) -> None:
        record.used_at = now
        self._records.move_to_end(way)

    def _forget(self, now: float) -> None:
        while self._records:
            way, record = next(iter(self._records.items()))
            if now - record.used_at <= self.reserve_seconds:
                return
            del self._records[way]
