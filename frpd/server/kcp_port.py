"""KcpPort: kcp_bind_port."""

from __future__ import annotations

import socket
from collections.abc import Callable

from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.net.socket_store import SocketStore
from frpd.selector_loop import SelectorLoop
from frpd.server.datagram_port import DatagramPort, bind_datagram_port
from frpd.server.kcp_entrance import KcpEntrance
from frpd.transports.kcp_endpoint import KcpEndpoint


def bind_kcp_port(config: ServerConfig, sockets: SocketStore) -> socket.socket | None:
    """Bind it; None if there is none. No loop is needed for it.

    Raises:
        ListenError: it cannot be had.
    """
    return bind_datagram_port(config, config.kcp_bind_port, sockets)


class KcpPort(DatagramPort[KcpEntrance]):
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
        super().__init__(
            "kcp",
            lambda config: config.kcp_bind_port,
            lambda sock: KcpEntrance(loop, sock, entropy, welcome),
            sockets,
        )
