"""GroupVisit: one visitor of a group, whose bytes are passed on unseen by one of its members.

As long as the chosen member's client has neither said anything nor been given
anything of the visitor's that cannot be said twice, the visitor may still go to
another member: its service refused when the work connection is reset, or ends
without half-close, before its first byte. A visitor who speaks first settles the
matter: nobody could tell what of its words a service has heard. So the first words
wait for a moment where nobody knows yet whether the member's service is there.
"""

from __future__ import annotations

from typing import Protocol

from frpd.errors import ConnectionLost, FrpError
from frpd.net.address import SockAddr, host_of
from frpd.net.endpoint import Endpoint, Outcome
from frpd.net.stream import SocketStream
from frpd.proto import native
from frpd.proto.message.types import NewProxy, StartWorkConn
from frpd.relay.relay import Ending, Progress, RelayResult
from frpd.selector_loop import Timer
from frpd.server.groups.roster import Roster
from frpd.server.groups.strategy import Member
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.visit import Visit, turn_away
from frpd.server.proxies.work_call import introduction

READ_BYTES = 16 * 1024
HOLD_SECONDS = 0.5
"""A client that finds nobody at its service's port says so within less."""


PROMPT_SECONDS = 2.0
"""What ends later than that had met a service."""


class VisitedMember(Member, Protocol):
    """A proxy that visitors are joined to."""

    @property
    def context(self) -> ProxyContext:
        """Of its client's session."""

    @property
    def request(self) -> NewProxy:
        """What its client asked for."""


class GroupVisit(Visit):
    """One visitor until its end. Loop thread only; make one with ``begin``.

    Args:
        roster: of the group.
        member: who is tried first.
        visitor: its connection; owned from now on.
        destination: the address that it came to.
        opening: what it has said; a word that every member may hear, such as a ClientHello.
    """

    __slots__ = ("_destination", "_given", "_member", "_opening", "_roster", "_source", "_timer",
                 "_tried", "_work")  # fmt: skip

    def __init__(
        self,
        roster: Roster[VisitedMember],
        member: VisitedMember,
        visitor: SocketStream,
        destination: SockAddr,
        opening: bytes,
    ) -> None:
        self._roster = roster
        self._member = member
        self._source = visitor.peer
        self._destination = destination
        self._opening = opening
        self._tried: list[VisitedMember] = []
        self._work: Endpoint | None = None  # while it is not joined
        self._timer: Timer | None = None
        self._given = 0.0  # when the member got the visitor
        super().__init__(
            member.context,
            member.counters,
            visitor,
            self._hello(),
            use_encryption=member.request.use_encryption,
            use_compression=member.request.use_compression,
        )

    @classmethod
    def begin(
        cls,
        roster: Roster[VisitedMember],
        visitor: SocketStream,
        destination: SockAddr,
        *,
        now: float,
        opening: bytes = b"",
    ) -> None:
        """Give a visitor to the member whose turn it is."""
        member = roster.choose(host_of(visitor.peer), now)
        if member is not None:
            cls(roster, member, visitor, destination, opening)
            return
        refusal = roster.refusal(host_of(visitor.peer))
        if refusal is None:
            visitor.abort()
        else:
            turn_away(refusal[0].context, visitor, refusal[1])

    def abort(self, reason: str) -> None:
        """See Running.abort."""
        if self._relay is not None:
            super().abort(reason)
        elif self._work is not None:
            self._leave()
            self._visitor.abort()
            self._leave_proxy()

    def progress(self) -> Progress:
        """See Running.progress."""
        progress = super().progress()
        if self._relay is None or not self._opening:
            return progress
        bytes_in = progress.bytes_in + len(self._opening)
        return Progress(
            progress.owner, progress.source, progress.begun, bytes_in, progress.bytes_out
        )

    # With a member that may still refuse.

    def _join(self, work: Endpoint) -> None:
        """See Visit._join; waits until somebody speaks."""
        self._given = self._context.loop.now()
        try:
            taken = work.write(self._opening) if self._opening else 0
        except ConnectionLost as error:
            work.abort()
            self._refused(str(error))
            return
        self._work = work
        if taken < len(self._opening):
            self._visitor.unread(self._opening[taken:])
            self._opening = self._opening[:taken]
            self._settle()
            return
        self._context.relays.relay_started(self)
        self._visitor.on_failure = work.on_failure = self._lost
        work.watch(self._work_speaks, None)
        if self._opening or self._roster.is_proven(self._member):
            self._visitor.watch(self._settle, None)
        else:
            self._visitor.watch(None, None)
            self._timer = self._context.loop.call_later(HOLD_SECONDS, self._held)

    def _held(self) -> None:
        self._timer = None
        self._roster.served(self._member)
        self._visitor.watch(self._settle, None)

    def _work_speaks(self) -> None:
        work = self._work
        assert work is not None
        try:
            data = work.read(READ_BYTES)
        except ConnectionLost as error:
            self._withdraw(str(error))
            return
        if isinstance(data, Outcome):
            if data is Outcome.EMPTY:
                return
            if native.HALF_CLOSE not in self._context.features:
                self._withdraw("closed before its first byte")
                return
        else:
            work.unread(data)
            self._roster.served(self._member)
        self._settle()

    def _settle(self) -> None:
        """Somebody speaks: this member it is."""
        super()._join(self._take_work())

    def _withdraw(self, reason: str) -> None:
        self._leave()
        self._refused(reason)

    def _leave(self) -> None:
        work = self._take_work()
        self._context.relays.relay_ended(self)
        self._visitor.on_failure = work.on_failure = None
        self._visitor.watch(None, None)
        work.abort()

    def _take_work(self) -> Endpoint:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        work, self._work = self._work, None
        assert work is not None
        return work

    def _lost(self) -> None:
        self.abort("connection lost")

    # Another one.

    def _no_work(self, error: FrpError) -> None:
        """See Visit._no_work."""
        self._refused(str(error))

    def _refused(self, reason: str) -> None:
        refused, now = self._member, self._context.loop.now()
        self._tried.append(refused)
        self._leave_proxy()
        self._roster.refused(refused, now)
        member = self._roster.choose(host_of(self._source), now, self._tried)
        where = "is refused" if member is None else f"goes to [{member.name}]"
        self._context.log.warning("visitor %s %s: %s", self._visitor.describe(), where, reason)
        if member is None:
            self._tell("refused", "server", reason)
            self._visitor.close()
            return
        self._member, self._context, self._counters = member, member.context, member.counters
        self._name = member.name
        self._enter()
        self._ask_and_call(
            self._hello(),
            use_encryption=member.request.use_encryption,
            use_compression=member.request.use_compression,
        )

    def _hello(self) -> StartWorkConn:
        return introduction(self._member.name, self._source, self._destination)

    def _done(self, result: RelayResult) -> None:
        """See Visit._done."""
        result.a_to_b += len(self._opening)
        if self._was_refused(result):
            self._roster.refused(self._member, self._context.loop.now())
        super()._done(result)

    def _was_refused(self, result: RelayResult) -> bool:
        """Whether it looks as if the visitor's first words had met nobody."""
        if result.b_to_a or not result.a_to_b or result.ending is Ending.ABORTED:
            return False
        if self._context.loop.now() - self._given > PROMPT_SECONDS:
            return False
        # An end from an frpd client is the service's own: some only listen.
        return result.ending is Ending.RESET or native.HALF_CLOSE not in self._context.features
