"""What carries the datagrams of one KCP conversation."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import Final, Protocol, cast

from frpd.net.address import SockAddr, format_address
from frpd.net.endpoint import Buffer
from frpd.selector_loop import SelectorLoop
from frpd.udp.datagram_socket import KERNEL_BUFFER_BYTES, DatagramSocket

DATAGRAMS_PER_TURN: Final = 256
"""Then other connections have their turn."""
MAX_REFUSALS: Final = 3
"""So often the peer's machine may say that nobody is there, between two datagrams of the peer."""


class KcpWire(Protocol):
    """What carries an endpoint's datagrams to its peer."""

    def send(self, datagrams: Sequence[Buffer]) -> object:
        """Send them in order; those that there is no room for are lost."""

    def local_address(self) -> SockAddr:
        """Return our address."""

    def release(self) -> None:
        """The endpoint is over and sends no more."""


class Receiver(Protocol):
    """Who takes what comes: an endpoint."""

    @property
    def is_quiet(self) -> bool:
        """Whether the peer has never been heard."""

    def receive(self, datagram: Buffer) -> None:
        """Take one datagram."""

    def serve(self) -> None:
        """A batch has been received."""

    def lose(self, reason: str) -> None:
        """The peer is gone."""


class SocketWire:
    """A KcpWire over a connected UDP socket of its own. Loop thread only.

    Args:
        loop: the loop.
        sock: connected and non-blocking; owned from now on.
        heeds_refusals: believe the peer's machine that nobody is there.
    """

    __slots__ = ("_heeds_refusals", "_receiver", "_socket", "peer", "send")

    def __init__(
        self, loop: SelectorLoop, sock: socket.socket, *, heeds_refusals: bool = False
    ) -> None:
        self._heeds_refusals = heeds_refusals
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):  # it works with less
                sock.setsockopt(socket.SOL_SOCKET, option, KERNEL_BUFFER_BYTES)
        self.peer = cast("SockAddr", sock.getpeername())
        self._socket = DatagramSocket(loop, sock, self._readable)
        self._receiver: Receiver | None = None
        self.send = self._socket.send

    def serve(self, receiver: Receiver) -> None:
        """From now on what comes goes there."""
        self._receiver = receiver
        self._socket.read_on(wanted=True)

    def local_address(self) -> SockAddr:
        """See KcpWire.local_address."""
        return self._socket.address

    def release(self) -> None:
        """See KcpWire.release."""
        self._receiver = None
        self._socket.close()

    def _readable(self) -> None:
        receiver, sock = self._receiver, self._socket
        if receiver is None:
            return
        for _ in range(DATAGRAMS_PER_TURN):
            size = sock.receive()
            if size is None:
                break
            sock.refused = 0
            receiver.receive(sock.scratch[:size])
        if sock.refused >= (1 if receiver.is_quiet else MAX_REFUSALS) and self._heeds_refusals:
            receiver.lose(
                f"nobody takes datagrams at {format_address(self.peer)}: connection refused"
            )
        else:
            receiver.serve()
