"""The two sides of an exchange: a visitor, and what a route leads to; and what joins them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

from frpd.errors import ConnectionLost, FrpError
from frpd.http.limits import HttpLimits
from frpd.log import PrefixLogger
from frpd.metrics.access import ProxyAccess
from frpd.metrics.counters import ProxyCounters
from frpd.net.address import SockAddr
from frpd.net.endpoint import Buffer, Endpoint, Outcome
from frpd.net.pipes import PipePool
from frpd.net.visitor_gate import VisitorGate
from frpd.relay.relay import Relays
from frpd.selector_loop import SelectorLoop

if TYPE_CHECKING:
    from frpd.proto.http.head import RequestHead
    from frpd.proto.http.rewrite import AnswerRules, Rules

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
    def access(self) -> ProxyAccess | None:
        """Where requests that are over are told; None where nobody wants to know."""

    @property
    def gate(self) -> VisitorGate | None:
        """Counts requests under way; None where nobody limits them."""

    @property
    def pipes(self) -> PipePool | None:
        """For bulk."""

    @property
    def half_closes(self) -> bool:
        """Whether its client passes half-closes on."""

    @property
    def answer_rules(self) -> AnswerRules:
        """What is changed in its answers."""

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """Whether who names this user and password may ask."""

    def rules_for(self, visitor_ip: str) -> Rules:
        """Return how requests of this visitor are rewritten."""

    def call(self, visitor: SockAddr, on_work: OnWork, on_failed: OnNoWork) -> Call:
        """Get a work connection; one of the two is called, maybe before this returns."""


def enter(site: Site) -> None:
    """A request is given to a site, whose gate has not refused it."""
    if site.gate is not None:
        site.gate.enter()


def leave(site: Site) -> None:
    """The request is over, or somebody else's."""
    if site.gate is not None:
        site.gate.left()


class Spares(Protocol):
    """Who may serve a request instead of a site that cannot: the others of its group."""

    def refused(self, site: Site) -> None:
        """A site has not taken a request: its service is not there, or says nothing."""

    def other(self, visitor_ip: str, tried: Collection[Site]) -> Site | None:
        """Return one that was not tried; None when there is none, or it was enough."""


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


class VisitorSide(Protocol):
    """Whose exchange it is: a visitor's connection."""

    loop: SelectorLoop
    ip: str
    limits: HttpLimits
    running: Relays

    @property
    def stream(self) -> Endpoint:
        """The connection."""

    @property
    def peer(self) -> SockAddr:
        """Where the visitor is, as far as it is known."""

    @property
    def half_closes(self) -> bool:
        """Whether the end of one direction may come alone."""

    def describe(self) -> str:
        """Return the visitor's name for logs."""

    def write_last(self, data: Buffer) -> int:
        """Write to the connection what its close will follow at once."""

    @property
    def is_leaving(self) -> bool:
        """Whether no further request will be taken."""

    def set_deadline(self, seconds: float) -> None:
        """Have the exchange told when so much time has passed; inf for never."""

    def line_to(self, site: Site, stale_seconds: float) -> WorkLine | None:
        """Return the line kept for this site, if it has not waited longer than this."""

    def new_line(self, site: Site, work: Endpoint) -> WorkLine:
        """Return a line over a work connection that has just come."""

    def keep_line(self, line: WorkLine) -> None:
        """Keep a line for the next request to its site."""

    def next_request(self, behind: bytes) -> None:
        """The exchange is over, and the connection goes on with these bytes."""

    def refuse(self, status: int, *, head: RequestHead, keep: bool, behind: bytes) -> None:
        """The exchange is over, and its request is to be answered with a page."""

    def end(self, *, linger: bool) -> None:
        """The exchange is over, and so is the connection."""

    def abort(self) -> None:
        """The exchange is over, and the connection lost."""
