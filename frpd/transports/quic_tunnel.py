"""QuicTunnel: QUIC through a hole that was punched, as a Tunnel of frpd/client/nathole/tunnel.py.

    quic_tunnel(loop, sock, is_visitor=...) -> QuicTunnel

``sock`` is a UDP socket that is connected to the far end; it is owned from then on. The owner
of the proxy is QUIC's server, with a certificate that is made on the spot; the visitor is its
client, verifies nothing, and opens the streams. The tunnel may be used at once: streams that
are asked for before the handshake is complete wait for it. ``on_lost`` is called, once and on a
later turn, when it has ended otherwise than by close(), also if nobody ever answered.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from aioquic._buffer import Buffer as CoreBuffer
from aioquic.quic.packet import QuicPacketType, pull_quic_header

from frpd.errors import TransportError
from frpd.net.address import SockAddr, format_address
from frpd.net.endpoint import Buffer, Endpoint
from frpd.selector_loop import SelectorLoop
from frpd.transports.kcp_wire import SocketWire
from frpd.transports.quic_connection import (
    ID_BYTES,
    BoundedConnection,
    TlsMaterial,
    make_configuration,
)
from frpd.transports.quic_session import QuicSession
from frpd.transports.quic_stream import QuicStream
from frpd.transports.quic_tls import own_material

KEEPALIVE_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 30.0
MAX_STREAMS: Final = 1024
"""Users of one tunnel at a time."""
MAX_WAITING: Final = 1024
"""Streams that wait for the handshake."""
MIN_INITIAL_BYTES: Final = 1200
"""A client's first datagram is at least so long (RFC 9000, 14.1)."""

OnStream: TypeAlias = Callable[[Endpoint], None]
OnFailed: TypeAlias = Callable[[TransportError], None]


class OwnWire:
    """A QuicWire over a connected UDP socket of its own. Loop thread only.

    Args:
        loop: the loop.
        sock: connected; owned from now on.
        heeds_refusals: believe the peer's machine that nobody is there.
    """

    __slots__ = ("_wire", "peer", "serve")

    def __init__(
        self, loop: SelectorLoop, sock: socket.socket, *, heeds_refusals: bool = False
    ) -> None:
        sock.setblocking(False)
        self._wire = SocketWire(loop, sock, heeds_refusals=heeds_refusals)
        self.peer = self._wire.peer
        self.serve = self._wire.serve

    def send(self, datagrams: Sequence[Buffer], peer: SockAddr) -> None:
        """See QuicWire.send; the socket knows whom to."""
        self._wire.send(datagrams)

    def local_address(self) -> SockAddr:
        """See QuicWire.local_address."""
        return self._wire.local_address()

    def id_issued(self, connection_id: bytes) -> None:
        """Nothing to do: all that comes is the session's."""

    def id_retired(self, connection_id: bytes) -> None:
        """Nothing to do."""

    def release(self) -> None:
        """See QuicWire.release."""
        self._wire.release()


