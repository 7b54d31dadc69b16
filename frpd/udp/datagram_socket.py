"""DatagramSocket: a UDP socket on the loop, bound for visitors or connected to a service.

Nothing is queued here: what the kernel does not take is lost, as datagrams may be.
Errors that others cause by ICMP (a port that nobody listens on) are counted and never
end a socket.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final, TypeAlias, cast

from frpd.log import get_logger
from frpd.net.address import SockAddr, format_address, join_host_port
from frpd.net.endpoint import Buffer
from frpd.net.listener import EVERY_ADDRESS, NO_IPV6, ListenError, bind_address
from frpd.net.socket_store import UDP, SocketStore
from frpd.selector_loop import SelectorLoop

KERNEL_BUFFER_BYTES: Final = 4 * 1024 * 1024  # the kernel caps it at net.core.rmem_max
# Constants of linux/udp.h and linux/in6.h that Python 3.11 does not know.
SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
IPV6_RECVPKTINFO: Final = 49
IPV6_PKTINFO: Final = 50
IP_PKTINFO: Final = 8
# One call of the kernel may carry so much of one size to one peer (generic segmentation).
MAX_SEGMENTS: Final = 64
MAX_SEGMENTED_BYTES: Final = 65000
MAX_ERRORS_PER_CALL: Final = 4
_CONTROL_BYTES: Final = socket.CMSG_SPACE(20)
_NO_SEGMENTS = frozenset({errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT})

Ancillary: TypeAlias = list[tuple[int, int, bytes]]
NO_ANCILLARY: Final[Ancillary] = []
Received: TypeAlias = tuple[int, Ancillary, int, SockAddr]

_segment_size = Struct("=H").pack
_log = get_logger("frpd.udp.datagram_socket")


class DatagramBindError(ListenError):
    """A UDP port cannot be bound; ``errno`` says why, ``address`` where."""

    def __init__(self, address: str, error: OSError) -> None:
        super().__init__(address, error)
        text = (error.strerror or str(error)).lower()
        self.args = (f"listen udp {address}: bind: {text}",)


def bind_udp(host: str, port: int) -> socket.socket:
    """Return a bound socket.

    ``0.0.0.0``, ``::`` and the empty string all mean every address of both
    families; without IPv6, those of IPv4.

    Args:
        host: address literal, name, or empty for all addresses.
        port: 0 lets the kernel choose.

    Raises:
        DatagramBindError: the address cannot be bound.
    """
    try:
        if host not in EVERY_ADDRESS:
            return _bound(*bind_address(host, port, socket.SOCK_DGRAM))
        try:
            return _bound(socket.AF_INET6, ("::", port), both=True)
        except OSError as error:
            if error.errno not in NO_IPV6:
                raise
            return _bound(socket.AF_INET, ("", port))
    except OSError as error:
        raise DatagramBindError(join_host_port(host, port), error) from error


def open_udp(store: SocketStore, host: str, port: int, owner: str) -> socket.socket:
    """Return a bound socket, inherited or new; forget() it before it is closed.

    Args:
        store: keeps it.
        host: as for bind_udp.
        port: as for bind_udp.
        owner: as for SocketStore.take.

    Raises:
        ListenError: it cannot be had; HeldError if only for now.
    """
    sock = store.take(UDP, host, port, owner)
    if sock is not None:
        return _tell_addresses(sock)
    sock = bind_udp(host, port)
    store.keep(UDP, host, port, sock, owner)
    return sock


def connect_udp(family: socket.AddressFamily, address: SockAddr) -> socket.socket:
    """Return a socket that talks to one address only.

    Raises:
        OSError: there is no way to it, or no descriptor left.
    """
    sock = _new_socket(family)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def _bound(family: socket.AddressFamily, address: SockAddr, *, both: bool = False) -> socket.socket:
    sock = _new_socket(family)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        sock.bind(address)
        return _tell_addresses(sock)
    except OSError:
        sock.close()
        raise


def _tell_addresses(sock: socket.socket) -> socket.socket:
    """Have a bound socket tell which of several addresses a datagram came to.

    Visitors of such a machine expect the answer from the one they asked.
    """
    host = sock.getsockname()[0]
    if host == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    elif host in EVERY_ADDRESS:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    return sock


def _new_socket(family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with contextlib.suppress(OSError):  # it works with less
            sock.setsockopt(socket.SOL_SOCKET, option, KERNEL_BUFFER_BYTES)
    return sock


class DatagramSocket:
    """One UDP socket. Loop thread only.

    Args:
        loop: the loop; what arrives is in its scratch memory.
        sock: of bind_udp or connect_udp; owned from now on.
        on_readable: called while there may be datagrams; it calls receive() until None,
            or as often as its turn allows.

    Attributes:
        blocked: datagrams that the kernel had no room for.
        failed: datagrams that were sent nowhere: no route, too long for the way.
        refused: times that a peer's machine said by ICMP that nobody takes them.
    """

    __slots__ = (
        "_closed",
        "_sock",
        "_tells_address",
        "_watch",
        "address",
        "blocked",
        "failed",
        "max_segment_bytes",
        "on_readable",
        "refused",
        "scratch",
    )

    def __init__(
        self, loop: SelectorLoop, sock: socket.socket, on_readable: Callable[[], None]
    ) -> None:
        self.address = cast("SockAddr", sock.getsockname())
        self.blocked = self.failed = self.refused = 0
        self.max_segment_bytes = MAX_SEGMENTED_BYTES // 2
        self.scratch = loop.scratch
        self.on_readable = on_readable
        self._sock = sock
        self._tells_address = self.address[0] in EVERY_ADDRESS
        self._closed = False
        self._watch = loop.watch(sock.fileno(), self._callback_failed)

    @property
    def closed(self) -> bool:
        """True after close()."""
        return self._closed

    def describe(self) -> str:
        """Return our own address."""
        return format_address(self.address)

    def read_on(self, wanted: bool) -> None:
        """Say whether on_readable is to be called; at first it is not."""
        self._watch.set(self.on_readable if wanted else None, None)

    def receive(self) -> int | None:
        """Return the length of one datagram in ``scratch``; None if there is none now.

        For a connected socket.
        """
        for _ in range(MAX_ERRORS_PER_CALL):
            try:
                return self._sock.recv_into(self.scratch)
            except BlockingIOError:
                return None
            except OSError:  # what an earlier datagram of ours met; it is told once
                self.refused += 1
        return None

    def receive_from(self) -> Received | None:
        """Return what recvmsg_into does for one datagram in ``scratch``; None if there is none.

        For a bound socket: length, ancillary data for ``answer_via``, flags, sender.
        """
        for _ in range(MAX_ERRORS_PER_CALL):
            try:
                if self._tells_address:
                    return self._sock.recvmsg_into((self.scratch,), _CONTROL_BYTES)
                size, sender = self._sock.recvfrom_into(self.scratch)
                return size, NO_ANCILLARY, 0, sender
            except BlockingIOError:
                return None
            except OSError:
                self.refused += 1
        return None

    def send(
        self,
        datagrams: Sequence[Buffer],
        peer: SockAddr | None = None,
        via: Ancillary = NO_ANCILLARY,
    ) -> int:
        """Send datagrams in order; return how many the kernel took.

        Neighbours of equal size leave in one call of the kernel, which costs a fifth.

        Args:
            datagrams: for one peer.
            peer: whom to; None for a connected socket.
            via: of answer_via.
        """
        count = len(datagrams)
        if count == 1:
            return self._send_one(datagrams[0], peer, via)
        sent = at = 0
        while at < count:
            size = len(datagrams[at])
            stop = at + 1
            if 0 < size <= self.max_segment_bytes:
                last = min(count, at + min(MAX_SEGMENTS, MAX_SEGMENTED_BYTES // size))
                while stop < last and len(datagrams[stop]) == size:
                    stop += 1
            if stop - at == 1:
                sent += self._send_one(datagrams[at], peer, via)
            else:
                sent += self._send_segments(datagrams[at:stop], size, peer, via)
            at = stop
        return sent

    def detach(self) -> socket.socket:
        """Give the kernel's socket up, open; the rest is as after close()."""
        self._closed = True
        self._watch.close()
        return self._sock

    def close(self) -> None:
        """Close it. Idempotent."""
        if not self._closed:
            self._closed = True
            self._watch.close()
            self._sock.close()

    def _send_one(self, datagram: Buffer, peer: SockAddr | None, via: Ancillary) -> int:
        for _ in range(MAX_ERRORS_PER_CALL):
            try:
                if peer is None:
                    self._sock.send(datagram)
                elif via:
                    self._sock.sendmsg((datagram,), via, 0, peer)
                else:
                    self._sock.sendto(datagram, peer)
            except BlockingIOError:
                self.blocked += 1
                return 0
            except ConnectionRefusedError:
                self.refused += 1  # told of an earlier one; this one was not sent yet
            except OSError:
                break
            else:
                return 1
        self.failed += 1
        return 0

    def _send_segments(
        self, datagrams: Sequence[Buffer], size: int, peer: SockAddr | None, via: Ancillary
    ) -> int:
        control = [*via, (SOL_UDP, UDP_SEGMENT, _segment_size(size))]
        for _ in range(MAX_ERRORS_PER_CALL):
            try:
                if peer is None:
                    self._sock.sendmsg(datagrams, control)
                else:
                    self._sock.sendmsg(datagrams, control, 0, peer)
            except BlockingIOError:
                self.blocked += len(datagrams)
                return 0
            except ConnectionRefusedError:
                self.refused += 1
            except OSError as error:
                if error.errno in _NO_SEGMENTS:  # larger than the way's MTU, or a plain device
                    self.max_segment_bytes = min(self.max_segment_bytes, size - 1)
                break
            else:
                return len(datagrams)
        return sum(self._send_one(datagram, peer, via) for datagram in datagrams)

    def _callback_failed(self, _error: BaseException) -> None:
        # A bug in a callback must not cost us the port: go on.
        self.read_on(wanted=True)


def answer_via(ancillary: Ancillary) -> Ancillary:
    """Return what makes ``send`` answer from the address that a datagram came to."""
    for level, kind, data in ancillary:
        # Without the number of the interface: the way back is the routing table's affair.
        if (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO):
            return [(level, kind, data[:16] + bytes(4))]
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            return [(level, kind, bytes(4) + data[4:8] + bytes(4))]
    return NO_ANCILLARY
