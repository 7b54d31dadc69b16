"""Two ends of a QUIC connection in memory, and one client of the test's against a real port."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable, Sequence

from frpd.errors import TransportError
from frpd.net.address import SockAddr
from frpd.net.endpoint import Buffer
from frpd.transports.quic_connection import BoundedConnection, TlsMaterial, make_configuration
from frpd.transports.quic_session import QuicSession
from frpd.transports.quic_stream import QuicStream
from frpd.transports.quic_tls import own_material
from frpd.transports.quic_tunnel import OwnWire
from tests.helpers.world import World

NEAR: SockAddr = ("192.0.2.1", 1)
FAR: SockAddr = ("192.0.2.2", 2)

server_material = functools.cache(own_material)  # one is as good as another


class Cable:
    """One direction between two sessions; what is on it arrives on the loop's next turn.

    Attributes:
        sent: all datagrams that were given to it.
        loses_every: which of them are lost; 0 for none.
        is_cut: whether all are, from now on.
    """

    def __init__(self, world: World, address: SockAddr) -> None:
        self.world = world
        self.address = address
        self.sent: list[bytes] = []
        self.ids: set[bytes] = set()
        self.receiver: QuicSession | None = None
        self.loses_every = 0
        self.is_cut = self.is_released = False

    def send(self, datagrams: Sequence[Buffer], peer: SockAddr) -> None:
        for datagram in datagrams:
            self.sent.append(bytes(datagram))
            lost = self.loses_every and len(self.sent) % self.loses_every == 0
            if not (self.is_cut or lost):
                self.world.loop.call_soon(self.arrive, bytes(datagram))

    def arrive(self, datagram: bytes) -> None:
        if self.receiver is not None:
            self.receiver.receive(datagram, self.address)
            self.receiver.serve()

    def local_address(self) -> SockAddr:
        return self.address

    def id_issued(self, connection_id: bytes) -> None:
        self.ids.add(connection_id)

    def id_retired(self, connection_id: bytes) -> None:
        self.ids.discard(connection_id)

    def release(self) -> None:
        self.is_released = True


class QuicPair:
    """A client and a server, and what they have told.

    Attributes:
        opened: streams that the other side has opened, of the server and of the client.
        lost: why each has ended.
    """

    def __init__(
        self,
        world: World,
        *,
        keepalive_seconds: float = 10,
        client: TlsMaterial | None = None,
        server: TlsMaterial | None = None,
        server_name: str = "",
    ) -> None:
        self.world = world
        self.out, self.back = Cable(world, NEAR), Cable(world, FAR)
        self.opened: list[QuicStream] = []
        self.client_opened: list[QuicStream] = []
        self.lost: list[str] = []
        self.client_lost: list[str] = []
        client = TlsMaterial() if client is None else client
        server = server_material() if server is None else server
        connection = BoundedConnection(
            make_configuration(client, is_client=True, idle_seconds=30, server_name=server_name)
        )
        self.near = QuicSession(
            world.loop,
            connection,
            self.out,
            FAR,
            on_stream=self.client_opened.append,
            on_lost=self.client_lost.append,
            keepalive_seconds=keepalive_seconds,
            max_streams=8,
        )
        self.far = QuicSession(
            world.loop,
            BoundedConnection(
                make_configuration(server, is_client=False, idle_seconds=30),
                original_id=connection.original_destination_connection_id,
                client_ca=server.trusted_ca,
            ),
            self.back,
            NEAR,
            on_stream=self.opened.append,
            on_lost=self.lost.append,
            keepalive_seconds=0,
            max_streams=8,
        )
        self.out.receiver, self.back.receiver = self.far, self.near
        self.near.let_in()
        self.near.connect()

    def join(self) -> None:
        """Finish the handshake."""
        self.until(lambda: self.near.is_ready and self.far.is_ready)

    def until(self, fact: Callable[[], object]) -> None:
        """Let time pass in small steps until something is true."""
        for _ in range(4000):
            if fact():
                return
            self.world.clock.advance(0.005)
            self.world.turn(2)
        raise AssertionError(f"never came true: {fact}")

    def settle(self) -> None:
        """Let all that is under way arrive, and be acknowledged."""
        for _ in range(100):
            self.world.clock.advance(0.005)
            self.world.turn(2)

    def pass_time(self, seconds: float) -> None:
        """Let time pass in steps that leave room for answers, but not for speed."""
        for _ in range(int(seconds / 0.5)):
            self.world.clock.advance(0.5)
            self.world.turn(4)

    def stream(self, session: QuicSession | None = None) -> QuicStream:
        """Open one."""
        found: list[QuicStream] = []
        (session or self.near).open_stream(found.append, fail)
        return found[0]

    def streams(self) -> tuple[QuicStream, QuicStream]:
        """Return both ends of one that the client has opened; its first byte was read."""
        near = self.stream()
        near.write(b"!")
        count = len(self.opened)
        self.until(lambda: len(self.opened) > count)
        far = self.opened[-1]
        assert far.read(1) == b"!"
        return near, far


def fail(error: TransportError) -> None:
    raise error


def knock(world: World, port: int) -> tuple[QuicSession, list[str], socket.socket]:
    """Begin a connection from a socket of its own; return it, why it ended, and the socket."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    world.stack.callback(sock.close)
    wire = OwnWire(world.loop, sock)
    lost: list[str] = []
    session = QuicSession(
        world.loop,
        BoundedConnection(make_configuration(TlsMaterial(), is_client=True, idle_seconds=30)),
        wire,
        wire.peer,
        on_stream=lambda stream: stream.abort(),
        on_lost=lost.append,
        keepalive_seconds=0,
        max_streams=8,
    )
    wire.serve(session)
    session.let_in()
    session.connect()
    return session, lost, sock
