"""Hole punching as frp did it up to 0.48: both ends, as state machines without a socket.

Requests to the server's UDP port and its answers are plain frames (frpd.proto.message.codec),
one per datagram. Between the ends goes the sid that the server made up, as it is. Once an end
has heard it, both speak KCP on the sockets they have. There were two generations:

* A, up to 0.24: the visitor opens its NAT with a datagram that dies on its way (TTL 3), the
  owner sends the sid a second later. The visitor does not answer that: it is there or not.
* B, 0.25 to 0.48: the owner sends first, says so to the server, and only then the visitor hears
  of the owner and sends. The owner answers with the same, and KCP begins with a yamux stream.

Go sends each datagram once. We repeat them: what is lost on the way would cost the user a
connection, and Go's ends pass over a sid too many. An owner of ours serves visitors of both
generations, which it cannot tell apart before they speak. Facts: frp client/visitor.go and
client/proxy.go of 0.21 and 0.31.
"""

from __future__ import annotations

import enum
import ipaddress
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from frpd.errors import RemoteProtocolError
from frpd.proto.kcp.segment import (
    CODED_FROM,
    DATA_SHARD,
    FEC_BYTES,
    FEC_HEADER,
    HEADER,
    HEADER_BYTES,
    WINDOW_ASK,
    conversation_of,
)
from frpd.proto.message.codec import decode_message, encode_message
from frpd.proto.message.types import (
    EARLY_A,
    EARLY_B,
    Message,
    NatHoleClient,
    NatHoleResp,
    NatHoleVisitor,
)

Address: TypeAlias = tuple[str, int]
"""An IP literal as the kernel writes it, and a port."""

CONVERSATION: Final = 1
"""Of the KCP that follows."""
MAX_SID_CHARS: Final = 128
"""frp's have 26."""
MAX_ERROR_CHARS: Final = 256
DYING_TTL: Final = 3
"""Out of the visitor's own network, and never as far as the owner's."""

VISITOR_ASKS_SECONDS: Final = 10.0
VISITOR_ASKS_AGAIN_SECONDS: Final = 3.0
"""Each time the owner is asked for a new hole, so it has time to come first."""
OWNER_ASKS_SECONDS: Final = 5.0
OWNER_ASKS_AGAIN_SECONDS: Final = 1.0
VISITOR_WAITS_SECONDS: Final = {EARLY_A: 5.0, EARLY_B: 8.0}
VISITOR_SENDS_AGAIN_SECONDS: Final = 0.3
"""In A its NAT has to be open when the owner's first sid comes, even if one of these is lost."""
OWNER_WAITS_SECONDS: Final = 8.0
OWNER_FIRST_SIDS: Final = 2
"""At once. A visitor of B hears of us as soon as they are out: our NAT should be open by then."""
OWNER_TICK_SECONDS: Final = 0.15
"""Between a sid and what may go before the next one."""
OWNER_DELAY_SECONDS: Final = {EARLY_A: 1.0, EARLY_B: 0.0}
"""In A the visitor has to open its NAT first, or that may take us for an intruder."""
SIDS_BEFORE_A_PROBE: Final = 4
"""A visitor that hears a probe before a sid gives up, so some of them may be lost."""
MAX_PROBES: Final = 9
MAX_ECHOES: Final = 32

YAMUX_BYTES: Final = 8
"""So many tell whether a tunnel begins with the first stream of a yamux client."""

_WINDOW: Final = 1024
# Numbers that no sender comes to: the nine before 0 are the last, unfinished group of 13.
_FIRST_PROBE: Final = 0xFFFFFFF7
# Version 0; data or a window; SYN, stream 1.
_YAMUX_OPENINGS: Final = (b"\0\0\0\1\0\0\0\1", b"\0\1\0\1\0\0\0\1")
_PROBE_BYTES: Final = FEC_BYTES + HEADER_BYTES


class State(enum.Enum):
    """Where a punch stands."""

    ASKING = "asking"
    """The server has yet to say where the other end is."""
    PUNCHING = "punching"
    OPEN = "open"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Datagram:
    """One to be sent."""

    data: bytes
    to: Address
    ttl: int = 0
    """0 for the usual one."""


def parse_address(text: str) -> Address:
    """Return what the server calls an end, such as ``192.0.2.7:4711`` or ``[2001:db8::7]:4711``.

    Raises:
        RemoteProtocolError: it is none that a datagram can be sent to.
    """
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise RemoteProtocolError(f"{text[:64]!r} is no address of a socket") from None
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 0xFFFF
    if not is_port or ip.is_unspecified or ip.is_multicast or "%" in host:
        raise RemoteProtocolError(f"{text[:64]!r} is no address of a socket")
    return str(ip), int(port)


