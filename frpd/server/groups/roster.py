"""Roster: who is in a group, whose turn it is, and who has refused lately."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Generic, TypeVar, cast

from frpd.server.groups.strategy import ROUND_ROBIN, STRATEGIES, Member

REFUSAL_SECONDS: Final = 10.0
"""So long a member whose service has refused a visitor is asked last."""
MAX_TRIES: Final = 5
"""Members that one visitor is given to."""

M = TypeVar("M", bound=Member)


class Roster(Generic[M]):
    """Members in the order in which they came. Loop thread only.

    Args:
        strategy: a key of STRATEGIES; another one counts as ROUND_ROBIN.
        first: whose turn is the first: 0 is the member that came first.
    """

    __slots__ = ("_choose", "_members", "_proven", "_refusals", "_turn")

    def __init__(self, strategy: str, first: int = 0) -> None:
        self._choose = STRATEGIES.get(strategy, STRATEGIES[ROUND_ROBIN])
        self._turn = first
        self._members: list[M] = []
        self._refusals: dict[object, float] = {}
        self._proven: set[object] = set()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> tuple[M, ...]:
        """Who is in it now."""
        return tuple(self._members)

    def add(self, member: M) -> None:
        """Let it be chosen from now on."""
        self._members.append(member)

    def remove(self, member: M) -> None:
        """Do not choose it any more; it was added once."""
        self._members.remove(member)
        self._refusals.pop(member, None)
        self._proven.discard(member)

    def refused(self, member: object, now: float) -> None:
        """Its service has not taken a visitor; it may have left meanwhile."""
        self._proven.discard(member)
        if member in self._members:
            self._refusals[member] = now

    def served(self, member: object) -> None:
        """Its service has taken a visitor; it may have left meanwhile."""
        if member in self._members:
            self._proven.add(member)

    def is_proven(self, member: object) -> bool:
        """Whether it has served, and not refused since then."""
        return member in self._proven

    def choose(self, source: str, now: float, tried: Collection[object] = ()) -> M | None:
        """Return who serves the next visitor; None when nobody is left.

        Args:
            source: the visitor's address.
            now: loop time.
            tried: who has failed this visitor already.
        """
        if len(tried) >= MAX_TRIES:
            return None
        members = self._members
        if tried or self._refusals:
            members = [member for member in members if member not in tried]
            members = [one for one in members if not self._is_ill(one, now)] or members
        if not members:
            return None
        turn = self._turn
        self._turn += 1
        return cast("M", self._choose(members, turn, source))

    def _is_ill(self, member: M, now: float) -> bool:
        refusal = self._refusals.get(member)
        if refusal is None:
            return False
        if now - refusal < REFUSAL_SECONDS:
            return True
        del self._refusals[member]
        return False
