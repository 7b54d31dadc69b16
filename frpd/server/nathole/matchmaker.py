"""Matchmaker: hole punching as since frp 0.49, on the control streams of both clients.

A visitor says where STUN servers saw it; its owner is told so by a work stream, says the same
of itself, and both hear how to try. What the owner reports makes the next try better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakKeyDictionary

from frpd.entropy import Entropy
from frpd.errors import FrpError, ProxyError, RemoteProtocolError
from frpd.log import get_logger
from frpd.proto.message.types import (
    DetectBehavior,
    Message,
    NatHoleClient,
    NatHoleReport,
    NatHoleResp,
    NatHoleSid,
    NatHoleVisitor,
)
from frpd.selector_loop import SelectorLoop, Timer
from frpd.server.guard.guesses import Guesses
from frpd.server.nathole.addresses import (
    check_assisted,
    check_mapped,
    split_address,
    without_repeats,
)
from frpd.server.nathole.behaviours import SENDER, Choice, behaviours, instructions
from frpd.server.nathole.classify import NatFeature, classify
from frpd.server.nathole.holes import GIVE_UP_SECONDS, HoleBook
from frpd.server.nathole.scores import ScoreBook, Way
from frpd.server.proxies.base import Proxy
from frpd.server.proxies.stcp import signs
from frpd.server.proxies.xtcp import OwnerCall, XtcpProxy

if TYPE_CHECKING:
    from collections.abc import Hashable

SENDER_WAITS_SECONDS: Final = 1.0
"""So that the receiver has opened its NAT when it sends."""
REPORT_SECONDS: Final = 30.0
"""How long a report may come after the owner's last try."""
MAX_TOLD: Final = 8
"""So many different refusals of one client are logged; then they are only noise."""
KCP: Final = "kcp"
QUIC: Final = "quic"

_log = get_logger("frpd.server.nathole.matchmaker")


class OldWayError(ProxyError):
    """The owner is a Go client that can punch by datagrams to us only, as ``early`` says."""

    def __init__(self, proxy: XtcpProxy) -> None:
        super().__init__(
            f"xtcp proxy [{proxy.name}] is served by a client that punches the old way"
        )
        self.early = proxy.early


class Member(Protocol):
    """A client's session, as far as it matters here."""

    run_id: str

    @property
    def user(self) -> str:
        """As it said at login."""

    @property
    def source(self) -> str:
        """The host that it comes from."""

    @property
    def proxies(self) -> Mapping[str, Proxy]:
        """Its own, by name."""

    def send(self, message: Message) -> None:
        """Send it a message; nothing happens if it has gone."""


@dataclass(frozen=True, slots=True)
class Side:
    """One end: where it was seen, and what that tells."""

    member: Member
    transaction_id: str
    mapped: list[str]
    assisted: list[str]
    nat: NatFeature

    @property
    def public_ip(self) -> str:
        """Where it was seen first."""
        return split_address(self.mapped[0])[0]


@dataclass(slots=True, eq=False)
class Meeting:
    """One hole: from the visitor's request to the owner's report."""

    sid: str
    proxy: XtcpProxy
    visitor: Side
    protocol: str
    timer: Timer | None = None
    sending: Timer | None = None
    untold: Side | None = None
    call: OwnerCall | None = None
    chosen: tuple[Way, Choice] | None = None

    @property
    def visitor_key(self) -> Hashable:
        """See Hole.visitor_key."""
        return self.visitor.member.run_id

    def close(self) -> None:
        """See Hole.close."""
        for timer in (self.timer, self.sending):
            if timer is not None:
                timer.cancel()
        if self.call is not None:
            self.call.close()