class QuicTunnel:
    """See the module. Loop thread only.

    Args:
        loop: the loop.
        sock: connected to the far end; owned from now on.
        is_visitor: we open the streams.
        keepalive_seconds: between questions to a silent far end.
        idle_seconds: how long it may be silent.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        sock: socket.socket,
        *,
        is_visitor: bool,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.once = False
        self.on_lost: Callable[[str], None] = lambda _reason: None
        self.is_quiet = True
        self._loop = loop
        self._keepalive_seconds = keepalive_seconds
        self._closed = self._retired = False
        self._on_stream: OnStream | None = None
        self._waiting: list[tuple[OnStream, OnFailed]] = []
        self._wire = OwnWire(loop, sock)
        self._session: QuicSession | None = None
        material = TlsMaterial() if is_visitor else own_material()
        self._configuration = make_configuration(
            material, is_client=is_visitor, idle_seconds=idle_seconds
        )
        self._wire.serve(self)
        if is_visitor:
            self._session = self._make_session(BoundedConnection(self._configuration))
            self._session.connect()
        else:
            # Whose client never comes has to end too.
            self._patience = loop.call_later(idle_seconds, self._nobody_came)

    @property
    def is_usable(self) -> bool:
        """See Tunnel.is_usable."""
        return not (self._closed or self._retired)

    @property
    def stream_count(self) -> int:
        """See Tunnel.stream_count."""
        return len(self._waiting) + (0 if self._session is None else self._session.stream_count)

    def open_stream(self, on_open: OnStream, on_failed: OnFailed) -> None:
        """See Tunnel.open_stream."""
        session = self._session
        if not self.is_usable or session is None or len(self._waiting) >= MAX_WAITING:
            on_failed(TransportError("the tunnel is closed"))
        elif session.is_ready:
            session.open_stream(on_open, on_failed)
        else:
            self._waiting.append((on_open, on_failed))

    def accept_streams(self, on_stream: OnStream) -> None:
        """See Tunnel.accept_streams."""
        self._on_stream = on_stream

    def retire(self) -> None:
        """See Tunnel.retire."""
        self._retired = True
        if self._session is not None:
            self._session.go_away()

    def close(self) -> None:
        """See Tunnel.close."""
        if self._closed:
            return
        self._closed = True
        self._waiting.clear()
        if self._session is None:
            self._patience.cancel()
            self._wire.release()
        else:
            self._session.close()

    def describe(self) -> str:
        """See Tunnel.describe."""
        return f"quic {format_address(self._wire.peer)}"

    # For the wire.

    def receive(self, datagram: Buffer) -> None:
        """Take one datagram, whatever it is."""
        self.is_quiet = False
        if self._session is None:
            self._begin(bytes(datagram))
        if self._session is not None:
            self._session.receive(datagram)

    def serve(self) -> None:
        """A batch has been received."""
        if self._session is not None:
            self._session.serve()

    def lose(self, reason: str) -> None:
        """The peer is gone."""
        if self._session is not None:
            self._session.lose(reason)

    # Inside.

    def _begin(self, datagram: bytes) -> None:
        """Begin as the server, if this begins a connection."""
        try:
            header = pull_quic_header(CoreBuffer(data=datagram), host_cid_length=ID_BYTES)
        except ValueError:
            return  # late words of the punching, for example
        if header.packet_type is QuicPacketType.INITIAL and len(datagram) >= MIN_INITIAL_BYTES:
            self._patience.cancel()
            self._session = self._make_session(
                BoundedConnection(self._configuration, original_id=header.destination_cid)
            )

    def _make_session(self, connection: BoundedConnection) -> QuicSession:
        return QuicSession(
            self._loop,
            connection,
            self._wire,
            self._wire.peer,
            on_stream=self._opened,
            on_lost=self._lost,
            on_ready=self._ready,
            keepalive_seconds=self._keepalive_seconds,
            max_streams=MAX_STREAMS,
        )

    def _ready(self) -> None:
        session = self._session
        assert session is not None
        session.let_in()  # who has punched with us has shown that he may
        if not self._configuration.is_client:
            session.let_streams_in(MAX_STREAMS)
        waiting, self._waiting = self._waiting, []
        for on_open, on_failed in waiting:
            self.open_stream(on_open, on_failed)

    def _opened(self, stream: QuicStream) -> None:
        if self._on_stream is None or self._closed:
            stream.abort()
        else:
            self._on_stream(stream)

    def _nobody_came(self) -> None:
        self._wire.release()
        self._lost("nobody came through the hole")

    def _lost(self, reason: str) -> None:
        if self._closed:
            return
        self._closed = True
        waiting, self._waiting = self._waiting, []
        for _, on_failed in waiting:
            on_failed(TransportError(reason))
        self.on_lost(reason)


def quic_tunnel(
    loop: SelectorLoop, sock: socket.socket, *, is_visitor: bool, once: bool = False
) -> QuicTunnel:
    """Return a tunnel over a socket that is connected to the far end.

    Args:
        loop: the loop.
        sock: owned from now on.
        is_visitor: we open the streams, and are QUIC's client.
        once: it carries one user; then it has to be closed.
    """
    tunnel = QuicTunnel(loop, sock, is_visitor=is_visitor)
    tunnel.once = once
    return tunnel
