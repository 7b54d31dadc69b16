"""NatHoleDesk: all of hole punching on the server, in one place for the service to hold."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.log import get_logger
from frpd.net.address import SockAddr, format_address
from frpd.proto.message.types import Message, NatHoleClient, NatHoleReport, NatHoleVisitor
from frpd.selector_loop import SelectorLoop
from frpd.server.guard.guesses import Guesses
from frpd.server.nathole.matchmaker import Matchmaker, Member
from frpd.server.nathole.scores import ScoreBook
from frpd.server.nathole.udp_desk import UdpDesk
from frpd.server.nathole.udp_port import UdpPort
from frpd.server.proxies.base import Proxy
from frpd.server.proxies.xtcp import early_generation
from frpd.udp.datagram_socket import Ancillary

if TYPE_CHECKING:
    from frpd.server.control import ControlSession

HOUR_SECONDS = 3600.0

_log = get_logger("frpd.server.service")


@dataclass(frozen=True, slots=True)
class _Resident:
    """A client that is logged in; see udp_desk.Neighbour."""

    source: str
    user: str
    early: str


class NatHoleDesk:
    """Helps clients to reach each other. Loop thread only.

    Args:
        loop: the loop.
        config: of the server.
        entropy: for names that nobody can guess.
        clients: who has logged in, by run id.
        proxies: all there are, by name.
        told: what a client may hear of an error.
        bars: tells of addresses that nobody may come from.
        guesses: wrong keys that were tried.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        config: ServerConfig,
        entropy: Entropy,
        *,
        clients: Mapping[str, ControlSession],
        proxies: Mapping[str, Proxy],
        told: Callable[[str, str], str],
        bars: Callable[[str], bool],
        guesses: Guesses,
    ) -> None:
        self._loop = loop
        self._clients = clients
        self._port: UdpPort | None = None
        self._scores = ScoreBook(0.0)
        self._matchmaker = Matchmaker(
            loop, entropy, self._scores, proxies=proxies, told=told, guesses=guesses
        )
        self._udp_desk = UdpDesk(
            loop,
            entropy,
            proxies=proxies,
            clients=self._residents,
            told=told,
            send=self._send,
            bars=bars,
        )
        self.use(config)

    @property
    def holes(self) -> int:
        """How many are being punched, or wait for a report."""
        return len(self._matchmaker.meetings) + len(self._udp_desk.holes)

    def use(self, config: ServerConfig) -> None:
        """Decide by these from now on."""
        self._scores.reserve_seconds = config.nat_hole_analysis_data_reserve_hours * HOUR_SECONDS

    def listen(self, bound: Sequence[socket.socket]) -> None:
        """Take datagrams from what bind_hole_port returned."""
        for sock in bound:
            self._port = UdpPort(self._loop, sock, self._udp_desk.receive)
            _log.info("nat hole udp service listen on %s", format_address(self._port.address))

    def receive(self, member: Member, message: Message) -> None:
        """Take what a client says about holes on its control stream."""
        if isinstance(message, NatHoleVisitor):
            self._matchmaker.visitor_asks(member, message)
        elif isinstance(message, NatHoleClient):
            self._matchmaker.owner_answers(member, message)
        elif isinstance(message, NatHoleReport):
            self._matchmaker.owner_reports(member, message)

    def close(self) -> None:
        """Help nobody any more. Idempotent."""
        if self._port is not None:
            self._port.close()
        self._matchmaker.close()
        self._udp_desk.close()

    def _send(self, datagram: bytes, address: SockAddr, via: Ancillary) -> None:
        if self._port is not None:
            self._port.send(datagram, address, via)

    def _residents(self) -> Iterator[_Resident]:
        for control in self._clients.values():
            early = early_generation(control.login.version, control.features)
            yield _Resident(control.source, control.user, early)
