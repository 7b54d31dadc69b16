"""KcpEntrance: a UDP port that clients come to by KCP, all through one socket.

A datagram belongs to the conversation of its number and its sender's address; one with the
first segment of a conversation begins it. Everything else is nobody's: it changes nothing,
and is answered, if at all, with less than it is.

A number that is in use, or was lately, opens nothing from elsewhere: somebody says again
what he has heard, or the number was guessed.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from frpd.entropy import Entropy
from frpd.log import get_logger
from frpd.net.address import SockAddr, format_address
from frpd.net.endpoint import Buffer
from frpd.proto.kcp.connection import KcpConnection, conversation_of, is_parity, opens
from frpd.proto.kcp_parting import Farewell, Kind, read_farewell
from frpd.selector_loop import SelectorLoop
from frpd.server.datagram_entrance import DatagramEntrance, TurnsAway, address_asked
from frpd.transports.kcp_endpoint import KcpEndpoint
from frpd.udp.datagram_socket import Ancillary, DatagramSocket, answer_via

WINDOW_SEGMENTS: Final = 1024
DATAGRAMS_PER_TURN: Final = 256
MAX_REMEMBERED: Final = 65_536
"""Numbers of conversations that are over."""
REMEMBER_SECONDS: Final = 900.0
"""As long as a login's timestamp counts by default."""
RESETS_PER_SECOND: Final = 100
COMPLAIN_EVERY_SECONDS: Final = 60.0

_CLOCK_BYTES: Final = 4

_log = get_logger("frpd.server.kcp_entrance")


