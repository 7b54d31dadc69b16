"""UdpPort: ``bind_udp_port``, whose datagrams go to a UdpDesk."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from frpd.net.address import SockAddr
from frpd.selector_loop import SelectorLoop
from frpd.server.nathole.udp_desk import MAX_DATAGRAM_BYTES
from frpd.udp.datagram_socket import Ancillary, DatagramSocket, answer_via

DATAGRAMS_PER_TURN: Final = 64

OnDatagram = Callable[[bytes, SockAddr, Ancillary], None]


class UdpPort:
    """The port. Loop thread only.

    Args:
        loop: the loop.
        sock: bound; owned from now on.
        on_datagram: called with each datagram, its sender, and what answers from the same
            address of ours.
    """

    def __init__(self, loop: SelectorLoop, sock: socket.socket, on_datagram: OnDatagram) -> None:
        self._on_datagram = on_datagram
        self._socket = DatagramSocket(loop, sock, self._readable)
        self._socket.read_on(wanted=True)

    @property
    def address(self) -> SockAddr:
        """Where it is bound."""
        return self._socket.address

    def send(self, datagram: bytes, address: SockAddr, via: Ancillary) -> None:
        """Send one datagram; it may be lost, as all may."""
        if not self._socket.closed:
            self._socket.send((datagram,), address, via)

    def close(self) -> None:
        """Free the port. Idempotent."""
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(DATAGRAMS_PER_TURN):
            if self._socket.closed:
                return
            received = self._socket.receive_from()
            if received is None:
                return
            size, ancillary, _, address = received
            if size <= MAX_DATAGRAM_BYTES:
                datagram = bytes(self._socket.scratch[:size])
                self._on_datagram(datagram, address, answer_via(ancillary))
