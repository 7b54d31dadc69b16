"""The door: what connections may cost before they have proved who they are.

Everything that has not logged in, or shown the run id of someone who has, is
pending. Pending connections share one deadline rule and two caps, one for each
source address and one in total. When a cap is reached the oldest pending
connection goes, not the newest: real ones need milliseconds, so a flood of
silent ones pushes out only itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from frpd.config.penalties import NET_BLOCKS, NetBlockSize
from frpd.config.server import ServerConfig
from frpd.net.pace import Pace
from frpd.selector_loop import SelectorLoop, Timer
from frpd.server.guard.sources import source_of

Refuse = Callable[[str], None]

LATE_PER_TURN: Final = 16
"""So many are sent away at once when their time is up: they came as a crowd."""


class Ticket:
    """One pending connection; ``is_late`` says that its time was up."""

    __slots__ = ("deadline", "is_late", "refuse", "source")

    def __init__(self, source: str, deadline: float, refuse: Refuse) -> None:
        self.source = source
        self.deadline = deadline
        self.refuse = refuse
        self.is_late = False


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """What pending connections are held to.

    Attributes:
        timeout_seconds: from accept to the end of login.
        max_pending: in all.
        max_pending_per_source: for each of them.
        net_block_size: how wide a source is.
    """

    timeout_seconds: float
    max_pending: int
    max_pending_per_source: int
    net_block_size: NetBlockSize = NET_BLOCKS


def login_limits(config: ServerConfig) -> DoorLimits:
    """Return what clients are held to until they have logged in."""
    return DoorLimits(
        timeout_seconds=config.login_timeout_seconds,
        max_pending=config.max_pending_connections,
        max_pending_per_source=config.max_pending_per_source,
        net_block_size=config.per_source_net_block_size,
    )


class Door:
    """Keeps pending connections few and short-lived. Loop thread only.

    Args:
        loop: for the deadline.
        limits: to begin with.
        expected: how many connections we have asked for ourselves, from one
            source or (None) from all; the caps are that much wider. A client
            without tcp_mux brings each work connection through this door.
        awaited: what proves who they are, for the log.

    Attributes:
        pace: what newcomers are taken at, for who accepts them.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        limits: DoorLimits,
        *,
        expected: Callable[[str | None], int] = lambda _source: 0,
        awaited: str = "login",
    ) -> None:
        self._loop = loop
        self._limits = limits
        self._expected = expected
        self._awaited = awaited
        self._pending: OrderedDict[Ticket, None] = OrderedDict()  # oldest first
        self._by_source: dict[str, OrderedDict[Ticket, None]] = {}
        self._timer: Timer | None = None
        self.pace = Pace(loop.now)
        self.refused_late = 0
        self.refused_crowded = 0

    @property
    def pending(self) -> int:
        """Connections that have not proved themselves yet."""
        return len(self._pending)

    def use(self, limits: DoorLimits) -> None:
        """Hold to these from now on. Who is pending has no more time than a newcomer.

        Caps that are lower now push nobody out before the next one comes.
        """
        self._limits = limits
        latest = self._loop.now() + limits.timeout_seconds
        for ticket in self._pending:  # so they stay in the order of their deadlines
            ticket.deadline = min(ticket.deadline, latest)
        if self._timer is not None:
            self._timer.cancel()
            self._rearm()

    def admit(self, host: str, refuse: Refuse) -> Ticket:
        """Register a new connection; ``refuse(reason)`` must close it.

        May refuse an older one to make room.
        """
        source = source_of(host, self._limits.net_block_size)
        own = self._by_source.get(source)
        if own and self._is_full(len(own), self._limits.max_pending_per_source, source):
            self._crowd_out(next(iter(own)), f"{len(own)} pending from {source}")
        elif self._is_full(len(self._pending), self._limits.max_pending, None):
            self._crowd_out(next(iter(self._pending)), f"{len(self._pending)} pending in all")
        ticket = Ticket(source, self._loop.now() + self._limits.timeout_seconds, refuse)
        self._pending[ticket] = None
        own = self._by_source.get(source)  # not the one from above: somebody may have left
        if own is None:
            own = self._by_source[source] = OrderedDict()
        own[ticket] = None
        if self._timer is None:
            self._rearm()
        return ticket

    def prove(self, ticket: Ticket) -> None:
        """The connection has proved itself: it leaves, and has taken nobody's place. Idempotent."""
        if ticket in self._pending:
            self.pace.give_back()
            self.leave(ticket)

    def leave(self, ticket: Ticket) -> None:
        """The connection has proved itself or is gone. Idempotent."""
        if self._pending.pop(ticket, ticket) is ticket:
            return
        own = self._by_source[ticket.source]
        del own[ticket]
        if not own:
            del self._by_source[ticket.source]

    def close(self) -> None:
        """Refuse everyone who is pending."""
        for ticket in list(self._pending):
            self.leave(ticket)
            ticket.refuse("shutting down")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_full(self, pending: int, cap: int, source: str | None) -> bool:
        return pending >= cap and pending >= cap + self._expected(source)

    def _crowd_out(self, ticket: Ticket, why: str) -> None:
        self.refused_crowded += 1
        self.leave(ticket)
        ticket.refuse(f"pushed out by newer connections ({why})")

    def _rearm(self) -> None:
        self._timer = None
        for oldest in self._pending:
            self._timer = self._loop.call_at(oldest.deadline, self._deadline_passed)
            return

    def _deadline_passed(self) -> None:
        now = self._loop.now()
        for ticket in list(islice(self._pending, LATE_PER_TURN)):
            if ticket.deadline > now:
                break
            self.refused_late += 1
            ticket.is_late = True
            self.leave(ticket)
            ticket.refuse(f"no {self._awaited} within {self._limits.timeout_seconds:g} s")
        self._rearm()
