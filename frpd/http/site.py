"""What an http route leads to, and the work connections that a visitor has there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from frpd.errors import ConnectionLost, FrpError
from frpd.log import PrefixLogger
from frpd.metrics.counters import ProxyCounters
from frpd.net.address import SockAddr
from frpd.net.endpoint import Endpoint, Outcome
from frpd.net.pipes import PipePool

if TYPE_CHECKING:
    from frpd.proto.http.rewrite import Rules

OnWork = Callable[[Endpoint], None]
OnNoWork = Callable[[FrpError], None]


class Call(Protocol):
    """A call for a work connection, under way."""

    def cancel(self) -> None:
        """Call nothing any more."""


class Site(Protocol):
    """Who serves requests: an http proxy, or whom a visitor names."""

    @property
    def unserved_status(self) -> int:
        """Of the answer when nobody serves a request."""

    @property
    def name(self) -> str:
        """Of the proxy."""

    @property
    def log(self) -> PrefixLogger:
        """With the proxy's prefix."""

    @property
    def counters(self) -> ProxyCounters:
        """Of the proxy; its connections are work connections."""

    @property
    def pipes(self) -> PipePool | None:
        """For bulk."""

    @property
    def half_closes(self) -> bool:
        """Whether its client passes half-closes on."""

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """Whether who names this user and password may ask."""

    def rules_for(self, visitor_ip: str) -> Rules:
        """Return how requests of this visitor are rewritten."""

    def call(self, visitor: SockAddr, on_work: OnWork, on_failed: OnNoWork) -> Call:
        """Get a work connection; one of the two is called, maybe before this returns."""


class WorkLine:
    """A work connection on which one visitor asks one site. Loop thread only.

    Args:
        site: asked.
        work: its work connection; owned from now on.

    Attributes:
        is_used: it has carried an exchange before.
        since: when the last one was over.
    """

    __slots__ = ("_on_gone", "is_used", "since", "site", "work")

    def __init__(self, site: Site, work: Endpoint) -> None:
        self.site = site
        self.work = work
        self.is_used = False
        self.since = 0.0
        self._on_gone: Callable[[WorkLine], None] | None = None
        site.counters.opened()

    def rest(self, now: float, on_gone: Callable[[WorkLine], None]) -> None:
        """Wait for the next exchange; ``on_gone`` is called if the service ends it before."""
        self.is_used = True
        self.since = now
        self._on_gone = on_gone
        self.work.on_failure = self._gone
        self.work.watch(self._speaks, None)

    def drop(self, *, clean: bool = False) -> None:
        """End it; ``clean`` if nothing is under way on it."""
        self._on_gone = None
        self.work.on_failure = None
        self.site.counters.closed(0, 0)
        if clean:
            self.work.close()
        else:
            self.work.abort()

    def _speaks(self) -> None:
        """Nobody has asked: it is an end, or nothing to build on."""
        try:
            if self.work.read(1) is Outcome.EMPTY:
                return
        except ConnectionLost:
            pass
        self._gone()

    def _gone(self) -> None:
        on_gone, self._on_gone = self._on_gone, None
        if on_gone is not None:
            on_gone(self)
