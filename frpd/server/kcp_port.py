"""KcpPort: kcp_bind_port."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.net.socket_store import SocketStore
from frpd.selector_loop import SelectorLoop
from frpd.server.datagram_port import DatagramPort, bind_datagram_port

if TYPE_CHECKING:
    from frpd.server.datagram_entrance import TurnsAway
    from frpd.server.kcp_entrance import KcpEntrance
    from frpd.transports.kcp_endpoint import KcpEndpoint


def bind_kcp_port(config: ServerConfig, sockets: SocketStore) -> socket.socket | None:
    """Bind it; None if there is none. No loop is needed for it.

    Raises:
        ListenError: it cannot be had.
    """
    return bind_datagram_port(config, config.kcp_bind_port, sockets)


class KcpPort(DatagramPort["KcpEntrance"]):
    """Takes clients by KCP where it is told to. Loop thread only.

    Args:
        loop: the loop.
        entropy: for what strangers cannot guess.
        welcome: takes each of them.
        sockets: keeps the port for the next process.
        turns_away: tells who may not come.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        entropy: Entropy,
        welcome: Callable[[KcpEndpoint], None],
        sockets: SocketStore,
        *,
        turns_away: TurnsAway,
    ) -> None:
        def open_entrance(sock: socket.socket) -> KcpEntrance:
            # Few servers have one, and its import costs every start.
            from frpd.server.kcp_entrance import KcpEntrance  # noqa: PLC0415

            return KcpEntrance(loop, sock, entropy, welcome, turns_away=turns_away)

        super().__init__("kcp", lambda config: config.kcp_bind_port, open_entrance, sockets)
