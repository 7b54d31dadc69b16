"""KCP, frp's carrier over UDP for lines that lose much: ``protocol = kcp``."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Final, TypeAlias

from frpd.entropy import Entropy
from frpd.errors import TransportError
from frpd.net.address import SockAddr, join_host_port, literal_family
from frpd.net.bearer import Bearer
from frpd.net.connector import DialError
from frpd.net.resolver import Addresses, Resolver
from frpd.proto.kcp.connection import KcpConnection
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.base import OnEndpoint, OnFailed
from frpd.transports.kcp_endpoint import KcpEndpoint
from frpd.transports.kcp_wire import SocketWire

WINDOW_SEGMENTS: Final = 1024
"""Of our own ends both ways; a peer's window is what it says."""
_CONVERSATION_BYTES: Final = 4

_OnSocket: TypeAlias = Callable[[socket.socket], None]


class KcpTransport:
    """Begins a conversation with ``host:port``, each from a UDP socket of its own.

    Nothing is sent by that: whether the server is there shows in the login, unless its
    machine says at once that nobody is.

    Args:
        loop: the loop.
        resolver: looks the server's name up.
        entropy: for the numbers of conversations.
        host: address or name of the server.
        port: its UDP port.
        timeout_seconds: for the look-up.
        local_ip: our address to come from; "" for any.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        resolver: Resolver,
        entropy: Entropy,
        host: str,
        port: int,
        *,
        timeout_seconds: float,
        local_ip: str = "",
    ) -> None:
        self.local_address: SockAddr | None = None
        self.bearer: Bearer | None = None
        self._loop = loop
        self._resolver = resolver
        self._entropy = entropy
        self._host = host
        self._port = port
        self._timeout_seconds = timeout_seconds
        self._local_ip = local_ip

    def dial(self, on_connected: OnEndpoint, on_failed: OnFailed) -> KcpDialing:
        """See Transport.dial."""

        def connected(sock: socket.socket) -> None:
            endpoint = self._begin(sock)
            self.local_address = endpoint.local_address()
            self.bearer = endpoint
            on_connected(endpoint)

        dialing = KcpDialing(self._loop, (self._host, self._port), connected, on_failed)
        dialing.begin(self._resolver, self._local_ip, self._timeout_seconds)
        return dialing

    def _begin(self, sock: socket.socket) -> KcpEndpoint:
        number = int.from_bytes(self._entropy.token_bytes(_CONVERSATION_BYTES), "big")
        kcp = KcpConnection(
            number,
            now=self._loop.now(),
            send_window=WINDOW_SEGMENTS,
            receive_window=WINDOW_SEGMENTS,
        )
        wire = SocketWire(self._loop, sock, heeds_refusals=True)
        endpoint = KcpEndpoint(self._loop, kcp, wire, wire.peer)
        wire.serve(endpoint)
        return endpoint


class KcpDialing:
    """One dial under way: the look-up, then a socket. One of the two is called, later.

    Args:
        loop: the loop.
        target: host and port.
        on_connected: gets a connected UDP socket.
        on_failed: gets the reason.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        target: tuple[str, int],
        on_connected: _OnSocket,
        on_failed: OnFailed,
    ) -> None:
        self._loop = loop
        self._target = target
        self._on_connected = on_connected
        self._on_failed = on_failed
        self._local_ip = ""
        self._over = False
        self._timer: Timer | None = None

    def begin(self, resolver: Resolver, local_ip: str, timeout_seconds: float) -> None:
        """Start."""
        self._local_ip = local_ip
        self._timer = self._loop.call_later(timeout_seconds, self._timed_out)
        resolver.resolve(*self._target, self._looked_up, self._failed)

    def cancel(self) -> None:
        """See Dialing.cancel. Idempotent."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()

    def _looked_up(self, addresses: Addresses) -> None:
        # Never from within dial(): who calls it has nothing to cancel by yet.
        self._loop.call_soon(self._connect, addresses)

    def _failed(self, error: TransportError) -> None:
        self._loop.call_soon(self._fail, error)

    def _timed_out(self) -> None:
        self._fail(self._failure("i/o timeout", errno.ETIMEDOUT))

    def _fail(self, error: TransportError) -> None:
        if not self._over:
            self.cancel()
            self._on_failed(error)

    def _connect(self, addresses: Addresses) -> None:
        """Take the first address that there is a way to: more cannot be found out now."""
        if self._over:
            return
        error = self._failure("no address")
        for family, address in addresses:
            if self._local_ip and family != literal_family(self._local_ip):
                error = self._failure(f"{self._local_ip} reaches no address of that family")
                continue
            try:
                sock = self._connected(family, address)
            except OSError as failure:
                why = f"connect: {(failure.strerror or str(failure)).lower()}"
                error = self._failure(why, failure.errno or 0)
                continue
            self.cancel()
            self._on_connected(sock)
            return
        self._fail(error)

    def _connected(self, family: socket.AddressFamily, address: SockAddr) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if self._local_ip:
                sock.bind((self._local_ip, 0))
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        return sock

    def _failure(self, why: str, code: int = 0) -> DialError:
        return DialError(f"dial udp {join_host_port(*self._target)}: {why}", code)
