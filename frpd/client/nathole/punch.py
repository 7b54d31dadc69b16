"""Punching: both ends send to each other until something gets through their NATs.

What is sent bears the sid of the hole and is encrypted under the sk, so whoever is heard
has both. The receiver answers what it hears; the sender is done when it hears the answer.

Beyond what frp does the sender repeats what it sends to known addresses, and the receiver
its answer, for datagrams get lost; and each knows what it has sent itself, if somebody
sends it back.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final

from frpd.client.nathole.discovery import bind_ipv4
from frpd.client.nathole.generation import HoleContext
from frpd.client.nathole.plan import Address, Plan
from frpd.errors import FrpError, RemoteProtocolError, TransportError
from frpd.net.address import format_address
from frpd.proto.ciphers import IV_BYTES
from frpd.proto.message.types import NatHoleSid
from frpd.proto.punch import MAX_NONCE_CHARACTERS, decode_detect, encode_detect
from frpd.selector_loop import Timer
from frpd.udp.datagram_socket import NO_ANCILLARY, Ancillary, DatagramSocket

GUESS_SECONDS: Final = 0.002
"""Between datagrams to guessed ports, as in frp: a NAT may take a flood for an attack."""
RANDOM_SECONDS: Final = 0.015
REPEAT_SECONDS: Final = 1.0
ANSWERS: Final = 2
"""How often one datagram is answered."""
DATAGRAMS_PER_TURN: Final = 32
_TRANSACTION_BYTES: Final = 8

_ttl = Struct("=i").pack

OnPunched = Callable[[socket.socket], None]


class Punching:
    """One end's part of one hole. Loop thread only.

    Args:
        context: see HoleContext.
        plan: what the server told us.
        key: of the sk.
        sock: the one that STUN servers have seen; owned from now on.
        on_punched: called with a socket that is connected to the far end,
        on_failed: or this one with the reason; never inside start().
    """

    def __init__(
        self,
        context: HoleContext,
        plan: Plan,
        key: bytes,
        sock: DatagramSocket,
        *,
        on_punched: OnPunched,
        on_failed: Callable[[FrpError], None],
    ) -> None:
        self._context = context
        self._plan = plan
        self._key = key
        self._on_punched = on_punched
        self._on_failed = on_failed
        self._transaction = context.entropy.token_bytes(_TRANSACTION_BYTES).hex()
        self._via: Ancillary = NO_ANCILLARY
        if plan.ttl:
            self._via = [(socket.IPPROTO_IP, socket.IP_TTL, _ttl(plan.ttl))]
        self._socks = [sock]
        self._borrowed = 0  # of the budget of sockets
        self._timers: list[Timer] = []
        self._over = False

    def start(self) -> None:
        """Begin."""
        self._listen(self._socks[0])
        self._open_more()
        self._after(self._plan.delay_seconds, self._send_direct)

    def cancel(self) -> None:
        """Give up silently. Idempotent."""
        if not self._over:
            self._end()

    # What is sent.

    def _send_direct(self) -> None:
        plan = self._plan
        self._send_known()
        if plan.random_ports:
            self._send_slowly(
                self._each(plan.random_addresses(self._context.entropy.token_bytes)),
                RANDOM_SECONDS,
                lambda: None,
            )
        self._send_slowly(self._each(iter(plan.guessed)), GUESS_SECONDS, self._wait)

    def _send_known(self) -> None:
        for sock, address in self._each(iter(self._plan.direct)):
            self._send(sock, address)
        if self._plan.is_sender and self._plan.direct:
            self._after(REPEAT_SECONDS, self._send_known)

    def _each(self, addresses: Iterator[Address]) -> Iterator[tuple[DatagramSocket, Address]]:
        """Yield what is sent: from every socket to every address."""
        for address in addresses:
            for sock in self._socks:
                yield sock, address

    def _send_slowly(
        self,
        sends: Iterator[tuple[DatagramSocket, Address]],
        pause: float,
        then: Callable[[], None],
    ) -> None:
        """Send one now, and so on; call ``then`` after the last."""
        following = next(sends, None)
        if following is None:
            then()
        else:
            self._send(*following)
            self._after(pause, self._send_slowly, sends, pause, then)

    def _send(self, sock: DatagramSocket, address: Address) -> None:
        entropy = self._context.entropy
        nonce = "0" * (entropy.token_bytes(1)[0] % (MAX_NONCE_CHARACTERS + 1))
        said = NatHoleSid(transaction_id=self._transaction, sid=self._plan.sid, nonce=nonce)
        self._say(sock, said, address, self._via)

    def _say(
        self, sock: DatagramSocket, said: NatHoleSid, address: Address, via: Ancillary
    ) -> None:
        iv = self._context.entropy.token_bytes(IV_BYTES)
        sock.send((encode_detect(said, self._key, iv),), address, via)

    # What is heard.

    def _listen(self, sock: DatagramSocket) -> None:
        sock.on_readable = lambda: self._readable(sock)
        sock.read_on(wanted=True)

    def _open_more(self) -> None:
        """Listen at other ports too: one of them may be hit by chance."""
        self._borrowed = self._context.sockets.take(self._plan.listened_ports)
        for _ in range(self._borrowed):
            try:
                sock = DatagramSocket(self._context.loop, bind_ipv4(), lambda: None)
            except OSError as error:
                self._context.log.debug("listen random udp addr error: %s", error)
                return
            self._socks.append(sock)
            self._listen(sock)

    def _readable(self, sock: DatagramSocket) -> None:
        for _ in range(DATAGRAMS_PER_TURN):
            received = sock.receive_from()
            if received is None or self._over:
                return
            size, _, _, sender = received
            try:
                heard = decode_detect(bytes(sock.scratch[:size]), self._key)
            except RemoteProtocolError as error:
                self._context.log.debug("%s sent %s", format_address(sender), error)
                continue
            if self._is_the_other(heard):
                self._heard(sock, heard, (sender[0], sender[1]))
                return

    def _is_the_other(self, heard: NatHoleSid) -> bool:
        """Whether this ends our part: no stranger's, no old one's, no echo of our own."""
        if heard.sid != self._plan.sid:
            return False
        if self._plan.is_sender:
            return heard.response and heard.transaction_id == self._transaction
        return not heard.response and heard.transaction_id != self._transaction

    def _heard(self, sock: DatagramSocket, heard: NatHoleSid, sender: Address) -> None:
        if not self._plan.is_sender:
            heard.response = True
            for _ in range(ANSWERS):
                self._say(sock, heard, sender, NO_ANCILLARY)
        self._socks.remove(sock)
        self._end()
        kept = sock.detach()
        try:
            kept.connect(sender)
        except OSError as error:
            kept.close()
            where = format_address(sender)
            self._on_failed(TransportError(f"dial udp {where}: {error.strerror or error}"))
            return
        self._on_punched(kept)

    # Time and end.

    def _wait(self) -> None:
        self._after(self._plan.read_seconds, self._timed_out)

    def _timed_out(self) -> None:
        self._end()
        self._on_failed(TransportError("wait detect message timeout"))

    def _after(self, seconds: float, call: Callable[..., None], *args: object) -> None:
        loop = self._context.loop
        self._timers = [timer for timer in self._timers if timer.when >= loop.now()]
        self._timers.append(loop.call_later(seconds, self._due, call, *args))

    def _due(self, call: Callable[..., None], *args: object) -> None:
        if not self._over:  # it may have ended in this very turn
            call(*args)

    def _end(self) -> None:
        self._over = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for sock in self._socks:
            sock.close()
        self._socks.clear()
        self._context.sockets.give(self._borrowed)
        self._borrowed = 0
