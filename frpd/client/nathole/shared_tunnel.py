"""SharedTunnel: the one tunnel that a visitor's users share, and the holes it is made by.

A tunnel outlives the session it was arranged in: its users are no concern of the server.
Only a new hole needs a session.
"""

from __future__ import annotations

from typing import Final, Protocol

from frpd.client.nathole.answers import Asking
from frpd.client.nathole.generation import EARLY, NEWEST, HoleContext, Puncher, Signalling, way_of
from frpd.client.nathole.tunnel import Tunnel
from frpd.client.nathole.ways import VISITOR_WAYS
from frpd.config.visitors import XtcpVisitorConfig
from frpd.errors import FrpError, LimitError, TransportError
from frpd.proto.message.types import NatHoleResp, NatHoleVisitor
from frpd.selector_loop import Timer

HOLE_SECONDS: Final = 10.0
"""From one attempt to the next one at least."""
HOUR_SECONDS: Final = 3600.0
NO_WAY: Final = "the server does not help to punch holes"


class TunnelUsers(Protocol):
    """Who waits for a tunnel."""

    def has_users(self) -> bool:
        """Whether anybody waits."""

    def tunnel_opened(self, tunnel: Tunnel) -> None:
        """There is one."""

    def hole_failed(self, error: FrpError, *, is_final: bool) -> None:
        """There is none.

        Args:
            error: why.
            is_final: another attempt would end alike: the server has refused.
        """

    def go_early(self, way: str) -> None:
        """The far end speaks an early way only: each user has to go it alone."""


class SharedTunnel:
    """One visitor's tunnel. Loop thread only.

    Args:
        context: see HoleContext.
        config: of the visitor.
        users: who waits for it.
    """

    def __init__(self, context: HoleContext, config: XtcpVisitorConfig, users: TunnelUsers) -> None:
        self._context = context
        self._config = config
        self._users = users
        self._session: Signalling | None = None
        self._tunnel: Tunnel | None = None
        self._older: list[Tunnel] = []  # they take no more users, and still have some
        self._asking: Asking | None = None
        self._puncher: Puncher | None = None
        self._begun_at = float("-inf")  # the last attempt
        self._timer: Timer | None = None
        self._keeper = Keeper(context, config, self) if config.keep_tunnel_open else None

    @property
    def usable(self) -> Tunnel | None:
        """The tunnel, if there is one that takes users."""
        tunnel = self._tunnel
        return tunnel if tunnel is not None and tunnel.is_usable else None

    @property
    def is_under_way(self) -> bool:
        """Whether an attempt is."""
        return self._asking is not None or self._puncher is not None

    def start(self, session: Signalling) -> None:
        """Holes can be punched."""
        self._session = session
        if self._keeper is not None:
            self._keeper.start()

    def stop(self) -> None:
        """They cannot; the tunnel stays. Idempotent."""
        self._session = None
        if self._keeper is not None:
            self._keeper.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        if self._puncher is not None:
            self._puncher.cancel()
            self._puncher = None

    def close(self) -> None:
        """End the tunnel too. Idempotent."""
        self.stop()
        for tunnel in (*self._older, self._tunnel):
            if tunnel is not None:
                tunnel.close()
        self._older.clear()
        self._tunnel = None

    def want(self) -> None:
        """Punch a hole, now or as soon as another attempt may be made; its users hear."""
        if self._session is None or self.is_under_way or self._timer is not None:
            return
        due = self._begun_at + HOLE_SECONDS
        if due > self._context.loop.now():
            self._timer = self._context.loop.call_at(due, self._want_again)
        else:
            self._attempt(self._session)

    def _want_again(self) -> None:
        self._timer = None
        if self._users.has_users() and self.usable is None:
            self.want()

    def _attempt(self, session: Signalling) -> None:
        way = way_of(session.server_version, session.features, session.server_udp)
        if way is None:
            self._users.hole_failed(TransportError(NO_WAY), is_final=True)
        elif way in EARLY:
            self._users.go_early(way)
        else:
            check = NatHoleVisitor(proxy_name=self._config.server_name, pre_check=True)
            try:
                self._asking = session.answers.ask(check, self._checked, self._unchecked)
            except LimitError as error:
                self._unchecked(error)

    def _unchecked(self, error: FrpError) -> None:
        self._asking = None
        self._begun_at = self._context.loop.now()
        self._failed(TransportError(f"nathole precheck error: {error}"))

    def _checked(self, answer: NatHoleResp) -> None:
        self._asking = None
        session = self._session
        if session is None:
            return
        if answer.early in EARLY:  # beside an error for those that cannot go that way
            self._users.go_early(answer.early)
        elif answer.error:
            error = TransportError(f"nathole precheck error: {answer.error}")
            self._users.hole_failed(error, is_final=True)
        else:
            self._begun_at = self._context.loop.now()
            self._puncher = VISITOR_WAYS[NEWEST](
                self._context, self._config, session, self._opened, self._failed
            )
            self._puncher.start()

    def _opened(self, tunnel: Tunnel) -> None:
        self._puncher = None
        before, self._tunnel = self._tunnel, tunnel
        if before is not None:
            self._set_aside(before)
        tunnel.on_lost = lambda reason: self._lost(tunnel, reason)
        self._context.log.info("tunnel opened: %s", tunnel.describe())
        self._users.tunnel_opened(tunnel)

    def _set_aside(self, tunnel: Tunnel) -> None:
        for one in (*self._older, tunnel):
            if not one.stream_count:
                one.close()
        self._older = [one for one in (*self._older, tunnel) if one.stream_count]

    def _failed(self, error: FrpError) -> None:
        self._puncher = None
        self._users.hole_failed(error, is_final=False)

    def _lost(self, tunnel: Tunnel, reason: str) -> None:
        self._context.log.warning("tunnel lost: %s: %s", tunnel.describe(), reason)
        if tunnel is self._tunnel:
            self._tunnel = None
        else:
            self._older = [one for one in self._older if one is not tunnel]


class Keeper:
    """Opens a tunnel before it is needed, and again when it was lost; never too often.

    Args:
        context: see HoleContext.
        config: of the visitor.
        tunnel: what is kept open.
    """

    def __init__(
        self, context: HoleContext, config: XtcpVisitorConfig, tunnel: SharedTunnel
    ) -> None:
        self._loop = context.loop
        self._tunnel = tunnel
        self._most = float(max(config.max_retries_an_hour, 1))
        self._interval = float(max(config.min_retry_interval, 1))
        self._tries = self._most
        self._counted_at = 0.0
        self._timer: Timer | None = None

    def start(self) -> None:
        """Look now, and again after every interval."""
        self.stop()
        if self._tunnel.usable is None and self._may_try():
            self._tunnel.want()
        self._timer = self._loop.call_later(self._interval, self.start)

    def stop(self) -> None:
        """Look no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _may_try(self) -> bool:
        now = self._loop.now()
        gained = (now - self._counted_at) * self._most / HOUR_SECONDS
        self._tries = min(self._most, self._tries + gained)
        self._counted_at = now
        if self._tries < 1.0:
            return False
        self._tries -= 1.0
        return True