class KcpEntrance(DatagramEntrance):
    """One port. Loop thread only.

    Args:
        loop: the loop.
        sock: bound; owned from now on.
        entropy: for what strangers cannot guess.
        welcome: takes each conversation that has begun; strangers as they are, it holds
            them to time and number.
        turns_away: tells who may not begin one.

    Attributes:
        suspicious: datagrams that would have begun a conversation under a number of another.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        sock: socket.socket,
        entropy: Entropy,
        welcome: Callable[[KcpEndpoint], None],
        *,
        turns_away: TurnsAway,
    ) -> None:
        super().__init__(loop, sock, turns_away)
        self.suspicious = 0
        self._entropy = entropy
        self._welcome = welcome
        self._by_address: dict[SockAddr, dict[int, KcpEndpoint]] = {}
        self._numbers: dict[int, SockAddr] = {}  # in use, and by whom
        self._remembered: OrderedDict[int, float] = OrderedDict()  # when they were over
        self._complained: float | None = None
        self._resets_left, self._resets_at = RESETS_PER_SECOND, loop.now()

    @property
    def conversations(self) -> int:
        """How many there are."""
        return len(self._numbers)

    def _is_in_use(self) -> bool:
        return bool(self._numbers)

    def _drop_all(self) -> None:
        for theirs in list(self._by_address.values()):
            for endpoint in list(theirs.values()):
                endpoint.abort()

    # What comes.

    def _readable(self) -> None:
        sock = self._socket
        scratch = sock.scratch
        touched: dict[KcpEndpoint, None] = {}
        for _ in range(DATAGRAMS_PER_TURN):
            received = sock.receive_from()
            if received is None:
                break
            size, ancillary, _, sender = received
            datagram = scratch[:size]
            endpoint = self._owner(datagram, sender)
            if endpoint is None:
                endpoint = self._begin(datagram, sender, ancillary)
            if endpoint is not None:
                endpoint.receive(datagram)
                touched[endpoint] = None
        for endpoint in touched:
            endpoint.serve()

    def _owner(self, datagram: Buffer, sender: SockAddr) -> KcpEndpoint | None:
        """Return whose this is, if its conversation has begun."""
        theirs = self._by_address.get(sender)
        if theirs is None or len(datagram) < 24:
            return None
        start = 8 if datagram[4] == 0xF1 else 0
        endpoint = theirs.get(int.from_bytes(datagram[start : start + 4], "little"))
        if endpoint is None and len(theirs) == 1 and is_parity(datagram):
            [endpoint] = theirs.values()  # parity names no conversation
        return endpoint

    def _begin(
        self, datagram: Buffer, sender: SockAddr, ancillary: Ancillary
    ) -> KcpEndpoint | None:
        """Begin a conversation if this does; else say that there is none, if that is worth it."""
        via = answer_via(ancillary)
        if not opens(datagram):
            self._deny(datagram, sender, via)
            return None
        number = conversation_of(datagram)
        assert number is not None
        if not self._takes(sender) or self._is_taken(number, sender):
            return None
        ahead = int.from_bytes(self._entropy.token_bytes(_CLOCK_BYTES), "big") / 1000
        kcp = KcpConnection(
            number,
            now=self._loop.now() + ahead,
            send_window=WINDOW_SEGMENTS,
            receive_window=WINDOW_SEGMENTS,
        )
        wire = _SharedWire(self, self._socket, sender, via)
        endpoint = KcpEndpoint(self._loop, kcp, wire, sender, clock_ahead=ahead, is_stranger=True)
        wire.endpoint = endpoint
        self._by_address.setdefault(sender, {})[number] = endpoint
        self._numbers[number] = sender
        try:
            self._welcome(endpoint)
        except MemoryError:
            raise  # see SelectorLoop
        except Exception:
            _log.exception("accepting %s failed", endpoint.describe())
            endpoint.abort()
        return endpoint

    def _is_taken(self, number: int, sender: SockAddr) -> bool:
        """Whether a number is somebody's, or was lately; say so from time to time."""
        now = self._loop.now()
        while self._remembered:
            oldest, since = next(iter(self._remembered.items()))
            if now - since < REMEMBER_SECONDS:
                break
            del self._remembered[oldest]
        owner = self._numbers.get(number)
        if owner is None and number not in self._remembered:
            return False
        self.suspicious += 1
        if self._complained is None or now - self._complained >= COMPLAIN_EVERY_SECONDS:
            self._complained = now
            _log.warning(
                "%s wants to begin KCP conversation %#010x, which is %s: ignored, as something"
                " that was recorded and is played again (%d such datagrams so far)",
                format_address(sender),
                number,
                f"that of {format_address(owner)}" if owner is not None else "over",
                self.suspicious,
            )
        return True

    def _deny(self, datagram: Buffer, sender: SockAddr, via: Ancillary) -> None:
        """Tell one of our own ends, if it is one, that its conversation is over."""
        number = conversation_of(datagram)
        if number is None:
            farewell = read_farewell(datagram)
            if farewell is None or farewell.kind not in (Kind.END, Kind.GONE):
                return
            number = farewell.conversation
        now = self._loop.now()
        if now - self._resets_at >= 1.0:
            self._resets_left, self._resets_at = RESETS_PER_SECOND, now
        if self._resets_left:
            self._resets_left -= 1
            self._socket.send([Farewell(number, Kind.RESET).encode()], sender, via)

    # Ends.

    def forget(self, endpoint: KcpEndpoint) -> None:
        """A conversation is over."""
        number, sender = endpoint.conversation, endpoint.peer
        theirs = self._by_address[sender]
        del theirs[number]
        if not theirs:
            del self._by_address[sender]
        del self._numbers[number]
        if not endpoint.is_stranger:  # only what somebody could use again
            self._remembered[number] = self._loop.now()
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        self._close_if_idle()


class _SharedWire:
    """A KcpWire: one peer's part of an entrance's socket."""

    __slots__ = ("_entrance", "_peer", "_socket", "_via", "endpoint")

    def __init__(
        self, entrance: KcpEntrance, sock: DatagramSocket, peer: SockAddr, via: Ancillary
    ) -> None:
        self.endpoint: KcpEndpoint | None = None
        self._entrance = entrance
        self._socket = sock
        self._peer = peer
        self._via = via

    def send(self, datagrams: Sequence[Buffer]) -> None:
        """See KcpWire.send."""
        self._socket.send(datagrams, self._peer, self._via)

    def local_address(self) -> SockAddr:
        """See KcpWire.local_address: the one that the peer has asked, of several."""
        return address_asked(self._socket, self._via)

    def release(self) -> None:
        """See KcpWire.release."""
        if self.endpoint is not None:
            self._entrance.forget(self.endpoint)
