"""DatagramEntrance: a UDP port that clients come to, all through one socket.

What becomes of their datagrams is for those who know what is spoken there.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable

from frpd.net.address import SockAddr, host_of
from frpd.selector_loop import SelectorLoop
from frpd.udp.datagram_socket import Ancillary, DatagramSocket

TurnsAway = Callable[[str], bool]
"""Whether nobody may begin from an address, which may be forged."""


class DatagramEntrance(ABC):
    """One port. Loop thread only.

    Args:
        loop: the loop.
        sock: bound; owned from now on.
        turns_away: tells who may not begin.
    """

    def __init__(self, loop: SelectorLoop, sock: socket.socket, turns_away: TurnsAway) -> None:
        self._loop = loop
        self._turns_away = turns_away
        self._is_retired = False
        self._socket = DatagramSocket(loop, sock, self._readable)
        self._socket.read_on(wanted=True)

    @property
    def address(self) -> SockAddr:
        """Where it is bound."""
        return self._socket.address

    @property
    def is_closed(self) -> bool:
        """Whether the port is free."""
        return self._socket.closed

    def retire(self) -> None:
        """Let nobody begin any more; who is here may stay, and then the port is free."""
        self._is_retired = True
        self._close_if_idle()

    def revive(self) -> None:
        """Take newcomers again; only while the port is not free."""
        self._is_retired = False

    def close(self) -> None:
        """Drop who is there, and free the port. Idempotent."""
        self._is_retired = True
        self._drop_all()
        self._socket.close()

    def _takes(self, sender: SockAddr) -> bool:
        """Whether somebody may begin from there."""
        return not (self._is_retired or self._turns_away(host_of(sender)))

    def _close_if_idle(self) -> None:
        if self._is_retired and not self._is_in_use():
            self._socket.close()

    @abstractmethod
    def _readable(self) -> None:
        """Take what has come."""

    @abstractmethod
    def _is_in_use(self) -> bool:
        """Whether anybody is there."""

    @abstractmethod
    def _drop_all(self) -> None:
        """Drop who is there."""


def address_asked(sock: DatagramSocket, via: Ancillary) -> SockAddr:
    """Return which of our addresses a peer has asked, of several."""
    for level, _, data in via:
        port = sock.address[1]
        if level == socket.IPPROTO_IPV6:
            return socket.inet_ntop(socket.AF_INET6, data[:16]), port
        return socket.inet_ntop(socket.AF_INET, data[4:8]), port
    return sock.address
