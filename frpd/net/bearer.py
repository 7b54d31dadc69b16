"""Bearer: what carries a connection between frpc and frps, below all layers.

Most are a socket of TCP. Others come as datagrams on a socket that many share, and
need not be a stream of bytes themselves.
"""

from __future__ import annotations

from typing import Protocol

from frpd.net.address import SockAddr
from frpd.net.endpoint import Callback, Endpoint
from frpd.net.stream import SocketEnds


class Bearer(Protocol):
    """Knows where a connection comes from and goes to. Loop thread only."""

    @property
    def carrier(self) -> str:
        """Its name as in frpc's ``protocol``, such as ``kcp``."""

    @property
    def peer(self) -> SockAddr:
        """The other side's address as the kernel gave it."""

    def describe(self) -> str:
        """Return the peer's address for logs."""

    def local_address(self) -> SockAddr:
        """Return our side's address.

        Raises:
            ConnectionLost: it is closed.
        """

    def ends(self) -> SocketEnds | None:
        """Return both addresses, and how the way does; None if it is closed."""

    def let_in(self) -> None:
        """Who came on it has shown that he may: what strangers are held to is over."""


class BearerStream(Bearer, Endpoint, Protocol):
    """A bearer that is one stream of bytes."""

    def when_proven(self, call: Callback) -> None:
        """Call once it is known that the peer receives at its address: now, later, or never.

        What accuses an address waits for that: anybody can write any on a datagram.
        """