class Matchmaker:
    """Brings visitors and owners of xtcp proxies together. Loop thread only.

    Args:
        loop: the loop.
        entropy: for names that nobody can guess.
        scores: what has worked.
        proxies: all there are, by name.
        told: what a client may hear of an error.
        guesses: wrong keys that were tried.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        entropy: Entropy,
        scores: ScoreBook,
        *,
        proxies: Mapping[str, Proxy],
        told: Callable[[str, str], str],
        guesses: Guesses,
    ) -> None:
        self.meetings: HoleBook[Meeting] = HoleBook(entropy)
        self._loop = loop
        self._scores = scores
        self._proxies = proxies
        self._told = told
        self._guesses = guesses
        self._said: WeakKeyDictionary[Member, set[str]] = WeakKeyDictionary()

    def close(self) -> None:
        """Forget everybody. Idempotent."""
        self.meetings.clear()

    # The visitor.

    def visitor_asks(self, member: Member, request: NatHoleVisitor) -> None:
        """A client wants to reach a proxy, or to know first whether it may."""
        try:
            proxy = self._find(member, request)
            if request.pre_check:
                member.send(NatHoleResp(transaction_id=request.transaction_id))
                return
            proxy.check_gate(f"[{member.run_id}] {member.source}", member.source)
            self._call_owner(member, request, proxy)
        except ProxyError as error:
            early = error.early if isinstance(error, OldWayError) else ""
            self._complain(member, str(error))
            self._refuse(member, request.transaction_id, str(error), early)

    def _find(self, member: Member, request: NatHoleVisitor) -> XtcpProxy:
        """Return what is asked for; checks in frp's order.

        Raises:
            ProxyError: it is not there, or not for this visitor.
        """
        name = request.proxy_name
        proxy = self._proxies.get(name)
        if not isinstance(proxy, XtcpProxy) or not proxy.is_open:
            signs("", request.sign_key, request.timestamp)  # takes as long as with a proxy
            raise ProxyError(f"xtcp server for [{name}] doesn't exist")
        self._guesses.check(proxy, member.source)
        if not request.pre_check and not proxy.is_signed(request.sign_key, request.timestamp):
            self._guesses.wrong(proxy, member.source)
            raise ProxyError(f"xtcp connection of [{name}] auth failed")
        if not proxy.admits(member.user):
            raise ProxyError(f"xtcp visitor user [{member.user}] not allowed for [{name}]")
        if proxy.early:
            raise OldWayError(proxy)
        return proxy

    def _call_owner(self, member: Member, request: NatHoleVisitor, proxy: XtcpProxy) -> None:
        """Raise ProxyError if the visitor cannot be helped."""
        try:
            visitor = _side(member, request)
        except RemoteProtocolError as error:
            raise ProxyError(f"classify visitor nat feature error: {error}") from None
        sid = self.meetings.new_sid(member.run_id)
        protocol = KCP if request.protocol == KCP else QUIC
        meeting = Meeting(sid, proxy, visitor, protocol)
        self.meetings.add(meeting)
        meeting.timer = self._loop.call_later(GIVE_UP_SECONDS, self._owner_silent, meeting)
        meeting.call = proxy.tell_owner(
            NatHoleSid(sid=sid), lambda error: self._owner_lost(meeting, error)
        )

    def _owner_silent(self, meeting: Meeting) -> None:
        self._end(meeting, f"the owner did not answer within {GIVE_UP_SECONDS:g} s")

    def _owner_lost(self, meeting: Meeting, error: FrpError) -> None:
        self._end(meeting, f"the owner cannot be told: {error}")

    def _end(self, meeting: Meeting, reason: str) -> None:
        self.meetings.drop(meeting)
        visitor = meeting.visitor
        self._refuse(visitor.member, visitor.transaction_id, f"[{meeting.proxy.name}] {reason}")

    def _refuse(self, member: Member, transaction_id: str, reason: str, early: str = "") -> None:
        told = self._told(reason, "nat hole error")
        member.send(NatHoleResp(transaction_id=transaction_id, error=told, early=early))

    def _complain(self, member: Member, reason: str) -> None:
        """Log a refusal, once for each client: who guesses fills no log."""
        said = self._said.setdefault(member, set())
        if reason not in said and len(said) < MAX_TOLD:
            said.add(reason)
            _log.warning("%s: [%s] hole refused: %s", member.source, member.run_id, reason)

    # The owner.

    def owner_answers(self, member: Member, answer: NatHoleClient) -> None:
        """A client was told of a visitor and says where it is itself."""
        meeting = self.meetings.get(answer.sid)
        if meeting is None or meeting.chosen is not None or not _owns(member, meeting):
            return
        try:
            owner = _side(member, answer)
        except RemoteProtocolError as error:
            reason = f"classify client nat feature error: {error}"
            self._refuse(member, answer.transaction_id, reason)
            self._end(meeting, reason)
            return
        self._introduce(meeting, owner)

    def _introduce(self, meeting: Meeting, owner: Side) -> None:
        visitor, now = meeting.visitor, self._loop.now()
        way = Way(owner.public_ip, owner.nat, visitor.public_ip, visitor.nat)
        choice = self._scores.choose(way, now)
        meeting.chosen = way, choice
        of_owner, of_visitor = behaviours(choice, owner.nat, visitor.nat)
        meeting.proxy.log.info(
            "sid [%s] visitor of [%s]: %s, owner: %s, mode %d, index %d, %s",
            meeting.sid,
            visitor.member.run_id,
            visitor.nat.describe(),
            owner.nat.describe(),
            *choice,
            meeting.protocol,
        )
        port_of_owner = split_address(owner.mapped[-1])[1]
        port_of_visitor = split_address(visitor.mapped[-1])[1]
        mode = choice[0]
        to_owner = instructions(mode, of_owner, of_visitor, visitor.nat, port_of_visitor)
        to_visitor = instructions(mode, of_visitor, of_owner, owner.nat, port_of_owner)
        self._tell(meeting, visitor, _answer(meeting, visitor, owner, to_visitor))
        self._tell(meeting, owner, _answer(meeting, owner, visitor, to_owner))
        if meeting.timer is not None:
            meeting.timer.cancel()
        kept = to_owner.read_timeout / 1000 + REPORT_SECONDS
        meeting.timer = self._loop.call_later(kept, self.meetings.drop, meeting)

    def _tell(self, meeting: Meeting, side: Side, answer: NatHoleResp) -> None:
        behavior = answer.detect_behavior
        if behavior is not None and behavior.role == SENDER:
            meeting.untold = side
            wait = SENDER_WAITS_SECONDS
            meeting.sending = self._loop.call_later(wait, self._tell_sender, meeting, answer)
        else:
            side.member.send(answer)

    def _tell_sender(self, meeting: Meeting, answer: NatHoleResp) -> None:
        sender, meeting.untold = meeting.untold, None
        if sender is not None:
            sender.member.send(answer)

    def owner_reports(self, member: Member, report: NatHoleReport) -> None:
        """A client tells how it went."""
        meeting = self.meetings.get(report.sid)
        if meeting is None or meeting.chosen is None or not _owns(member, meeting):
            return
        way, choice = meeting.chosen
        meeting.proxy.log.info(
            "sid [%s] report make hole success: %s, mode %d, index %d",
            meeting.sid,
            str(report.success).lower(),
            *choice,
        )
        self.meetings.drop(meeting)
        if report.success:
            self._scores.success(way, choice, self._loop.now())
        elif meeting.untold is meeting.visitor:  # it need not try
            self._end(meeting, "the owner has given up: its log says why")


def _owns(member: Member, meeting: Meeting) -> bool:
    return member.proxies.get(meeting.proxy.name) is meeting.proxy


def _side(member: Member, said: NatHoleVisitor | NatHoleClient) -> Side:
    """Return what a client says of itself.

    Raises:
        RemoteProtocolError: it cannot be used.
    """
    is_here = _is_loopback(member.source)
    mapped = check_mapped(said.mapped_addrs, trusts_loopback=is_here)
    assisted = check_assisted(said.assisted_addrs, trusts_loopback=is_here)
    nat = classify(mapped, {split_address(one)[0] for one in assisted})
    return Side(member, said.transaction_id, mapped, assisted, nat)


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.startswith("127.")


def _answer(meeting: Meeting, to: Side, peer: Side, behavior: DetectBehavior) -> NatHoleResp:
    return NatHoleResp(
        transaction_id=to.transaction_id,
        sid=meeting.sid,
        protocol=meeting.protocol,
        candidate_addrs=without_repeats(peer.mapped),
        assisted_addrs=without_repeats(peer.assisted),
        detect_behavior=behavior,
    )
