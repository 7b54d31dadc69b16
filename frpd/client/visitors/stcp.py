"""stcp visitors: a port of this machine that leads to a stcp proxy of another client."""

from __future__ import annotations

from frpd.client.visitors.base import VisitorContext
from frpd.client.visitors.call import VisitorCall
from frpd.client.visitors.port import PortVisitor
from frpd.client.visitors.user_visit import UserVisit
from frpd.config.visitors import VisitorConfig
from frpd.net.endpoint import Endpoint
from frpd.net.listener import Listener, bind_tcp


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
        """A user has connected, or a xtcp visitor has handed one over."""
        if self._session is None:
            user.close()
            return
        if self.turns_away(user):
            return
        visit = UserVisit(self, user)
        visit.ask(
            VisitorCall(
                self.context,
                self.config,
                self.key,
                self._session,
                on_admitted=visit.admitted,
                on_failed=visit.refused,
            )
        )

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
