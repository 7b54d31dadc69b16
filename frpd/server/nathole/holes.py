"""Holes: how many are being punched, and by whom; one book for one way of doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Final, Generic, Protocol, TypeVar

from frpd.clock import unix_now
from frpd.entropy import Entropy
from frpd.errors import ProxyError

MAX_HOLES: Final = 2048
MAX_PER_VISITOR: Final = 64
SID_RANDOM_BYTES: Final = 8
GIVE_UP_SECONDS: Final = 10.0


class Hole(Protocol):
    """What a book keeps."""

    sid: str

    @property
    def visitor_key(self) -> Hashable:
        """By which a visitor's holes are counted."""

    def close(self) -> None:
        """Stop its timers and calls. Idempotent."""


AnyHole = TypeVar("AnyHole", bound=Hole)


class HoleBook(Generic[AnyHole]):
    """Holes by their sid. Loop thread only."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._holes: dict[str, AnyHole] = {}
        self._by_visitor: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return len(self._holes)

    def new_sid(self, visitor_key: Hashable) -> str:
        """Return a name that nobody can guess, for a hole that is then to be added.

        Raises:
            ProxyError: there are too many already.
        """
        full = len(self._holes) >= MAX_HOLES
        if full or self._by_visitor[visitor_key] >= MAX_PER_VISITOR:
            raise ProxyError("too many hole punchings at a time")
        return f"{unix_now()}{self._entropy.token_bytes(SID_RANDOM_BYTES).hex()}"

    def add(self, hole: AnyHole) -> None:
        """Remember it until drop()."""
        self._holes[hole.sid] = hole
        self._by_visitor[hole.visitor_key] += 1

    def get(self, sid: str) -> AnyHole | None:
        """Return the hole of this name, if there is one."""
        return self._holes.get(sid)

    def drop(self, hole: AnyHole) -> None:
        """Forget it. Idempotent."""
        hole.close()
        if self._holes.pop(hole.sid, None) is None:
            return
        self._by_visitor[hole.visitor_key] -= 1
        if not self._by_visitor[hole.visitor_key]:
            del self._by_visitor[hole.visitor_key]

    def clear(self) -> None:
        """Forget all of them."""
        for hole in list(self._holes.values()):
            self.drop(hole)
