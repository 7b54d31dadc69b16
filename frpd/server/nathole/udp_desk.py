"""UdpDesk: hole punching as in frp up to 0.48, by datagrams to one UDP port of the server.

What comes there comes from anyone. So only a datagram that is signed with a proxy's sk makes
us remember anything or tell anybody, each signature is good for a few seconds and for one
host only, and nobody is sent more than three times what it sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from frpd.entropy import Entropy
from frpd.errors import FrpError, LocalProtocolError, ProxyError, RemoteProtocolError
from frpd.log import get_logger
from frpd.net.address import SockAddr, format_address, host_of
from frpd.proto.message.codec import decode_message, encode_message
from frpd.proto.message.types import (
    EARLY_A,
    EARLY_B,
    NatHoleClient,
    NatHoleResp,
    NatHoleSid,
    NatHoleVisitor,
)
from frpd.selector_loop import SelectorLoop, Timer
from frpd.server.nathole.holes import GIVE_UP_SECONDS, HoleBook
from frpd.server.proxies.base import Proxy
from frpd.server.proxies.stcp import signs
from frpd.server.proxies.xtcp import OwnerCall, XtcpProxy
from frpd.udp.datagram_socket import Ancillary

if TYPE_CHECKING:
    from collections.abc import Hashable

MAX_DATAGRAM_BYTES: Final = 1400
MAX_GAIN: Final = 3
SIGNATURE_SECONDS: Final = 10.0
"""Two users of one visitor within a second come with the same signature."""
MAX_SIGNATURES: Final = 4096
REFUSALS_PER_SECOND: Final = 20.0
MAX_REFUSALS_AT_ONCE: Final = 50.0

Send = Callable[[bytes, SockAddr, Ancillary], None]

_log = get_logger("frpd.server.nathole.udp_desk")


class Neighbour(Protocol):
    """A client that is logged in: what datagrams from the same host may be about."""

    @property
    def source(self) -> str:
        """The host that it comes from."""

    @property
    def user(self) -> str:
        """As it said at login."""

    @property
    def early(self) -> str:
        """EARLY_A or EARLY_B if it knows only that way, else ""."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a datagram: its address, ours, and the length of what it sent."""

    address: SockAddr
    via: Ancillary
    asked_bytes: int

    @property
    def host(self) -> str:
        """Without the port."""
        return host_of(self.address)


@dataclass(slots=True, eq=False)
class EarlyHole:
    """One hole: from the visitor's datagram until both know of each other."""

    sid: str
    proxy: XtcpProxy
    visitor: Caller
    owner_address: SockAddr | None = None
    timer: Timer | None = None
    call: OwnerCall | None = None

    @property
    def visitor_key(self) -> Hashable:
        """See Hole.visitor_key."""
        return self.proxy.name, self.visitor.host

    def close(self) -> None:
        """See Hole.close."""
        if self.timer is not None:
            self.timer.cancel()
        if self.call is not None:
            self.call.close()


