"""KcpPort: kcp_bind_port, which may become another one while clients are there.

Who has come to a port that is left stays: everybody's datagrams go through its one socket,
so that is closed when the last of them has gone.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.log import get_logger
from frpd.net.address import join_host_port
from frpd.net.socket_store import UDP, SocketStore
from frpd.selector_loop import SelectorLoop
from frpd.server.kcp_entrance import KcpEntrance
from frpd.transports.kcp_endpoint import KcpEndpoint
from frpd.udp.datagram_socket import open_udp

# As in frp's log, where clients of all carriers are welcomed by one server.
_log = get_logger("frpd.server.service")


def bind_kcp_port(config: ServerConfig, sockets: SocketStore) -> socket.socket | None:
    """Bind it; None if there is none. No loop is needed for it.

    Raises:
        ListenError: it cannot be had.
    """
    if not config.kcp_bind_port:
        return None
    return open_udp(sockets, config.bind_addr, config.kcp_bind_port, "")


class KcpPort:
    """Takes clients by KCP where it is told to. Loop thread only.

    Args:
        loop: the loop.
        entropy: for what strangers cannot guess.
        welcome: takes each of them.
        sockets: keeps the port for the next process.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        entropy: Entropy,
        welcome: Callable[[KcpEndpoint], None],
        sockets: SocketStore,
    ) -> None:
        self._loop = loop
        self._entropy = entropy
        self._welcome = welcome
        self._sockets = sockets
        self._open: tuple[str, int] | None = None
        self._entrances: dict[tuple[str, int], tuple[KcpEntrance, socket.socket]] = {}

    @property
    def entrance(self) -> KcpEntrance | None:
        """Where newcomers are taken."""
        return None if self._open is None else self._entrances[self._open][0]

    def bind_missing(self, config: ServerConfig) -> socket.socket | None:
        """Bind the port if it is not ours already, for change(). Nothing is let go of.

        Raises:
            ListenError: it cannot be had.
        """
        self._sweep()
        if (config.bind_addr, config.kcp_bind_port) in self._entrances:
            return None
        return bind_kcp_port(config, self._sockets)

    def change(self, config: ServerConfig, sock: socket.socket | None) -> None:
        """Take newcomers at this port, and nowhere else.

        Args:
            config: says where.
            sock: of it, unless it is ours already.
        """
        old, new = self._open, (config.bind_addr, config.kcp_bind_port)
        if sock is not None:
            entrance = KcpEntrance(self._loop, sock, self._entropy, self._welcome)
            self._entrances[new] = entrance, sock
        self._open = new if new in self._entrances else None
        if old == self._open:
            return
        if old is not None:
            entrance, left = self._entrances[old]
            _log.info("frps kcp left udp %s", join_host_port(*old))
            self._sockets.forget(left)
            entrance.retire()
        if self._open is not None:
            entrance, ours = self._entrances[new]
            if sock is None:  # come back to
                self._sockets.keep(UDP, *new, ours)
                entrance.revive()
            where = join_host_port(new[0], entrance.address[1])
            _log.info("frps kcp listen on udp %s", where)

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
