"""How a group chooses among its members: a function each, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final, Protocol, TypeVar

from frpd.metrics.counters import ProxyCounters
from frpd.net.visitor_gate import VisitorGate

ROUND_ROBIN: Final = "round_robin"
LEAST_CONNECTIONS: Final = "least_connections"
SOURCE_HASH: Final = "source_hash"


class Member(Protocol):
    """One of a group: a proxy."""

    @property
    def name(self) -> str:
        """Of the proxy; stays when its client comes back."""

    @property
    def counters(self) -> ProxyCounters:
        """Of the proxy."""

    @property
    def gate(self) -> VisitorGate | None:
        """Says who may visit it."""


M = TypeVar("M", bound=Member)


def _in_turn(members: Sequence[M], turn: int, _source: str) -> M:
    return members[turn % len(members)]


def _least_busy(members: Sequence[M], turn: int, _source: str) -> M:
    """Among those who are equally busy it goes in turn."""
    start = turn % len(members)
    in_turn = [*members[start:], *members[:start]]
    return min(in_turn, key=lambda member: member.counters.connections_open)


def _by_source(members: Sequence[M], _turn: int, source: str) -> M:
    """Rendezvous hashing: who comes or goes moves only the visitors that are its own."""
    return max(members, key=lambda member: _weight(member.name, source))


def _weight(name: str, source: str) -> bytes:
    return blake2b(f"{source} {name}".encode("utf-8", "replace"), digest_size=8).digest()


Choose = Callable[[Sequence[Member], int, str], Member]

STRATEGIES: Final[Mapping[str, Choose]] = {
    ROUND_ROBIN: _in_turn,
    LEAST_CONNECTIONS: _least_busy,
    SOURCE_HASH: _by_source,
}
"""Of members (at least one), whose turn it is, and the visitor's address, one member."""
