"""FlowTable: who talks through a udp proxy, forgotten after silence, bounded in number.

UDP has no end of a conversation, so silence is one. The table keeps its flows in
the order in which they were heard last: one timer, for the oldest, serves them all, and
who has to give way when the table is full is the first one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from frpd.selector_loop import SelectorLoop, Timer

SILENT: Final = "fell silent"


class Flow:
    """One visitor; whoever fills a table derives from it."""

    __slots__ = ("bytes_in", "bytes_out", "heard_at", "opened_at")

    def __init__(self) -> None:
        self.opened_at = self.heard_at = 0.0
        self.bytes_in = self.bytes_out = 0


K = TypeVar("K", bound=Hashable)
F = TypeVar("F", bound=Flow)


class FlowTable(Generic[K, F]):
    """Flows by key. Loop thread only.

    Args:
        loop: the loop.
        on_closed: called with each flow that leaves the table and why; it may not change it.
        idle_seconds: silence after which a flow is forgotten.
        limit: how many there may be.

    Attributes:
        expired: flows that fell silent.
        evicted: flows that gave way to others.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        on_closed: Callable[[F, str], None],
        *,
        idle_seconds: float,
        limit: int,
    ) -> None:
        self.expired = self.evicted = 0
        self._loop = loop
        self._on_closed = on_closed
        self._idle_seconds = idle_seconds
        self._limit = limit
        self._flows: OrderedDict[K, F] = OrderedDict()  # silent longest first
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._flows)

    def find(self, key: K) -> F | None:
        """Return a flow that is heard now, or None."""
        flow = self._flows.get(key)
        if flow is not None and flow.heard_at != (now := self._loop.now()):
            flow.heard_at = now
            self._flows.move_to_end(key)
        return flow

    def add(self, key: K, flow: F) -> None:
        """Enter a flow that is heard now for the first time."""
        if len(self._flows) >= self._limit:
            self.evicted += 1
            self._close_first("gave way to others")
        flow.opened_at = flow.heard_at = self._loop.now()
        self._flows[key] = flow
        if self._timer is None:
            self._rearm()

    def clear(self, reason: str) -> None:
        """Close all flows."""
        while self._flows:
            self._close_first(reason)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_first(self, reason: str) -> None:
        _, flow = self._flows.popitem(last=False)
        self._on_closed(flow, reason)

    def _rearm(self) -> None:
        for flow in self._flows.values():
            when = flow.heard_at + self._idle_seconds
            self._timer = self._loop.call_at(when, self._silence)
            return
        self._timer = None

    def _silence(self) -> None:
        before = self._loop.now() - self._idle_seconds
        while self._flows and next(iter(self._flows.values())).heard_at <= before:
            self.expired += 1
            self._close_first(SILENT)
        self._rearm()
