"""stcp visitors: a port of this machine that leads to a stcp proxy of another client."""

from __future__ import annotations

from frpd.client.visitors.base import Session, VisitorContext
from frpd.client.visitors.call import Admitted, VisitorCall
from frpd.client.visitors.port import PortVisitor
from frpd.config.visitors import VisitorConfig
from frpd.errors import FrpError
from frpd.net.endpoint import Endpoint
from frpd.net.listener import Listener, bind_tcp
from frpd.net.stream import SocketEnds, socket_of
from frpd.relay.relay import Progress, Relay, RelayResult


class StcpVisitor(PortVisitor):
    """One stcp visitor. Loop thread only.

    Args:
        context: of the client.
        config: of this visitor.
    """

    def __init__(self, context: VisitorContext, config: VisitorConfig) -> None:
        super().__init__(context, config)
        self.waiting: set[UserVisit] = set()
        self._listener: Listener | None = None

    def on_user(self, user: Endpoint) -> None:
        """A user has connected."""
        assert self._session is not None
        UserVisit(self, user).ask(self._session)

    def _open_port(self) -> None:
        """See PortVisitor._open_port."""
        sock = bind_tcp(self.config.bind_addr, self.config.bind_port)
        self._listener = Listener(self.context.loop, sock, self.on_user)

    def _close_port(self) -> None:
        """See PortVisitor._close_port."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for visit in list(self.waiting):
            visit.give_up()


class UserVisit:
    """One user of a visitor: ask the server, then relay.

    Until the server answers nothing is read from the user, so the first bytes
    wait where they are.
    """

    __slots__ = ("_begun", "_call", "_relay", "_user", "_visitor")

    def __init__(self, visitor: StcpVisitor, user: Endpoint) -> None:
        self._visitor = visitor
        self._user = user
        self._begun = visitor.context.loop.now()
        self._call: VisitorCall | None = None
        self._relay: Relay | None = None
        visitor.counters.opened()
        visitor.waiting.add(self)

    def ask(self, session: Session) -> None:
        """Ask for a stream to the service."""
        visitor = self._visitor
        self._call = VisitorCall(
            visitor.context,
            visitor.config,
            visitor.key,
            session,
            on_admitted=self._admitted,
            on_failed=self._refused,
        )
        self._call.make()

    def give_up(self) -> None:
        """Send the user away; only while it is in the visitor's ``waiting``."""
        if self._call is not None:
            self._call.cancel()
        self._send_away()

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

    def _refused(self, error: FrpError) -> None:
        self._visitor.context.log.warning("start new visitor connection error: %s", error)
        self._send_away()

    def _send_away(self) -> None:
        self._visitor.waiting.discard(self)
        self._visitor.counters.closed(0, 0)
        self._user.close()

    def _admitted(self, admitted: Admitted) -> None:
        visitor = self._visitor
        visitor.waiting.discard(self)
        self._relay = Relay(
            visitor.context.loop,
            self._user,
            admitted.endpoint,
            b_half_closes=admitted.half_closes,
            pipes=visitor.context.pipes,
            on_done=self._done,
        )
        visitor.context.relays.relay_started(self)

    def _done(self, result: RelayResult) -> None:
        visitor = self._visitor
        visitor.context.relays.relay_ended(self)
        visitor.counters.closed(result.a_to_b, result.b_to_a)
        visitor.context.log.debug(
            "user %s %s after %.3f s: %d bytes in, %d bytes out%s",
            self._user.describe(),
            result.ending.value,
            visitor.context.loop.now() - self._begun,
            result.a_to_b,
            result.b_to_a,
            f" ({result.reason})" if result.reason else "",
        )
