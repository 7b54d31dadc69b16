"""OpenEntrances: the ports that are open, and how they become others while visitors are there."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from frpd.log import get_logger
from frpd.net.address import SockAddr, join_host_port
from frpd.net.listener import Listener
from frpd.net.pace import Pace
from frpd.net.socket_store import SocketStore
from frpd.net.stream import SocketStream
from frpd.selector_loop import SelectorLoop
from frpd.server.entrances import CLIENTS, NOTHING, Entrance, Speech, bind_entrances

Welcome = Callable[[SocketStream, Speech], None]
PaceOf = Callable[[Speech], Pace]
Place = tuple[str, int]

# As in frp's log, where clients and visitors of all kinds are welcomed by one server.
_log = get_logger("frpd.server.service")


class _OpenEntrance:
    """One port; what is spoken there may change while it is open."""

    def __init__(
        self,
        loop: SelectorLoop,
        entrance: Entrance,
        sock: socket.socket,
        welcome: Welcome,
        pace: PaceOf | None,
    ) -> None:
        self.entrance = entrance
        self.sock = sock
        # Visitors are no strangers: they may be as many as want to come.
        for_clients = pace(entrance.speech) if pace and CLIENTS & entrance.speech else None
        self.listener = Listener(loop, sock, self._came, for_clients)
        self._welcome = welcome

    @property
    def where(self) -> str:
        """As the log names it."""
        return join_host_port(self.entrance.host, self.listener.address[1])

    def _came(self, stream: SocketStream) -> None:
        self._welcome(stream, self.entrance.speech)


class OpenEntrances:
    """Accepts where it is told to. Loop thread only.

    Args:
        loop: the loop.
        welcome: takes each connection, and what may be spoken where it has come to.
        sockets: whence inherited sockets come, and where all are kept.
        pace: tells what newcomers are taken at where clients come; None for as they come.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        welcome: Welcome,
        sockets: SocketStore,
        pace: PaceOf | None = None,
    ) -> None:
        self._loop = loop
        self._sockets = sockets
        self._welcome = welcome
        self._pace = pace
        self._open: dict[Place, _OpenEntrance] = {}

    @property
    def addresses(self) -> list[SockAddr]:
        """Where it accepts."""
        return [one.listener.address for one in self._open.values()]

    def bind_missing(self, wanted: Sequence[Entrance]) -> list[socket.socket]:
        """Bind what is wanted and not open, for change(). Nothing is let go of.

        An address may be bound beside those of ours on the same port that are not wanted.

        Raises:
            ListenError: a port cannot be had; nothing new stays bound.
        """
        missing, places = self._missing(wanted), {_place(one) for one in wanted}
        leaving = {place: one for place, one in self._open.items() if place not in places}
        ports = {one.port for one in missing} & {port for _, port in leaving}
        with ExitStack() as shared:
            for place, one in leaving.items():
                if place[1] in ports:
                    shared.enter_context(one.listener.shared())
            return bind_entrances(missing, self._sockets, shared_ports=ports)

    def change(self, wanted: Sequence[Entrance], socks: Sequence[socket.socket]) -> None:
        """Accept at these entrances, and nowhere else.

        Args:
            wanted: all of them.
            socks: of those that are not open, in their order.
        """
        for entrance, sock in zip(self._missing(wanted), socks, strict=True):
            opened = _OpenEntrance(self._loop, entrance, sock, self._welcome, self._pace)
            self._open[_place(entrance)] = opened
            _tell("listen on", entrance, opened.where)
        at = {_place(one): one for one in wanted}
        for place, one in list(self._open.items()):
            old, new = one.entrance, at.get(place)
            if new is None:
                _tell("left", old, one.where)
                one.listener.accept_waiting()
                self._sockets.forget(one.sock)
                self._open.pop(place).listener.close()
            elif new != old:
                one.entrance = new
                _tell("left", old, one.where, but=new.speech)
                _tell("listen on", new, one.where, but=old.speech)

    def close(self) -> None:
        """Accept nobody any more. Idempotent."""
        for one in self._open.values():
            one.listener.close()

    def _missing(self, wanted: Sequence[Entrance]) -> list[Entrance]:
        return [one for one in wanted if _place(one) not in self._open]


def _place(entrance: Entrance) -> Place:
    return entrance.host, entrance.port


def _tell(verb: str, entrance: Entrance, where: str, but: Speech = NOTHING) -> None:
    for what in entrance.announce(but):
        _log.info("%s %s %s", what, verb, where)
