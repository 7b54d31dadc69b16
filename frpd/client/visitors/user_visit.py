"""UserVisit: one user of a visitor's port, from the port to the end of the relay."""

from __future__ import annotations

from typing import Protocol

from frpd.client.visitors.base import VisitorContext
from frpd.client.visitors.call import Admitted
from frpd.config.visitors import VisitorConfig
from frpd.errors import FrpError
from frpd.metrics.counters import ProxyCounters
from frpd.net.endpoint import Endpoint
from frpd.net.stream import SocketEnds, socket_of
from frpd.relay.relay import Progress, Relay, RelayResult


class Call(Protocol):
    """What gets a stream to the service; it tells its UserVisit what comes of it."""

    def make(self) -> None:
        """Begin."""

    def cancel(self) -> None:
        """Give up silently. Idempotent."""


class HasUsers(Protocol):
    """A visitor, as far as its users need it."""

    context: VisitorContext
    config: VisitorConfig
    counters: ProxyCounters
    waiting: set[UserVisit]


class UserVisit:
    """One user: get a stream, then relay.

    Until there is one nothing is read from the user, so the first bytes wait where they are.
    """

    __slots__ = ("_admitted", "_begun", "_call", "_relay", "_user", "_visitor")

    def __init__(self, visitor: HasUsers, user: Endpoint) -> None:
        self._visitor = visitor
        self._user = user
        self._begun = visitor.context.loop.now()
        self._call: Call | None = None
        self._relay: Relay | None = None
        self._admitted: Admitted | None = None
        visitor.counters.opened()
        visitor.waiting.add(self)

    def ask(self, call: Call) -> None:
        """Ask for a stream to the service; the call tells admitted() or refused()."""
        self._call = call
        call.make()

    def give_up(self) -> None:
        """Send the user away; only while it is in the visitor's ``waiting``."""
        if self._call is not None:
            self._call.cancel()
        self._send_away()

    def leave(self) -> Endpoint:
        """Return the user, who is somebody else's from now on; only while he waits."""
        self._forget()
        return self._user

    def abort(self, reason: str) -> None:
        """See Running.abort."""
        if self._relay is not None:
            self._relay.abort(reason)

    def progress(self) -> Progress:
        """See Running.progress."""
        relay = self._relay
        moved = (0, 0) if relay is None else (relay.a_to_b, relay.b_to_a)
        return Progress(self._visitor.config.name, self._user.describe(), self._begun, *moved)

    def socket(self) -> SocketEnds | None:
        """See Running.socket."""
        return socket_of(self._user)

    def refused(self, error: FrpError) -> None:
        """There is no stream."""
        self._visitor.context.log.warning("start new visitor connection error: %s", error)
        self._send_away()

    def admitted(self, admitted: Admitted) -> None:
        """There is one."""
        visitor = self._visitor
        visitor.waiting.discard(self)
        self._admitted = admitted
        self._relay = Relay(
            visitor.context.loop,
            self._user,
            admitted.endpoint,
            b_half_closes=admitted.half_closes,
            pipes=visitor.context.pipes,
            on_done=self._done,
        )
        visitor.context.relays.relay_started(self)

    def _send_away(self) -> None:
        self._forget()
        self._user.close()

    def _forget(self) -> None:
        self._visitor.waiting.discard(self)
        self._visitor.counters.closed(0, 0)

    def _done(self, result: RelayResult) -> None:
        visitor = self._visitor
        visitor.context.relays.relay_ended(self)
        visitor.counters.closed(result.a_to_b, result.b_to_a)
        if self._admitted is not None:
            self._admitted.on_over()
        visitor.context.log.debug(
            "user %s %s after %.3f s: %d bytes in, %d bytes out%s",
            self._user.describe(),
            result.ending.value,
            visitor.context.loop.now() - self._begun,
            result.a_to_b,
            result.b_to_a,
            f" ({result.reason})" if result.reason else "",
        )
