"""VisitorGate: who may come in, how many at a time, and how many new ones in a second.

It is asked once for each visitor and knows nothing of what the visitor wants. A refusal says
what HTTP calls it, for those who speak it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from frpd.log import PrefixLogger
from frpd.net.access_list import AccessList
from frpd.selector_loop import SelectorLoop

SAY_EVERY_SECONDS: Final = 60.0
FULL_RETRY_SECONDS: Final = 5
"""When somebody may have left: nobody knows, and it is soon."""
EVERYBODY: Final = AccessList(())


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a visitor may not come in.

    Attributes:
        kind: one word: address, rate or full; or unknown, where nobody tells the address.
        reason: in words, for logs and for visitors that are clients.
        status: of an HTTP answer.
        retry_seconds: when to come again; 0 for never.
    """

    kind: str
    reason: str
    status: int
    retry_seconds: int = 0

    @property
    def harshness(self) -> int:
        """More for what time does not mend."""
        return (429, 503, 403).index(self.status)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Fields of an HTTP answer."""
        return (("Retry-After", str(self.retry_seconds)),) if self.retry_seconds else ()


NOT_FROM_THERE: Final = Refusal("address", "not from this address", 403)
TOO_MANY: Final = Refusal("full", "too many visitors at a time", 503, FULL_RETRY_SECONDS)


class Crowd:
    """Visitors who are here, of whom there may be so many; several gates may count one.

    Args:
        limit: how many there may be; 0 for any number.

    Attributes:
        limit: may be changed; who is here stays.
        present: who is here.
    """

    __slots__ = ("__weakref__", "limit", "present")

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.present = 0


class VisitorGate:
    """One gate. Loop thread only.

    Args:
        loop: the loop.
        log: of whoever it belongs to.
        access: from where visitors may come.
        rate: new visitors in a second, after one second's worth at once; 0 for any number.
        crowds: that its visitors count in.

    Attributes:
        refused: how many were, by kind of refusal.
    """

    __slots__ = ("_access", "_crowds", "_filled_at", "_log", "_loop", "_rate", "_said", "_tokens",
                 "refused")  # fmt: skip

    def __init__(
        self,
        loop: SelectorLoop,
        log: PrefixLogger,
        *,
        access: AccessList = EVERYBODY,
        rate: float = 0.0,
        crowds: Sequence[Crowd] = (),
    ) -> None:
        self.refused: dict[str, int] = {}
        self._loop = loop
        self._log = log
        self._access = access
        self._rate = rate
        self._crowds = tuple(crowds)
        self._tokens = self._burst
        self._filled_at = loop.now()
        self._said: dict[str, tuple[float, int]] = {}  # when, and how many there were

    def refusal(self, host: str) -> Refusal | None:
        """Return why a visitor from this address may not come in; None if it may.

        It does not count as a visitor before enter().
        """
        if not self._access.admits(host):
            return NOT_FROM_THERE
        for crowd in self._crowds:
            if 0 < crowd.limit <= crowd.present:
                return TOO_MANY
        if self._rate and self._refill() < 1:
            wait = math.ceil((1 - self._tokens) / self._rate)
            return Refusal("rate", "too many new visitors in a second", 429, max(1, wait))
        return None

    def enter(self) -> None:
        """A visitor has come in."""
        if self._rate:
            self._tokens = self._refill() - 1
        for crowd in self._crowds:
            crowd.present += 1

    def left(self) -> None:
        """A visitor that came in is gone."""
        for crowd in self._crowds:
            crowd.present -= 1

    def turned_away(self, refusal: Refusal, visitor: str) -> None:
        """Count a visitor that was refused; the log gets a line a minute for each kind."""
        kind = refusal.kind
        count = self.refused[kind] = self.refused.get(kind, 0) + 1
        now = self._loop.now()
        said_at, said = self._said.get(kind, (-math.inf, 0))
        if now - said_at < SAY_EVERY_SECONDS:
            return
        self._said[kind] = now, count
        more = f", and {count - said - 1} before it" if said else ""
        self._log.warning("visitors are refused: %s: %s%s", refusal.reason, visitor, more)

    @property
    def _burst(self) -> float:
        return max(1.0, self._rate)

    def _refill(self) -> float:
        now = self._loop.now()
        gained = (now - self._filled_at) * self._rate
        self._filled_at = now
        self._tokens = min(self._burst, self._tokens + gained)
        return self._tokens
