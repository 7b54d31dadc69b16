"""xtcp visitors: a port of this machine that leads to another client, past the server.

Users share one tunnel; the first of them waits until it is there. If that takes too long
they go by another visitor (fallback_to), or are sent away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from frpd.client.nathole.generation import Puncher
from frpd.client.nathole.shared_tunnel import SharedTunnel
from frpd.client.nathole.tunnel import Tunnel
from frpd.client.nathole.ways import VISITOR_WAYS
from frpd.client.proxy_table import Phase
from frpd.client.visitors.base import Session, VisitorContext
from frpd.client.visitors.call import Admitted
from frpd.client.visitors.port import PortVisitor
from frpd.client.visitors.stcp import StcpVisitor
from frpd.client.visitors.user_visit import UserVisit
from frpd.config.visitors import VisitorConfig, XtcpVisitorConfig
from frpd.errors import FrpError, TransportError
from frpd.net.endpoint import Endpoint
from frpd.net.listener import Listener, bind_tcp
from frpd.net.transform import TransformEndpoint
from frpd.proto.ciphers import IV_BYTES
from frpd.proto.wrappers import wrapper_stack
from frpd.selector_loop import Timer

OPEN_SECONDS: Final = 20.0
"""So long a user waits for a tunnel."""


class XtcpVisitor(PortVisitor):
    """One xtcp visitor. Loop thread only.

    Args:
        context: of the client; its ``holes`` are needed.
        config: of this visitor.
    """

    def __init__(self, context: VisitorContext, config: VisitorConfig) -> None:
        super().__init__(context, config)
        assert isinstance(config, XtcpVisitorConfig)
        assert context.holes is not None
        self.xtcp = config
        self.holes = replace(
            context.holes,
            log=context.log,
            tells_local_addresses=not config.disable_assisted_addrs,
        )
        self.waiting: set[UserVisit] = set()
        self.calls: dict[TunnelCall, None] = {}  # of those who wait; oldest first
        self.tunnel = SharedTunnel(self.holes, config, self)
        self._listener: Listener | None = None

    @property
    def session(self) -> Session | None:
        """The session, if there is one."""
        return self._session

    def start(self, session: Session) -> None:
        """See Visitor.start."""
        super().start(session)
        self.tunnel.start(session)

    def close(self) -> None:
        """See Visitor.close."""
        super().close()
        self.tunnel.close()

    def on_user(self, user: Endpoint) -> None:
        """A user has connected."""
        if self.turns_away(user):
            return
        visit = UserVisit(self, user)
        visit.ask(TunnelCall(self, visit))

    def wrap(self, endpoint: Endpoint) -> Endpoint:
        """Return what carries a user's own bytes over a stream of a tunnel."""
        config = self.config
        if not (config.use_encryption or config.use_compression):
            return endpoint
        encrypts = config.use_encryption
        codecs = wrapper_stack(
            key=self.key.cipher_key if encrypts else None,
            compress=config.use_compression,
            iv=self.context.entropy.token_bytes(IV_BYTES) if encrypts else b"",
        )
        return TransformEndpoint(endpoint, codecs)

    # For SharedTunnel, see TunnelUsers.

    def has_users(self) -> bool:
        """See TunnelUsers.has_users."""
        return bool(self.calls)

    def tunnel_opened(self, tunnel: Tunnel) -> None:
        """See TunnelUsers.tunnel_opened."""
        for call in list(self.calls):
            call.go_by(tunnel)

    def hole_failed(self, error: FrpError, *, is_final: bool) -> None:
        """See TunnelUsers.hole_failed."""
        self.context.log.warning("%s", error)
        for call in list(self.calls):
            call.hole_failed(error, is_final=is_final)

    def go_early(self, way: str) -> None:
        """See TunnelUsers.go_early."""
        for call in list(self.calls):
            call.go_early(way)

    # For PortVisitor.

    def _open_port(self) -> None:
        """See PortVisitor._open_port."""
        sock = bind_tcp(self.config.bind_addr, self.config.bind_port)
        self._listener = Listener(self.context.loop, sock, self.on_user)

    def _close_port(self) -> None:
        """See PortVisitor._close_port; the tunnel and its users stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.tunnel.stop()
        for visit in list(self.waiting):
            visit.give_up()


class TunnelCall:
    """One user's way into a tunnel; see user_visit.Call. Loop thread only.

    Args:
        visitor: whose user it is.
        visit: the user.
    """

    def __init__(self, visitor: XtcpVisitor, visit: UserVisit) -> None:
        self._visitor = visitor
        self._visit = visit
        self._error: FrpError | None = None  # of the last hole
        self._timer: Timer | None = None
        self._puncher: Puncher | None = None  # an early way, for this user alone
        self._own: Tunnel | None = None  # what came of it
        self._over = False

    def make(self) -> None:
        """See Call.make."""
        visitor, config = self._visitor, self._visitor.xtcp
        seconds = config.fallback_timeout_ms / 1000 if config.fallback_to else OPEN_SECONDS
        self._timer = visitor.context.loop.call_later(seconds, self._timed_out)
        tunnel = visitor.tunnel.usable
        if tunnel is not None:
            self.go_by(tunnel)
        else:
            self._wait()

    def cancel(self) -> None:
        """See Call.cancel."""
        self._end()
        if self._own is not None:
            self._own.close()

    def go_by(self, tunnel: Tunnel) -> None:
        """Take this tunnel."""
        self._visitor.calls.pop(self, None)
        tunnel.open_stream(self._stream_opened, self._not_opened)

    def go_early(self, way: str) -> None:
        """Punch a hole for this user alone."""
        session, make = self._visitor.session, VISITOR_WAYS.get(way)
        self._visitor.calls.pop(self, None)
        if session is None or make is None:
            self._fail(TransportError(f"the far end punches holes in an old way ({way})"))
            return
        visitor = self._visitor
        self._puncher = make(
            visitor.holes, visitor.config, session, self._own_tunnel, self._own_failed
        )
        self._puncher.start()

    def hole_failed(self, error: FrpError, *, is_final: bool) -> None:
        """No tunnel yet; another attempt may be made before our time is over."""
        self._error = error
        if is_final or self._visitor.xtcp.fallback_to:
            self._fail(error)
        else:
            self._visitor.tunnel.want()

    def _wait(self) -> None:
        """Have a hole punched, and wait for it: unless there is another way, and none soon."""
        visitor = self._visitor
        visitor.calls[self] = None
        visitor.tunnel.want()
        if self in visitor.calls and visitor.xtcp.fallback_to and not visitor.tunnel.is_under_way:
            self._fail(TransportError("no hole can be punched at the moment"))

    def _own_tunnel(self, tunnel: Tunnel) -> None:
        self._puncher = None
        self._own = tunnel
        self.go_by(tunnel)

    def _own_failed(self, error: FrpError) -> None:
        self._puncher = None
        self._visitor.context.log.warning("%s", error)
        self._fail(error)

    def _stream_opened(self, stream: Endpoint) -> None:
        if self._over:
            stream.abort()
            return
        self._end()
        over = self._own.close if self._own is not None else _nothing
        self._visit.admitted(Admitted(self._visitor.wrap(stream), half_closes=False, on_over=over))

    def _not_opened(self, error: TransportError) -> None:
        if self._over:
            return
        self._error = error
        if self._own is not None:
            self._fail(error)
        else:
            self._wait()

    def _timed_out(self) -> None:
        self._fail(
            TransportError(f"open tunnel timeout{f': {self._error}' if self._error else ''}")
        )

    def _fail(self, error: FrpError) -> None:
        if self._over:
            return
        self.cancel()
        visitor, log = self._visitor, self._visitor.context.log
        name = visitor.xtcp.fallback_to
        if not name:
            self._visit.refused(TransportError(f"open tunnel error: {error}"))
            return
        log.debug("open tunnel error: %s; try to transfer connection to visitor: %s", error, name)
        other = visitor.context.find(name)
        if not isinstance(other, StcpVisitor) or other.phase is not Phase.RUNNING:
            text = f"transfer connection to visitor {name} error: it does not run, or is not stcp"
            self._visit.refused(TransportError(text))
            return
        other.on_user(self._visit.leave())

    def _end(self) -> None:
        self._over = True
        self._visitor.calls.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        if self._puncher is not None:
            self._puncher.cancel()
            self._puncher = None


def _nothing() -> None:
    """Do nothing."""
