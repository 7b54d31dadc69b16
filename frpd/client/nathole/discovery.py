"""Discovery: how two addresses of a STUN server see a socket of ours, before it punches a hole.

The same socket goes on to the hole, for only its own mapping in the NAT is known.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from frpd.entropy import Entropy
from frpd.errors import FrpError, RemoteProtocolError, TransportError
from frpd.net.address import format_address
from frpd.net.local_addresses import local_ipv4
from frpd.net.resolver import Addresses, Resolver
from frpd.proto.nat import NatKind, nat_of
from frpd.proto.stun import TRANSACTION_BYTES, Answer, binding_request, read_answer
from frpd.selector_loop import SelectorLoop, Timer
from frpd.udp.datagram_socket import DatagramSocket

ANSWER_SECONDS: Final = 3.0
REPEAT_SECONDS: Final = (0.5, 1.0)
"""Pauses after which a request is sent again: datagrams get lost."""
STUN_PORT: Final = 3478
MAX_LOCAL_ADDRESSES: Final = 10
DATAGRAMS_PER_TURN: Final = 32

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it.

    Attributes:
        sock: owned by whoever gets this.
        mapped: how the server saw it.
        local_ips: of this machine.
        nat: what that means.
    """

    sock: DatagramSocket
    mapped: tuple[Address, ...]
    local_ips: tuple[str, ...]
    nat: NatKind

    def mapped_texts(self) -> list[str]:
        """Return the mapped addresses as messages have them."""
        return [format_address(address) for address in self.mapped]

    def assisted_texts(self) -> list[str]:
        """Return where the socket is reached in its own network."""
        return [format_address((ip, self.sock.address[1])) for ip in self.local_ips]


class Means(NamedTuple):
    """What a discovery works with."""

    loop: SelectorLoop
    resolver: Resolver
    entropy: Entropy


class Discovery:
    """One discovery. Loop thread only.

    Args:
        means: see Means.
        stun_server: ``host:port``, or a host alone.
        on_found: called with the result,
        on_failed: or this one with the reason; never inside start().
        local: where our socket is bound.
    """

    def __init__(
        self,
        means: Means,
        stun_server: str,
        on_found: Callable[[Found], None],
        on_failed: Callable[[FrpError], None],
        *,
        local: Address = ("0.0.0.0", 0),  # noqa: S104 - any address of ours may be the way
    ) -> None:
        self._means = means
        self._stun_server = stun_server
        self._on_found = on_found
        self._on_failed = on_failed
        self._local = local
        self._sock: DatagramSocket | None = None
        self._server: Address = ("", 0)
        self._transaction = b""
        self._mapped: list[Address] = []
        self._timer: Timer | None = None
        self._repeats: tuple[float, ...] = ()
        self._over = False

    def start(self) -> None:
        """Ask."""
        try:
            host, port = split_server(self._stun_server)
        except ValueError as error:
            self._means.loop.call_soon(self._fail, TransportError(str(error)))
            return
        self._means.loop.call_soon(self._resolve, host, port)

    def cancel(self) -> None:
        """Give up silently. Idempotent."""
        self._end()
        if self._sock is not None:
            self._sock.close()

    def _resolve(self, host: str, port: int) -> None:
        if not self._over:
            self._means.resolver.resolve(host, port, self._resolved, self._fail)

    def _resolved(self, addresses: Addresses) -> None:
        if self._over:
            return
        servers = [address for family, address in addresses if family == socket.AF_INET]
        if not servers:
            self._fail(TransportError(f"{self._stun_server} has no address of IPv4"))
            return
        try:
            self._sock = DatagramSocket(self._means.loop, bind_ipv4(self._local), self._readable)
        except OSError as error:
            where = format_address(self._local)
            self._fail(TransportError(f"listen udp {where}: {error.strerror or error}"))
            return
        self._sock.read_on(wanted=True)
        self._ask((servers[0][0], servers[0][1]))

    def _ask(self, server: Address) -> None:
        self._server = server
        self._transaction = self._means.entropy.token_bytes(TRANSACTION_BYTES)
        self._repeats = (*REPEAT_SECONDS, ANSWER_SECONDS - sum(REPEAT_SECONDS))
        self._send()

    def _send(self) -> None:
        assert self._sock is not None
        if not self._repeats:
            where = format_address(self._server)
            self._fail(TransportError(f"wait response from stun server timeout ({where})"))
            return
        self._sock.send((binding_request(self._transaction),), self._server)
        pause, *rest = self._repeats
        self._repeats = tuple(rest)
        self._timer = self._means.loop.call_later(pause, self._send)

    def _readable(self) -> None:
        assert self._sock is not None
        for _ in range(DATAGRAMS_PER_TURN):
            received = self._sock.receive_from()
            if received is None or self._over:
                return
            try:
                answer = read_answer(self._sock.scratch[: received[0]], self._transaction)
            except RemoteProtocolError as error:
                self._fail(error)
                return
            if answer is not None:
                self._answered(answer)
                return

    def _answered(self, answer: Answer) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if answer.mapped is None:
            self._fail(TransportError("no external address found"))
            return
        self._mapped.append(answer.mapped)
        if len(self._mapped) > 1:
            self._finish()
        elif answer.other is None or answer.other == self._server:
            seen = format_address(answer.mapped)
            text = f"can not get enough addresses, need 2, got: [{seen}]"
            self._fail(TransportError(f"{text}: {self._stun_server} has no second address"))
        else:
            self._ask(answer.other)

    def _finish(self) -> None:
        sock, self._sock = self._sock, None
        assert sock is not None
        self._end()
        sock.read_on(wanted=False)
        ips = local_ipv4(MAX_LOCAL_ADDRESSES)
        self._on_found(Found(sock, tuple(self._mapped), tuple(ips), nat_of(self._mapped, ips)))

    def _fail(self, error: FrpError) -> None:
        if not self._over:
            self.cancel()
            self._on_failed(error)

    def _end(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()


def bind_ipv4(address: Address = ("0.0.0.0", 0)) -> socket.socket:  # noqa: S104
    """Return a UDP socket of IPv4 alone, which is all that frp punches with.

    Raises:
        OSError: it cannot be had.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def split_server(text: str) -> Address:
    """Return host and port of ``host:port``; STUN's own port where there is none.

    Raises:
        ValueError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, str(STUN_PORT)
    if not host or not (port.isascii() and port.isdecimal() and 0 < int(port) <= 65535):
        raise ValueError(f"not the address of a STUN server: {text!r}")
    return host, int(port)
