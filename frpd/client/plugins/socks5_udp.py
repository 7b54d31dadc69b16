"""UDP associations of the socks5 plugin (RFC 1928 section 7).

A visitor sends its datagrams to a UDP socket of this machine: they do not come through
the server. So this serves visitors that reach this machine by themselves, say over a VPN
or in its own network; others get an address that does not help them.

One peer may use an association: the first that sends from the address that it announced
or, if it announced none, that the server knows it by. Answers pass only from addresses
that it has sent to.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from frpd.client.proxies.base import ProxyContext
from frpd.errors import TransportError
from frpd.net.address import SockAddr, host_of, literal_family
from frpd.net.endpoint import Buffer
from frpd.net.listener import EVERY_ADDRESS, ListenError
from frpd.net.resolver import Addresses
from frpd.proto.socks5 import Host
from frpd.proto.socks5_server import decode_datagram, encode_datagram
from frpd.udp.datagram_socket import DatagramSocket, bind_udp, connect_udp

DATAGRAMS_PER_TURN: Final = 32
MAX_CONTACTS: Final = 1024
"""Addresses that a visitor may expect answers from; the one used longest ago gives way."""
MAX_NAMES: Final = 64
"""Names looked up, or being looked up, at a time."""
MAX_WAITING: Final = 16
"""Datagrams that wait for one name."""
NAME_SECONDS: Final = 60.0
"""Before a name is looked up again."""
_DISCARD_PORT: Final = 9  # nothing is sent there; the kernel only looks up the way


class Owner(Protocol):
    """Whose association it is."""

    context: ProxyContext
    bytes_in: int
    bytes_out: int


def open_association(
    owner: Owner, announced: str | None, announced_port: int, source: str
) -> Association:
    """Return an association at the address of this machine that its visitor would be answered from.

    Args:
        owner: counts what passes.
        announced: the address that the visitor will send from, as it says.
        announced_port: likewise; 0 if it does not know.
        source: the visitor's address as the server knows it; may be empty.

    Raises:
        TransportError: no address is known, or no socket can be had.
    """
    host = source if announced is None or announced in EVERY_ADDRESS else announced
    port = 0 if host != announced else announced_port
    try:
        return Association(owner, bind_udp(_address_towards(host), 0), host, port)
    except ListenError as error:
        raise TransportError(str(error)) from error


def _address_towards(host: str) -> str:
    family = literal_family(host)
    if family is None:
        raise TransportError("the visitor's address is not known")
    try:
        with connect_udp(family, (host, _DISCARD_PORT)) as probe:
            found: str = probe.getsockname()[0]
    except OSError as error:
        raise TransportError(f"no way to {host}: {error.strerror}".lower()) from error
    return found


class _Name:
    """A host name in datagrams: its address, or what waits for that."""

    __slots__ = ("address", "until", "waiting")

    def __init__(self) -> None:
        self.address = ""
        self.until = 0.0
        self.waiting: list[tuple[int, bytes]] | None = []


class Association:
    """Two sockets: one for the visitor, one for whom it talks to. Loop thread only.

    Args:
        owner: counts what passes.
        sock: bound, for the visitor.
        host: where the visitor will send from.
        port: likewise; 0 for any.

    Attributes:
        address: where the visitor is to send to.
        dropped: datagrams that nobody was allowed or able to send.
    """

    def __init__(self, owner: Owner, sock: socket.socket, host: str, port: int) -> None:
        loop = owner.context.loop
        self.dropped = 0
        self._owner = owner
        self._host = host
        self._port = port
        self._peer: SockAddr | None = None
        self._contacts: OrderedDict[str, None] = OrderedDict()
        self._names: OrderedDict[str, _Name] = OrderedDict()
        self._near = DatagramSocket(loop, sock, self._from_visitor)
        self.address = self._near.address
        try:
            self._far = DatagramSocket(loop, bind_udp("", 0), self._from_outside)
        except ListenError:
            self._near.close()
            raise
        self._speaks_ipv6 = ":" in self._far.address[0]
        self._near.read_on(wanted=True)
        self._far.read_on(wanted=True)

    def close(self) -> None:
        """Close both sockets. Idempotent."""
        self._near.close()
        self._far.close()
        self._names.clear()

    # From the visitor.

    def _from_visitor(self) -> None:
        near = self._near
        for _ in range(DATAGRAMS_PER_TURN):
            received = near.receive_from()
            if received is None:
                return
            size, _, _, sender = received
            if not self._is_peer(sender):
                self.dropped += 1
                continue
            found = decode_datagram(near.scratch[:size])
            if found is None:
                self.dropped += 1
            else:
                self._pass_on(*found)

    def _is_peer(self, sender: SockAddr) -> bool:
        fits = host_of(sender) == self._host and self._port in (0, sender[1])
        if fits and self._peer is None:
            self._peer = sender
        return sender == self._peer

    def _pass_on(self, host: Host, port: int, payload: Buffer) -> None:
        if isinstance(host, bytes):
            family = socket.AF_INET if len(host) == 4 else socket.AF_INET6
            self._send(socket.inet_ntop(family, host), port, payload)
            return
        name = self._names.get(host)
        if name is None or (name.waiting is None and name.until <= self._owner.context.loop.now()):
            name = self._look_up(host)
        if name.waiting is None:
            self._send(name.address, port, payload)
        elif len(name.waiting) < MAX_WAITING:
            name.waiting.append((port, bytes(payload)))
        else:
            self.dropped += 1

    def _send(self, address: str, port: int, payload: Buffer) -> None:
        is_ipv6 = ":" in address
        if not address or (is_ipv6 and not self._speaks_ipv6):
            self.dropped += 1
            return
        plain = host_of((address, port))
        self._contacts[plain] = None
        self._contacts.move_to_end(plain)
        if len(self._contacts) > MAX_CONTACTS:
            self._contacts.popitem(last=False)
        mapped = f"::ffff:{address}" if self._speaks_ipv6 and not is_ipv6 else address
        if self._far.send((payload,), (mapped, port)):
            self._owner.bytes_in += len(payload)
        else:
            self.dropped += 1

    # Names.

    def _look_up(self, host: str) -> _Name:
        self._names.pop(host, None)
        if len(self._names) >= MAX_NAMES:
            self._names.popitem(last=False)
        name = self._names[host] = _Name()

        def found(addresses: Addresses) -> None:
            by_family = dict(reversed(addresses))
            # There is no second try, so the family that works in most places comes first.
            address = by_family.get(socket.AF_INET) or by_family.get(socket.AF_INET6)
            self._looked_up(host, name, address[0] if address else "")

        self._ask(host, found, lambda _error: self._looked_up(host, name, ""))
        return name

    def _ask(
        self,
        host: str,
        found: Callable[[Addresses], None],
        failed: Callable[[TransportError], None],
    ) -> None:
        text = host.encode("ascii", "surrogateescape").decode("utf-8", "replace")
        self._owner.context.connector.resolver.resolve(text, 0, found, failed)

    def _looked_up(self, host: str, name: _Name, address: str) -> None:
        waiting, name.waiting = name.waiting, None
        name.address = address
        name.until = self._owner.context.loop.now() + NAME_SECONDS
        if self._names.get(host) is not name:
            return  # gave way to others, or all is over
        for port, payload in waiting or ():
            self._send(address, port, payload)

    # From outside.

    def _from_outside(self) -> None:
        far = self._far
        for _ in range(DATAGRAMS_PER_TURN):
            received = far.receive_from()
            if received is None:
                return
            size, _, _, sender = received
            host = host_of(sender)
            if self._peer is None or host not in self._contacts:
                self.dropped += 1
                continue
            family = literal_family(host)
            assert family is not None
            raw = socket.inet_pton(family, host.partition("%")[0])
            datagram = encode_datagram(raw, sender[1], far.scratch[:size])
            if self._near.send((datagram,), self._peer):
                self._owner.bytes_out += size
            else:
                self.dropped += 1
