"""PortVisitor: a visitor's port, open while there is a session with the server.

Without one users are refused, as in frp, and hear so at once. A port that cannot be had
is tried again.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod

from frpd.client.proxy_table import Phase
from frpd.client.visitors.base import Session, VisitorContext
from frpd.client.visitors.call import Key
from frpd.config.visitors import VisitorConfig
from frpd.errors import LimitError
from frpd.metrics.counters import ProxyCounters
from frpd.net.endpoint import Endpoint
from frpd.net.listener import ListenError
from frpd.net.port_holder import port_holder
from frpd.net.visitor_gate import Crowd, VisitorGate
from frpd.selector_loop import Timer

RETRY_SECONDS = 10.0


class PortVisitor(ABC):
    """What all visitors that have a port are. Loop thread only.

    Args:
        context: of the client.
        config: of this visitor.
    """

    def __init__(self, context: VisitorContext, config: VisitorConfig) -> None:
        self.counters = ProxyCounters()
        self.phase = Phase.NEW
        self.error = ""
        self.key = Key(context.pool, config.sk.reveal())
        self.context = context
        self.config = config
        self._crowd = Crowd(config.max_connections)
        self.gate: VisitorGate | None = None
        if config.max_connections:
            self.gate = VisitorGate(context.loop, context.log, crowds=(self._crowd,))
        self._session: Session | None = None
        self._retry: Timer | None = None

    def start(self, session: Session) -> None:
        """See Visitor.start."""
        self.stop()
        self._session = session
        if session.seal is not None:
            self.key.stretched()  # before the first user waits for it
        self._listen()

    def stop(self) -> None:
        """See Visitor.stop."""
        if self._session is None:
            return
        self._session = None
        self.phase = Phase.CLOSED
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._close_port()

    def close(self) -> None:
        """See Visitor.close."""
        self.stop()
        self.key.close()

    def turns_away(self, user: Endpoint) -> bool:
        """Reset a user who is one too many; False if it may stay."""
        if self.gate is None:
            return False
        self._crowd.present = self.counters.connections_open
        refusal = self.gate.refusal("")
        if refusal is None:
            return False
        self.gate.turned_away(refusal, user.describe())
        user.abort()
        return True

    @abstractmethod
    def _open_port(self) -> None:
        """Listen at the configured address.

        Raises:
            ListenError: it cannot be had now.
        """

    @abstractmethod
    def _close_port(self) -> None:
        """Free the port if it is open, and send those away who wait."""

    def _listen(self) -> None:
        """Open the port, or try again later; a negative one asks for none (0.50)."""
        self._retry = None
        if self.config.bind_port > 0:
            try:
                self._open_port()
            except ListenError as error:
                self._cannot_listen(error)
                return
        self.phase, self.error = Phase.RUNNING, ""
        self.context.log.info("start visitor success")

    def _cannot_listen(self, error: ListenError) -> None:
        self._retry = self.context.loop.call_later(RETRY_SECONDS, self._listen)
        if self.phase is Phase.START_ERROR and self.error == str(error):
            return  # told before
        self.phase, self.error = Phase.START_ERROR, str(error)
        self.context.log.warning("start error: %s; tried again every %g s", error, RETRY_SECONDS)
        if error.errno == errno.EADDRINUSE:
            self._name_holder(error.address)

    def _name_holder(self, address: str) -> None:
        log, port = self.context.log, self.config.bind_port

        def tell(holder: str) -> None:
            if holder:
                log.warning("%s is held by %s", address, holder)

        try:
            self.context.pool.submit(lambda: port_holder(port), tell, lambda _error: None)
        except LimitError:
            log.debug("too busy to find out who holds %s", address)
