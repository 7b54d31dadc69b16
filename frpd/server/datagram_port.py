"""DatagramPort: a UDP port for clients, which may become another one while some are there.

Who has come to a port that is left stays: everybody's datagrams go through its one socket,
so that is closed when the last of them has gone.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from frpd.config.server import ServerConfig
from frpd.log import get_logger
from frpd.net.address import SockAddr, join_host_port
from frpd.net.listener import ListenError
from frpd.net.socket_store import UDP, SocketStore
from frpd.udp.datagram_socket import open_udp

# As in frp's log, where clients of all carriers are welcomed by one server.
_log = get_logger("frpd.server.service")


class Entrance(Protocol):
    """Takes clients at one port. Loop thread only."""

    @property
    def address(self) -> SockAddr:
        """Where it is bound."""

    @property
    def is_closed(self) -> bool:
        """Whether the port is free."""

    def retire(self) -> None:
        """Take no newcomers; who is here may stay, and then the port is free. Idempotent."""

    def revive(self) -> None:
        """Take newcomers again; only while the port is not free."""

    def close(self) -> None:
        """Drop who is there, and free the port. Idempotent."""


_Entrance = TypeVar("_Entrance", bound=Entrance)


def bind_datagram_port(
    config: ServerConfig, port: int, sockets: SocketStore
) -> socket.socket | None:
    """Bind a port of clients; None for port 0. No loop is needed for it.

    Raises:
        ListenError: it cannot be had.
    """
    return open_udp(sockets, config.bind_addr, port, "") if port else None


class DatagramPort(Generic[_Entrance]):
    """Takes clients where it is told to. Loop thread only.

    Args:
        carrier: its name, as in frpc's ``protocol``.
        port_of: tells its key's value.
        begin: takes clients at a bound socket, which it owns from then on.
        sockets: keeps the port for the next process.
    """

    def __init__(
        self,
        carrier: str,
        port_of: Callable[[ServerConfig], int],
        begin: Callable[[socket.socket], _Entrance],
        sockets: SocketStore,
    ) -> None:
        self._carrier = carrier
        self._port_of = port_of
        self._begin = begin
        self._sockets = sockets
        self._open: tuple[str, int] | None = None
        self._entrances: dict[tuple[str, int], tuple[_Entrance, socket.socket]] = {}

    @property
    def entrance(self) -> _Entrance | None:
        """Where newcomers are taken."""
        return None if self._open is None else self._entrances[self._open][0]

    def bind_missing(self, config: ServerConfig) -> socket.socket | None:
        """Bind the port if it is not ours already, for change(). Nothing is let go of.

        Raises:
            ListenError: it cannot be had.
        """
        self._sweep()
        if (config.bind_addr, self._port_of(config)) in self._entrances:
            return None
        return bind_datagram_port(config, self._port_of(config), self._sockets)

    def change(self, config: ServerConfig, sock: socket.socket | None) -> None:
        """Take newcomers at this port, and nowhere else.

        Args:
            config: says where.
            sock: of it, unless it is ours already.
        """
        old, new = self._open, (config.bind_addr, self._port_of(config))
        if sock is not None:
            self._entrances[new] = self._begin(sock), sock
        self._open = new if new in self._entrances else None
        if old == self._open:
            return
        if old is not None:
            entrance, left = self._entrances[old]
            _log.info("frps %s left udp %s", self._carrier, join_host_port(*old))
            self._sockets.forget(left)
            entrance.retire()
        if self._open is not None:
            entrance, ours = self._entrances[new]
            if sock is None:  # come back to
                self._sockets.keep(UDP, *new, ours)
                entrance.revive()
            where = join_host_port(new[0], entrance.address[1])
            _log.info("frps %s listen on udp %s", self._carrier, where)

    def retire(self) -> None:
        """Take no newcomers any more. Idempotent."""
        for entrance, _ in self._entrances.values():
            entrance.retire()

    def close(self) -> None:
        """Drop who is there, and free the port. Idempotent."""
        for entrance, _ in self._entrances.values():
            entrance.close()

    def _sweep(self) -> None:
        """Forget ports that were left, and where the last one has gone since."""
        for place, (entrance, _) in list(self._entrances.items()):
            if entrance.is_closed:
                del self._entrances[place]


class DatagramPorts:
    """All of them. Loop thread only."""

    def __init__(self, ports: Sequence[DatagramPort[Any]], sockets: SocketStore) -> None:
        self._ports = ports
        self._sockets = sockets

    def bind_missing(self, config: ServerConfig) -> list[socket.socket | None]:
        """See DatagramPort.bind_missing; what it returns is for change(), or drop().

        Raises:
            ListenError: one cannot be had; nothing new stays bound.
        """
        bound: list[socket.socket | None] = []
        try:
            for port in self._ports:
                bound.append(port.bind_missing(config))  # noqa: PERF401 - for the next lines
        except ListenError:
            self.drop(bound)
            raise
        return bound

    def drop(self, bound: Sequence[socket.socket | None]) -> None:
        """Let go of what was bound in vain."""
        for sock in bound:
            if sock is not None:
                self._sockets.forget(sock)
                sock.close()

    def change(self, config: ServerConfig, bound: Sequence[socket.socket | None]) -> None:
        """See DatagramPort.change."""
        for port, sock in zip(self._ports, bound, strict=True):
            port.change(config, sock)

    def retire(self) -> None:
        """See DatagramPort.retire."""
        for port in self._ports:
            port.retire()

    def close(self) -> None:
        """See DatagramPort.close."""
        for port in self._ports:
            port.close()
