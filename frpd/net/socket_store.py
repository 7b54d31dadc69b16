"""SocketStore: listening sockets that outlive the process, in the care of the service manager.

Each socket that is bound is also given to the manager (systemd's file descriptor store), under
a name that says whose it is. The next process inherits all of them. While none runs the kernel
goes on completing connections: they wait in the backlog, and no visitor is refused. The same
goes for sockets that the manager has bound itself (socket activation).

Inherited sockets are found by the address that they are bound to. Those of a proxy wait for it
under its name until it is registered again; see ``park``. Without a service manager there is
nothing to inherit and nobody to keep anything: ``SocketStore()`` does nothing at all.

Source: sd_notify(3), sd_listen_fds(3). docs/adr/0008-service-manager.md
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import re
import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote, unquote

from frpd.log import get_logger
from frpd.net.address import join_host_port
from frpd.net.listener import EVERY_ADDRESS, ListenError, adopt_tcp, bind_address, bind_tcp
from frpd.selector_loop import SelectorLoop

TCP: Final = "tcp"
UDP: Final = "udp"
ANY: Final = "*"
"""Every address of both families."""
MAX_NAME_CHARACTERS: Final = 255
"""What systemd takes as FDNAME, printable ASCII without a colon."""
MAX_LISTED: Final = 100
"""Sockets that a line of the log names."""
LINGER_SECONDS: Final = 1.0
"""After this the manager has let go of a UDP port, which nothing but closing frees."""

_TYPES: Final = {TCP: socket.SOCK_STREAM, UDP: socket.SOCK_DGRAM}
_OUR_NAME: Final = re.compile(r"(tcp|udp)/[^/]*/\d+(?:/(?P<owner>.+))?")

_log = get_logger("frpd.net.socket_store")


class Tell(Protocol):
    """Tells the service manager something; see NotifySocket.send."""

    def __call__(self, *assignments: str, fds: Sequence[int] = ()) -> None:
        """Send one message."""


class Place(NamedTuple):
    """What a socket is bound to."""

    kind: str
    host: str
    """An address, or ANY."""
    port: int

    @classmethod
    def named(cls, kind: str, host: str, port: int) -> Place:
        """Return what is meant by an address of the configuration."""
        if host in EVERY_ADDRESS:
            return cls(kind, ANY, port)
        with contextlib.suppress(OSError):  # binding it tells more
            host = bind_address(host, port, _TYPES[kind])[1][0]
        return cls(kind, host, port)

    @classmethod
    def of(cls, sock: socket.socket) -> Place | None:
        """Return what a socket is bound to; None if it is nothing of ours."""
        for kind, number in _TYPES.items():
            if sock.type == number and sock.family in {socket.AF_INET, socket.AF_INET6}:
                host, port = sock.getsockname()[:2]
                return cls(kind, ANY if host in EVERY_ADDRESS else host, port)
        return None

    def describe(self) -> str:
        """Return it for people."""
        return f"{self.kind} {join_host_port(self.host, self.port)}"


class HeldError(ListenError):
    """An inherited socket has the address and waits for its owner."""

    def __init__(self, place: Place, owner: str) -> None:
        in_use = OSError(errno.EADDRINUSE, "address already in use")
        super().__init__(join_host_port(place.host, place.port), in_use)
        self.args = (f"{place.describe()} is held for {owner}, as before the restart",)


@dataclass(slots=True)
class _Inherited:
    """A socket of the process before us, or of a socket unit."""

    sock: socket.socket
    place: Place
    name: str
    stored: bool  # else a socket unit of the manager has it
    owner: str  # as in its name


class SocketStore:
    """All listening sockets of a program, as far as a manager keeps them. Loop thread only.

    Args:
        tell: the manager, if there is one.
        inherited: sockets and their names, in its order.
    """

    def __init__(
        self, tell: Tell | None = None, inherited: Iterable[tuple[socket.socket, str]] = ()
    ) -> None:
        self._tell = tell
        self._loop: SelectorLoop | None = None
        self._frozen = False
        self._stored: dict[Place, str] = {}  # names of what we use, too
        self._lingering: dict[Place, socket.socket] = {}
        self._inherited: dict[Place, _Inherited] = {}
        for sock, name in inherited:
            self._receive(sock, name)

    def attach(self, loop: SelectorLoop) -> None:
        """From now on there is a loop to wait by."""
        self._loop = loop

    def sift(self, wanted: Callable[[Place, str], bool]) -> None:
        """Give up what no setting asks for any more. Call it before anything is bound.

        Args:
            wanted: is given the place, and the owner as ``take`` has it, "" for none.
        """
        gone = [one for one in self._inherited.values() if not wanted(one.place, one.owner)]
        if gone:
            _log.info("inherited and no longer wanted, closed: %s", _list(gone))
        for one in gone:
            self._give_up(one)

    def park(self, seconds: float) -> None:
        """Hold what is left for its owners, for a time; call it once everything is bound.

        What has no owner is given up at once.
        """
        self.sift(lambda _place, owner: bool(owner))
        if not self._inherited:
            return
        assert self._loop is not None
        _log.info(
            "%d inherited ports wait up to %g s for their proxies: %s",
            len(self._inherited),
            seconds,
            _list(self._inherited.values()),
        )
        self._loop.call_later(seconds, self._expire)

    def take(self, kind: str, host: str, port: int, owner: str = "") -> socket.socket | None:
        """Return the inherited socket of an address; None if there is none: bind one, and keep it.

        Args:
            kind: TCP or UDP.
            host: as for bind_tcp.
            port: of the wish.
            owner: a readable name that means the same after a restart, such as ``proxy ssh``;
                "" for the program itself.

        Raises:
            HeldError: it waits for another owner.
        """
        if self._tell is None or not port:
            return None
        place = Place.named(kind, host, port)
        lingering = self._lingering.pop(place, None)
        if lingering is not None:
            self._keep(place, owner, lingering)
            return lingering
        one = self._inherited.get(place)
        if one is None:
            return None
        if one.owner and owner and one.owner != _encode(owner):
            raise HeldError(place, _readable(one.owner))
        del self._inherited[place]
        if one.stored:
            if one.name != _name_of(place, owner):
                self._tell("FDSTOREREMOVE=1", f"FDNAME={one.name}")
            self._keep(place, owner, one.sock)  # what the manager has already it ignores
        return one.sock

    def keep(self, kind: str, host: str, port: int, sock: socket.socket, owner: str = "") -> None:
        """Have a socket kept that was bound just now; arguments as for ``take``."""
        if self._tell is not None and port:
            self._keep(Place.named(kind, host, port), owner, sock)

    def forget(self, sock: socket.socket) -> None:
        """Free the address for good; call it before closing a socket that was taken or kept.

        After ``freeze`` the socket stays with the manager.
        """
        if self._tell is None or self._frozen or sock.fileno() < 0:
            return
        place = Place.of(sock)
        name = None if place is None else self._stored.pop(place, None)
        if place is None or name is None:
            return
        self._tell("FDSTOREREMOVE=1", f"FDNAME={name}")
        if place.kind == TCP:
            _stop_listening(sock)
        elif self._loop is not None:
            copy = self._lingering[place] = sock.dup()
            self._loop.call_later(LINGER_SECONDS, self._drop_lingering, place, copy)

    def port_of(self, kind: str, owner: str) -> int:
        """Return the port that waits for an owner; 0 if there is none."""
        encoded = _encode(owner)
        for one in self._inherited.values():
            if one.place.kind == kind and one.owner == encoded:
                return one.place.port
        return 0

    def freeze(self) -> None:
        """Leave everything with the manager from now on: the program is about to end."""
        self._frozen = True

    def close(self) -> None:
        """Let go of our copies of what nobody has taken. Idempotent."""
        self.freeze()
        for one in self._inherited.values():
            one.sock.close()
        for sock in self._lingering.values():
            sock.close()
        self._inherited.clear()
        self._lingering.clear()

    # Inside.

    def _receive(self, sock: socket.socket, name: str) -> None:
        match = _OUR_NAME.fullmatch(name)
        place = Place.of(sock)
        one = _Inherited(
            sock,
            place or Place("?", name, 0),
            name,
            stored=match is not None,
            owner=(match["owner"] or "") if match is not None else "",
        )
        if place is None or place in self._inherited or not _works(sock):
            _log.warning("an inherited socket cannot be used: %s", name)
            self._give_up(one)
        else:
            sock.setblocking(False)
            self._inherited[place] = one

    def _keep(self, place: Place, owner: str, sock: socket.socket) -> None:
        if self._tell is None or self._frozen:
            return
        name = self._stored[place] = _name_of(place, owner)
        # A TCP listener that was shut down hangs up, at which the manager may drop it by itself;
        # on UDP it would take an error that is a visitor's affair for the end.
        poll = () if place.kind == TCP else ("FDPOLL=0",)
        self._tell("FDSTORE=1", f"FDNAME={name}", *poll, fds=(sock.fileno(),))

    def _give_up(self, one: _Inherited) -> None:
        known = self._inherited.get(one.place) is one
        if known:
            del self._inherited[one.place]
        if one.stored and self._tell is not None:
            self._tell("FDSTOREREMOVE=1", f"FDNAME={one.name}")
            if known and one.place.kind == TCP:
                _stop_listening(one.sock)
        elif not one.stored:
            _log.warning("nobody accepts what comes to the socket unit of [%s]", one.name)
        one.sock.close()

    def _expire(self) -> None:
        if self._frozen or not self._inherited:
            return
        left = list(self._inherited.values())
        _log.warning("nobody has come for these ports, they are closed: %s", _list(left))
        for one in left:
            self._give_up(one)

    def _drop_lingering(self, place: Place, sock: socket.socket) -> None:
        if self._lingering.get(place) is sock:  # else it is in use again
            del self._lingering[place]
            sock.close()


def _works(sock: socket.socket) -> bool:
    """Return whether visitors can still come by it."""
    if sock.type == socket.SOCK_STREAM:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return True


def _stop_listening(sock: socket.socket) -> None:
    """Take the address away from all copies of a listener, those of the manager too.

    It may then be bound again at once, before the manager has closed its copy.
    """
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _name_of(place: Place, owner: str) -> str:
    """Return the FDNAME, such as ``tcp/*/6000/proxy%20ssh``."""
    name = f"{place.kind}/{quote(place.host, safe=ANY)}/{place.port}"
    return f"{name}/{_encode(owner)}" if owner else name


def _encode(owner: str) -> str:
    """Return an owner as a part of a name: as it is if possible, else a digest."""
    encoded = quote(owner, safe="", errors="backslashreplace")
    if len(encoded) <= MAX_NAME_CHARACTERS - 80:  # kind, longest address, port
        return encoded
    return "#" + blake2b(owner.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def _readable(encoded: str) -> str:
    kind, _, name = unquote(encoded).partition(" ")
    return f"{kind} [{name}]" if name else kind


def _list(held: Collection[_Inherited]) -> str:
    said = [
        one.place.describe() + (f" of {_readable(one.owner)}" if one.owner else "")
        for one in itertools.islice(held, MAX_LISTED)
    ]
    left = len(held) - len(said)
    return ", ".join(said) + (f", and {left} others" if left else "")


def open_tcp(
    store: SocketStore, host: str, port: int, owner: str = "", *, keepalive_seconds: int = 7200
) -> socket.socket:
    """Return a listening socket, inherited or new; forget() it before it is closed.

    Args:
        store: keeps it.
        host: as for bind_tcp, as the following.
        port: 0 lets the kernel choose, and is not kept.
        owner: as for SocketStore.take.
        keepalive_seconds: of its connections.

    Raises:
        ListenError: it cannot be had; HeldError if only for now.
    """
    sock = store.take(TCP, host, port, owner)
    if sock is not None:
        return adopt_tcp(sock, keepalive_seconds)
    sock = bind_tcp(host, port, keepalive_seconds=keepalive_seconds)
    store.keep(TCP, host, port, sock, owner)
    return sock
