"""QuicPort: quic_bind_port.

aioquic is imported when the port is taken into use: few servers have one, and it takes as
long as the rest of a start.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.net.bearer import Bearer
from frpd.net.socket_store import SocketStore
from frpd.selector_loop import SelectorLoop
from frpd.server.datagram_port import DatagramPort, bind_datagram_port
from frpd.transports.link import MakeLink
from frpd.transports.way import QuicSettings

if TYPE_CHECKING:
    from frpd.server.datagram_entrance import TurnsAway
    from frpd.server.quic_entrance import QuicEntrance

Welcome = Callable[[Bearer, MakeLink], None]


def bind_quic_port(config: ServerConfig, sockets: SocketStore) -> socket.socket | None:
    """Bind it; None if there is none. No loop is needed for it.

    Raises:
        ListenError: it cannot be had.
    """
    return bind_datagram_port(config, config.quic_bind_port, sockets)


class QuicPort(DatagramPort["QuicEntrance"]):
    """Takes clients by QUIC where it is told to. Loop thread only.

    Args:
        loop: the loop.
        entropy: for what strangers cannot guess.
        welcome: takes each of them, when its handshake begins.
        sockets: keeps the port for the next process.
        turns_away: tells who may not come.
        config: in force, with the certificates and all that clients are held to; asked
            for each newcomer.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        entropy: Entropy,
        welcome: Welcome,
        sockets: SocketStore,
        *,
        turns_away: TurnsAway,
        config: Callable[[], ServerConfig],
    ) -> None:
        self._loop = loop
        self._entropy = entropy
        self._welcome = welcome
        self._turns_away = turns_away
        self._config = config
        super().__init__("quic", lambda config: config.quic_bind_port, self._take, sockets)

    def _take(self, sock: socket.socket) -> QuicEntrance:
        # See above.
        from frpd.server.quic_entrance import QuicEntrance  # noqa: PLC0415

        return QuicEntrance(
            self._loop,
            sock,
            self._entropy,
            self._welcome,
            turns_away=self._turns_away,
            asked=self._asked,
        )

    def _asked(self) -> tuple[tuple[str, str, str], QuicSettings]:
        config = self._config()
        files = config.tls_cert_file, config.tls_key_file, config.tls_trusted_ca_file
        return files, QuicSettings(
            keepalive_seconds=config.quic_keepalive_period,
            idle_seconds=config.quic_max_idle_timeout,
            max_streams=config.quic_max_incoming_streams,
        )
