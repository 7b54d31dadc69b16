"""SshGateway: takes what came to ssh_gateway_bind_port, and introduces it to frps as a client."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.errors import ConnectionLost
from frpd.net.address import SockAddr, host_of
from frpd.net.endpoint import Outcome
from frpd.net.pace import Pace
from frpd.net.stream import SocketStream
from frpd.selector_loop import SelectorLoop
from frpd.server.door import Door, DoorLimits, login_limits
from frpd.server.guard.penalties import Offence
from frpd.server.reception import CarriedStreams, Local
from frpd.server.ssh_gateway.link import SshBearer, SshLink
from frpd.server.ssh_gateway.settings import SshSettings
from frpd.transports.link import OnStream

if TYPE_CHECKING:
    from frpd.server.ssh_gateway.client import SshClient
    from frpd.server.ssh_gateway.room import Room

LOGIN_SECONDS: Final = 60.0
"""At least, for a login by SSH: a user may be asked about our host key, or for a passphrase."""
MAX_STRANGERS: Final = 200
"""At most, in all: each of them costs a handshake and its buffers; sshd takes 100."""
MAX_STRANGERS_PER_SOURCE: Final = 100
"""After a restart all tunnels of an office come back at once."""
FIRST_READ_BYTES: Final = 64 * 1024
NAME_BYTES: Final = 4


def ssh_limits(config: ServerConfig) -> DoorLimits:
    """Return what clients of the gateway are held to until they have logged in."""
    limits = login_limits(config)
    return replace(
        limits,
        timeout_seconds=max(limits.timeout_seconds, LOGIN_SECONDS),
        max_pending=min(limits.max_pending, MAX_STRANGERS),
        max_pending_per_source=min(limits.max_pending_per_source, MAX_STRANGERS_PER_SOURCE),
    )


class SshGateway:
    """The reactor's side of it. Loop thread only.

    Args:
        loop: the loop.
        entropy: for names.
        config: in force.
        settings: of it; None where there is no gateway, until use() brings them.
        pace: what newcomers are taken at.
        on_client: takes each of them, which is pending at the door.

    Attributes:
        door: a door of its own, so that neither kind of strangers takes the other's place.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        entropy: Entropy,
        config: ServerConfig,
        settings: SshSettings | None,
        *,
        pace: Pace,
        on_client: Callable[[CarriedStreams, Door], None],
    ) -> None:
        self._loop = loop
        self._entropy = entropy
        self._settings = settings
        self._on_client = on_client
        self._room: Room | None = None
        self.door = Door(loop, ssh_limits(config), awaited="login by SSH")
        self.door.pace = pace

    def use(self, config: ServerConfig, settings: SshSettings | None) -> None:
        """Go by these from now on; who is here stays."""
        self.door.use(ssh_limits(config))
        self._settings = settings

    def welcome(self, stream: SocketStream) -> None:
        """Take a connection that was just accepted."""
        try:
            first = stream.read(FIRST_READ_BYTES)  # a balancer's header may have come before
            local = stream.local_address()
        except ConnectionLost:
            self._left(stream)
            return
        if first is Outcome.EOF or self._settings is None:
            self._left(stream)
            return
        heard = b"" if isinstance(first, Outcome) else bytes(first)
        _Visit(self, self._loop, stream.peer, local).begin(stream.detach(), heard)

    def close(self) -> None:
        """End all of them, and the thread. Idempotent."""
        self.door.close()
        if self._room is not None:
            self._room.close()
            self._room = None

    # For _Visit.

    def make_client(self, visit: _Visit) -> SshClient:
        """Return the far end of a visit; the first one starts the thread."""
        # Few servers have a gateway, and its imports are longer than a start.
        from frpd.server.ssh_gateway.client import SshClient  # noqa: PLC0415
        from frpd.server.ssh_gateway.room import Room  # noqa: PLC0415

        if self._room is None:
            self._room = Room(self._loop)
        assert self._settings is not None
        name = self._entropy.token_bytes(NAME_BYTES).hex()
        return SshClient(self._room, self._settings, visit, name)

    def introduce(self, carried: CarriedStreams) -> None:
        """Hand a client on to who knows clients."""
        self._on_client(carried, self.door)

    def start(self, client: SshClient, sock: socket.socket, first: bytes) -> None:
        """Let the thread begin with it."""
        assert self._room is not None
        self._room.call(client.begin, sock, first)

    def _left(self, stream: SocketStream) -> None:
        self.door.pace.give_back()
        stream.abort()


class _Visit:
    """One client's errands between the threads: the methods of Desk are for the room's."""

    def __init__(
        self, gateway: SshGateway, loop: SelectorLoop, peer: SockAddr, local: SockAddr
    ) -> None:
        self._gateway = gateway
        self._loop = loop
        self._bearer = SshBearer(peer, local)
        self._local = Local()
        self._link: SshLink | None = None

    def begin(self, sock: socket.socket, first: bytes) -> None:
        client = self._gateway.make_client(self)

        def make_link(on_stream: OnStream, on_closed: Callable[[str], None]) -> SshLink:
            self._link = SshLink(self._loop, self._bearer, client, on_stream, on_closed)
            return self._link

        ticket = self._gateway.door.admit(host_of(self._bearer.peer), lambda _reason: None)
        self._gateway.introduce(
            CarriedStreams(self._bearer, make_link, ("ssh",), ticket, local=self._local)
        )
        self._gateway.start(client, sock, first)

    # See Desk.

    def stream_came(self, sock: socket.socket) -> None:
        """See Desk.stream_came."""
        self._loop.call_soon_threadsafe(self._stream_came, sock)

    def key_accepted(self, user: str) -> None:
        """See Desk.key_accepted."""
        self._loop.call_soon_threadsafe(self._vouch, user)

    def ended(self, reason: str, offence: Offence | None) -> None:
        """See Desk.ended."""
        self._loop.call_soon_threadsafe(self._ended, reason, offence)

    # What becomes of that.

    def _stream_came(self, sock: socket.socket) -> None:
        assert self._link is not None
        self._link.stream_came(sock)

    def _vouch(self, user: str) -> None:
        self._local.is_vouched, self._local.user = True, user

    def _ended(self, reason: str, offence: Offence | None) -> None:
        assert self._link is not None
        self._local.offence = offence
        self._link.ended(reason)
