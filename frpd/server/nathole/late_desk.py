"""LateDesk: the desk of hole punching, which is made when there is something to do for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.udp.datagram_socket import open_udp

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from frpd.config.server import ServerConfig
    from frpd.entropy import Entropy
    from frpd.net.socket_store import SocketStore
    from frpd.proto.message.types import Message
    from frpd.selector_loop import SelectorLoop
    from frpd.server.control import ControlSession
    from frpd.server.guard.guesses import Guesses
    from frpd.server.nathole.desk import NatHoleDesk
    from frpd.server.nathole.matchmaker import Member
    from frpd.server.proxies.base import Proxy


def bind_hole_port(config: ServerConfig, sockets: SocketStore) -> list[socket.socket]:
    """Bind ``bind_udp_port``, if there is one; no loop is needed for it.

    Raises:
        ListenError: it cannot be had.
    """
    if not config.bind_udp_port:
        return []
    return [open_udp(sockets, config.bind_addr, config.bind_udp_port, "")]


class LateDesk:
    """Most servers punch no holes, and the desk brings twenty modules. Arguments are the desk's."""

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
        def make(config: ServerConfig) -> NatHoleDesk:
            from frpd.server.nathole.desk import NatHoleDesk  # noqa: PLC0415 - as said above

            return NatHoleDesk(
                loop,
                config,
                entropy,
                clients=clients,
                proxies=proxies,
                told=told,
                bars=bars,
                guesses=guesses,
            )

        self._make = make
        self._config = config
        self._desk: NatHoleDesk | None = None

    @property
    def desk(self) -> NatHoleDesk:
        """The desk itself, made by now."""
        if self._desk is None:
            self._desk = self._make(self._config)
        return self._desk

    def use(self, config: ServerConfig) -> None:
        """See NatHoleDesk.use."""
        self._config = config
        if self._desk is not None:
            self._desk.use(config)

    def listen(self, bound: Sequence[socket.socket]) -> None:
        """See NatHoleDesk.listen."""
        if bound:
            self.desk.listen(bound)

    def receive(self, member: Member, message: Message) -> None:
        """See NatHoleDesk.receive."""
        self.desk.receive(member, message)

    def close(self) -> None:
        """See NatHoleDesk.close."""
        if self._desk is not None:
            self._desk.close()