def is_kcp(datagram: bytes) -> bool:
    """Whether this is KCP of a punched hole."""
    return conversation_of(datagram) == CONVERSATION


def kcp_probe(number: int) -> bytes:
    """Return a datagram that whoever speaks KCP answers, and that changes nothing.

    Args:
        number: below MAX_PROBES.
    """
    coded_bytes = _PROBE_BYTES - CODED_FROM
    head = FEC_HEADER.pack(_FIRST_PROBE + number, DATA_SHARD, coded_bytes)
    return head + HEADER.pack(CONVERSATION, WINDOW_ASK, 0, _WINDOW, 0, 0, 0, 0)


def begins_yamux(start: bytes) -> bool | None:
    """Whether the first bytes of a tunnel open a yamux stream, as those of B do; None: too few.

    Args:
        start: all that is there, at least one byte.
    """
    start = start[:YAMUX_BYTES]
    for opening in _YAMUX_OPENINGS:
        if opening.startswith(start):
            return True if len(start) == YAMUX_BYTES else None
    return False


class Punch(ABC):
    """What both ends have in common. Feed it datagrams and the time, send what it wants.

    Attributes:
        state: once it is OPEN or FAILED only datagrams_to_send has something left.
        error: why it failed.
        peer: where the other end is, as far as is known; None before the server has said.
        sid: the hole's name; "" before it is known.
    """

    _other: ClassVar[str]
    _asks_seconds: ClassVar[float]
    _asks_again_seconds: ClassVar[float]

    def __init__(self, request: Message, server: Address, now: float, waits_seconds: float) -> None:
        self.state = State.ASKING
        self.error = ""
        self.peer: Address | None = None
        self.sid = ""
        self._server = server
        self._request = encode_message(request)
        self._waits_seconds = waits_seconds
        self._outbox: list[Datagram] = []
        self._over_at = now + self._asks_seconds
        self._next_at = now
        self.handle_deadline(now)

    def datagrams_to_send(self) -> list[Datagram]:
        """Return, and forget, what is to be sent now."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_deadline(self) -> float | None:
        """Return when handle_deadline has to be called; None for never."""
        if self.state in (State.OPEN, State.FAILED):
            return None
        return min(self._next_at, self._over_at)

    def handle_deadline(self, now: float) -> None:
        """Send something again, or give up."""
        if self.state is State.ASKING:
            if now >= self._over_at:
                self._fail(
                    f"no answer from the server's UDP port within {self._asks_seconds:g} s:"
                    f" it cannot be reached, or the {self._other} is not there"
                )
            elif now >= self._next_at:
                self._outbox.append(Datagram(self._request, self._server))
                self._next_at = now + self._asks_again_seconds
        elif self.state is State.PUNCHING:
            if now >= self._over_at:
                self._fail(
                    f"no hole: nothing came from the {self._other} at {_text(self.peer)}"
                    f" within {self._waits_seconds:g} s"
                )
            elif now >= self._next_at:
                self._next_at = now + self._punch()

    def receive_datagram(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram; what is not for us is passed over.

        A punch that this has made OPEN leaves it, if is_kcp(), to the KCP on the same socket.
        """
        if self.state is State.ASKING:
            if source == self._server:
                self._receive_answer(data, now)
        elif self.state is State.PUNCHING:
            self._receive_from_peer(data, source)

    def _receive_answer(self, data: bytes, now: float) -> None:
        try:
            answer = decode_message(data)
        except RemoteProtocolError:
            return
        if not isinstance(answer, NatHoleResp):
            return
        if answer.error:
            self._fail(answer.error[:MAX_ERROR_CHARS])
            return
        peer = self._peer_in(answer)
        if peer is None:
            return
        try:
            self.peer = parse_address(peer)
        except RemoteProtocolError as error:
            self._fail(f"the server's answer: {error}")
            return
        self.state = State.PUNCHING
        self._next_at = now + self._delay_seconds()
        self._over_at = self._next_at + self._waits_seconds
        self.handle_deadline(now)

    def _is_sid(self, data: bytes) -> bool:
        return data == self.sid.encode()

    def _send(self, data: bytes, ttl: int = 0) -> None:
        assert self.peer is not None
        self._outbox.append(Datagram(data, self.peer, ttl))

    def _send_sid(self, ttl: int = 0) -> None:
        self._send(self.sid.encode(), ttl)

    def _fail(self, error: str) -> None:
        self.state = State.FAILED
        self.error = error
        self._outbox.clear()

    @abstractmethod
    def _peer_in(self, answer: NatHoleResp) -> str | None:
        """Return the other end's address in the server's answer; None if it is not for us."""

    @abstractmethod
    def _delay_seconds(self) -> float:
        """Return how long to wait before the first _punch()."""

    @abstractmethod
    def _punch(self) -> float:
        """Send what is due; return after how many seconds there is more."""

    @abstractmethod
    def _receive_from_peer(self, data: bytes, source: Address) -> None:
        """Take a datagram of whoever it may be."""