class UdpDesk:
    """Decides about datagrams. Loop thread only.

    Args:
        loop: the loop.
        entropy: for names that nobody can guess.
        proxies: all there are, by name.
        clients: yields who is logged in.
        told: what a client may hear of an error.
        send: sends a datagram to an address, from one of ours.
        bars: tells of addresses that nobody may come from.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        entropy: Entropy,
        *,
        proxies: Mapping[str, Proxy],
        clients: Callable[[], Iterable[Neighbour]],
        told: Callable[[str, str], str],
        send: Send,
        bars: Callable[[str], bool],
    ) -> None:
        self.holes: HoleBook[EarlyHole] = HoleBook(entropy)
        self._loop = loop
        self._proxies = proxies
        self._clients = clients
        self._told = told
        self._send = send
        self._bars = bars
        self._signatures: OrderedDict[tuple[str, str, int], tuple[str, float]] = OrderedDict()
        self._refusals = MAX_REFUSALS_AT_ONCE
        self._refused_at = loop.now()

    def receive(self, datagram: bytes, address: SockAddr, via: Ancillary) -> None:
        """Take one datagram; whatever it is not is ignored."""
        if len(datagram) > MAX_DATAGRAM_BYTES or self._bars(host_of(address)):
            return
        try:
            message = decode_message(datagram)
        except RemoteProtocolError:
            return
        caller = Caller(address, via, len(datagram))
        if isinstance(message, NatHoleVisitor):
            self._visitor_asks(caller, message)
        elif isinstance(message, NatHoleClient):
            self._owner_answers(caller, message)

    def close(self) -> None:
        """Forget everybody. Idempotent."""
        self.holes.clear()

    # The visitor.

    def _visitor_asks(self, caller: Caller, request: NatHoleVisitor) -> None:
        try:
            proxy = self._find(request)
            if not self._is_fresh(caller, request):
                _log.debug("%s: seen before", format_address(caller.address))
                return
            self._check(caller, proxy)
            self._call_owner(caller, proxy)
        except ProxyError as error:
            self._refuse(caller, str(error))

    def _find(self, request: NatHoleVisitor) -> XtcpProxy:
        """Return what is asked for; checks in frp's order.

        Raises:
            ProxyError: it is not there, or the visitor does not know its sk.
        """
        name = request.proxy_name
        proxy = self._proxies.get(name)
        if not isinstance(proxy, XtcpProxy) or not proxy.is_open:
            signs("", request.sign_key, request.timestamp)  # takes as long as with a proxy
            raise ProxyError(f"xtcp server for [{name}] doesn't exist")
        if not proxy.is_signed(request.sign_key, request.timestamp):
            raise ProxyError(f"xtcp connection of [{name}] auth failed")
        return proxy

    def _is_fresh(self, caller: Caller, request: NatHoleVisitor) -> bool:
        """Whether this signature may be the visitor's own: new, or of a moment ago."""
        key = request.proxy_name, request.sign_key, request.timestamp
        now, host = self._loop.now(), caller.host
        known = self._signatures.get(key)
        if known is not None:
            return known[0] == host and now - known[1] < SIGNATURE_SECONDS
        self._signatures[key] = host, now
        if len(self._signatures) > MAX_SIGNATURES:
            self._signatures.popitem(last=False)
        return True

    def _check(self, caller: Caller, proxy: XtcpProxy) -> None:
        """Raise ProxyError if this visitor may not come, or not in this way.

        Who it is it does not say: it is taken for a client that is logged in from its host.
        """
        if not (proxy.is_ours or proxy.early):
            raise ProxyError(
                f"xtcp proxy [{proxy.name}] is served by a client that punches the new way"
            )
        users = {"", *(client.user for client in self._at(caller.host))}
        if not any(map(proxy.admits, users)):
            raise ProxyError(f"xtcp visitor user [] not allowed for [{proxy.name}]")
        proxy.check_gate(format_address(caller.address), caller.host)

    def _at(self, host: str) -> list[Neighbour]:
        return [client for client in self._clients() if client.source == host]

    def _call_owner(self, caller: Caller, proxy: XtcpProxy) -> None:
        hole = EarlyHole("", proxy, caller)
        hole.sid = self.holes.new_sid(hole.visitor_key)
        self.holes.add(hole)
        hole.timer = self._loop.call_later(GIVE_UP_SECONDS, self._give_up, hole)
        waits = proxy.early != EARLY_A
        hole.call = proxy.tell_owner(
            NatHoleSid(sid=hole.sid, early=self._guess(caller) if proxy.is_ours else ""),
            lambda error: self._owner_lost(hole, error),
            (lambda: self._owner_detected(hole)) if waits else None,
        )

    def _guess(self, caller: Caller) -> str:
        """Return which way the visitor punches, as far as its neighbours tell."""
        is_a = any(client.early == EARLY_A for client in self._at(caller.host))
        return EARLY_A if is_a else EARLY_B

    def _give_up(self, hole: EarlyHole) -> None:
        hole.proxy.log.info("sid [%s] the owner did not answer in time", hole.sid)
        self.holes.drop(hole)

    def _owner_lost(self, hole: EarlyHole, error: FrpError) -> None:
        self.holes.drop(hole)
        self._refuse(hole.visitor, f"[{hole.proxy.name}] the owner cannot be told: {error}")

    # The owner.

    def _owner_answers(self, caller: Caller, answer: NatHoleClient) -> None:
        hole = self.holes.get(answer.sid)
        if hole is None or hole.owner_address is not None:
            return
        hole.owner_address = caller.address
        hole.proxy.log.info(
            "sid [%s] visitor %s, owner %s",
            hole.sid,
            format_address(hole.visitor.address),
            format_address(caller.address),
        )
        if hole.proxy.early == EARLY_A:
            self._introduce(hole)
        self._answer(caller, _introduction(hole))

    def _owner_detected(self, hole: EarlyHole) -> None:
        """The owner has opened its NAT: now the visitor may try."""
        if hole.owner_address is not None:
            self._introduce(hole)

    def _introduce(self, hole: EarlyHole) -> None:
        self.holes.drop(hole)
        self._answer(hole.visitor, _introduction(hole))

    # Answers.

    def _refuse(self, caller: Caller, reason: str) -> None:
        now = self._loop.now()
        gained = (now - self._refused_at) * REFUSALS_PER_SECOND
        self._refusals = min(self._refusals + gained, MAX_REFUSALS_AT_ONCE)
        self._refused_at = now
        if self._refusals < 1:
            return
        self._refusals -= 1
        _log.debug("%s: refused: %s", format_address(caller.address), reason)
        self._answer(caller, NatHoleResp(error=self._told(reason, "nat hole error")))

    def _answer(self, caller: Caller, answer: NatHoleResp) -> None:
        try:
            datagram = encode_message(answer)
        except LocalProtocolError:  # a name that is not Unicode
            return
        if len(datagram) <= MAX_GAIN * caller.asked_bytes:
            self._send(datagram, caller.address, caller.via)


def _introduction(hole: EarlyHole) -> NatHoleResp:
    assert hole.owner_address is not None
    return NatHoleResp(
        sid=hole.sid,
        visitor_addr=format_address(hole.visitor.address),
        client_addr=format_address(hole.owner_address),
    )
