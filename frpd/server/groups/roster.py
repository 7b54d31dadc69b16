"""Roster: who is in a group, whose turn it is, and who has refused lately."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Generic, TypeVar, cast

from frpd.net.visitor_gate import Refusal
from frpd.server.groups.strategy import ROUND_ROBIN, STRATEGIES, Member

REFUSAL_SECONDS: Final = 10.0
"""So long a member whose service has refused a visitor is asked last."""
MAX_TRIES: Final = 5
"""Members that one visitor is given to."""

M = TypeVar("M", bound=Member)


def _refusal(member: Member, source: str) -> Refusal | None:
    gate = member.gate
    return None if gate is None else gate.refusal(source)


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
        """Return who serves the next visitor; None when nobody is left who would.

        Args:
            source: the visitor's address.
            now: loop time.
            tried: who has failed this visitor already.
        """
        if len(tried) >= MAX_TRIES:
            return None
        members = self._members
        if not (tried or self._refusals):
            return self._one_of(members, source)
        members = [member for member in members if member not in tried]
        healthy = [one for one in members if not self._is_ill(one, now)]
        return self._one_of(healthy, source) or self._one_of(members, source)

    def refusal(self, source: str) -> tuple[M, Refusal] | None:
        """Return why all members refuse this visitor: the one who does it most mildly.

        None if any of them would take it, or there is nobody.
        """
        mildest: tuple[M, Refusal] | None = None
        for member in self._members:
            refusal = _refusal(member, source)
            if refusal is None:
                return None
            if mildest is None or refusal.harshness < mildest[1].harshness:
                mildest = member, refusal
        return mildest

    def _one_of(self, members: list[M], source: str) -> M | None:
        """Return whose turn it is of those who do not refuse this visitor."""
        if not members:
            return None
        turn = self._turn
        member = cast("M", self._choose(members, turn, source))
        if _refusal(member, source) is not None:
            members = [one for one in members if _refusal(one, source) is None]
            if not members:
                return None
            member = cast("M", self._choose(members, turn, source))
        self._turn += 1
        return member

    def _is_ill(self, member: M, now: float) -> bool:
        refusal = self._refusals.get(member)
        if refusal is None:
            return False
        if now - refusal < REFUSAL_SECONDS:
            return True
        del self._refusals[member]
        return False