class VisitorPunch(Punch):
    """The visitor's end.

    Args:
        request: signed; it goes to the server.
        server: its UDP address.
        generation: the owner's, EARLY_A or EARLY_B.
        now: the time.
    """

    _other = "owner"
    _asks_seconds = VISITOR_ASKS_SECONDS
    _asks_again_seconds = VISITOR_ASKS_AGAIN_SECONDS

    def __init__(
        self, request: NatHoleVisitor, server: Address, generation: str, now: float
    ) -> None:
        self.generation = generation
        super().__init__(request, server, now, VISITOR_WAITS_SECONDS[generation])

    def _peer_in(self, answer: NatHoleResp) -> str | None:
        if not 0 < len(answer.sid) <= MAX_SID_CHARS:
            return None
        self.sid = answer.sid
        return answer.client_addr

    def _delay_seconds(self) -> float:
        return 0.0

    def _punch(self) -> float:
        self._send_sid(DYING_TTL if self.generation == EARLY_A else 0)
        return VISITOR_SENDS_AGAIN_SECONDS

    def _receive_from_peer(self, data: bytes, source: Address) -> None:
        if not self._is_sid(data):
            return
        # By another address than the server saw: the owner's NAT has one for each of us.
        self.peer = source
        if self.generation == EARLY_B:
            self._send_sid()  # the first thing that such an owner hears must be this
        else:
            self._send(kcp_probe(0))  # an owner of ours learns that we are there
        self.state = State.OPEN


class OwnerPunch(Punch):
    """The owner's end, for visitors of both generations.

    Args:
        proxy_name: of the proxy that the visitor wants.
        sid: as the server gave it.
        server: its UDP address.
        generation: the server's, EARLY_A or EARLY_B: what its visitors expect.
        now: the time.

    Attributes:
        has_sent: our NAT knows the visitor by now: a server from 0.25 on waits to hear so.

    Raises:
        RemoteProtocolError: that is no sid.
    """

    _other = "visitor"
    _asks_seconds = OWNER_ASKS_SECONDS
    _asks_again_seconds = OWNER_ASKS_AGAIN_SECONDS

    def __init__(
        self, proxy_name: str, sid: str, server: Address, generation: str, now: float
    ) -> None:
        if not 0 < len(sid) <= MAX_SID_CHARS:
            raise RemoteProtocolError(f"a sid of {len(sid)} characters")
        self.generation = generation
        self.has_sent = False
        self._ticks = 0
        self._probes = 0
        self._echoes = 0
        request = NatHoleClient(proxy_name=proxy_name, sid=sid)
        super().__init__(request, server, now, OWNER_WAITS_SECONDS)
        self.sid = sid

    def _peer_in(self, answer: NatHoleResp) -> str | None:
        return answer.visitor_addr if answer.sid == self.sid else None

    def _delay_seconds(self) -> float:
        return OWNER_DELAY_SECONDS[self.generation]

    def _punch(self) -> float:
        """Send a sid, or ask what only a visitor that heard one can answer.

        One of generation A says nothing before its user does, who may wait for the service.
        """
        if self._ticks % 2 == 0:
            for _ in range(1 if self._ticks else OWNER_FIRST_SIDS):
                self._send_sid()
            self.has_sent = True
        elif self._ticks // 2 >= SIDS_BEFORE_A_PROBE - 1 and self._probes < MAX_PROBES:
            self._send(kcp_probe(self._probes))
            self._probes += 1
        self._ticks += 1
        return OWNER_TICK_SECONDS

    def _receive_from_peer(self, data: bytes, source: Address) -> None:
        if self._is_sid(data):
            self.peer = source  # its NAT may have one address for each of us
            self.has_sent = True
            if self._echoes < MAX_ECHOES:
                self._echoes += 1
                self._send_sid()
        elif source == self.peer and self.has_sent and is_kcp(data):
            self.state = State.OPEN


def _text(address: Address | None) -> str:
    assert address is not None
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
