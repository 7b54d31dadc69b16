"""``protocol = quic``: all streams of a client are streams of one QUIC connection.

It needs neither yamux nor TLS around it, so ``tcp_mux`` and ``tls_enable`` say nothing here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from frpd.errors import TransportError
from frpd.net.address import SockAddr, join_host_port
from frpd.net.bearer import Bearer
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.base import OnEndpoint, OnFailed, OnLost
from frpd.transports.kcp import KcpDialing
from frpd.transports.quic_connection import BoundedConnection, make_configuration
from frpd.transports.quic_session import QuicSession
from frpd.transports.quic_stream import QuicStream
from frpd.transports.quic_tls import client_material
from frpd.transports.quic_tunnel import OwnWire
from frpd.transports.way import Way

DEFAULT_IDLE_SECONDS: Final = 30
DEFAULT_STREAMS: Final = 100
"""Of a key that is 0, as in quic-go."""
MAX_SERVER_STREAMS: Final = 65_536
"""Streams that an frpd server may have open to us."""


class QuicTransport:
    """Knows the way to a server. Loop thread only.

    Args:
        way: to the server.

    Raises:
        ConfigError: a certificate or a key cannot be used.
    """

    def __init__(self, way: Way) -> None:
        self.way = way
        client_material(*way.tls_files)  # says now what is wrong with them

    def make_link(self, on_lost: OnLost) -> QuicLink:
        """See LinkMaker.make_link."""
        return QuicLink(self, on_lost)

    def begin(
        self, loop: SelectorLoop, sock: socket.socket, on_ready: Callable[[], None], link: QuicLink
    ) -> QuicSession:
        """Begin a connection over a connected socket."""
        settings, way = self.way.quic, self.way
        configuration = make_configuration(
            client_material(*way.tls_files),
            is_client=True,
            idle_seconds=settings.idle_seconds or DEFAULT_IDLE_SECONDS,
            server_name=way.tls_name,
        )
        wire = OwnWire(loop, sock, heeds_refusals=True)
        session = QuicSession(
            loop,
            BoundedConnection(configuration),
            wire,
            wire.peer,
            on_stream=link.opened_by_server,
            on_lost=link.session_lost,
            on_ready=on_ready,
            keepalive_seconds=settings.keepalive_seconds,
            max_streams=settings.max_streams or DEFAULT_STREAMS,
        )
        wire.serve(session)
        session.let_in()  # it is us who came
        session.connect()
        return session


class QuicLink:
    """A ServerLink over one QUIC connection, dialled with the first stream. Loop thread only.

    Args:
        transport: knows the way.
        on_lost: called once when an established connection has ended, but by us.
    """

    def __init__(self, transport: QuicTransport, on_lost: OnLost) -> None:
        self._transport = transport
        self._loop = transport.way.loop
        self._on_lost = on_lost
        self._dialing: KcpDialing | None = None
        self._timer: Timer | None = None
        self._session: QuicSession | None = None
        self._first: tuple[OnEndpoint, OnFailed] | None = None  # waits for the handshake
        self._on_stream: OnEndpoint | None = None
        self._closed = False

    @property
    def local_address(self) -> SockAddr | None:
        """See ServerLink.local_address."""
        session = self._session
        return None if session is None or session.is_over else session.local_address()

    @property
    def bearer(self) -> Bearer | None:
        """See ServerLink.bearer."""
        return self._session

    def open_stream(self, on_open: OnEndpoint, on_failed: OnFailed) -> None:
        """See ServerLink.open_stream; only one call may be made before it answers."""
        if self._session is not None:
            self._session.open_stream(on_open, on_failed)
            return
        way = self._transport.way
        self._first = on_open, on_failed
        self._timer = self._loop.call_later(way.timeout_seconds, self._timed_out)
        self._dialing = KcpDialing(
            self._loop, (way.host, way.port), self._connected, self._dial_failed
        )
        self._dialing.begin(way.connector.resolver, way.local_ip, way.timeout_seconds)

    def accept_streams(self, on_stream: OnEndpoint, *, rising_ids: bool = False) -> None:
        """See ServerLink.accept_streams."""
        self._on_stream = on_stream
        if self._session is not None:
            self._session.let_streams_in(MAX_SERVER_STREAMS, rising_ids=rising_ids)

    def close(self) -> None:
        """See ServerLink.close."""
        self._closed = True
        self._first = None
        self._stop_waiting()
        if self._session is not None:
            self._session.finish()

    def last_input_at(self) -> float:
        """See ServerLink.last_input_at: of the connection."""
        return float("-inf") if self._session is None else self._session.heard_at

    # What the session reports.

    def opened_by_server(self, stream: QuicStream) -> None:
        """Take a stream of the server's, if any are taken."""
        if self._on_stream is None or self._closed:
            stream.abort()
        else:
            self._on_stream(stream)

    def session_lost(self, reason: str) -> None:
        """The connection has ended, or was never there."""
        if self._closed:
            return
        if self._first is not None:
            self._dial_failed(TransportError(f"{self._target()}: {reason}"))
        else:
            self._closed = True
            self._on_lost(reason)

    # Inside.

    def _connected(self, sock: socket.socket) -> None:
        self._dialing = None
        self._session = self._transport.begin(self._loop, sock, self._ready, self)

    def _ready(self) -> None:
        self._stop_waiting()
        first, self._first = self._first, None
        if first is not None and self._session is not None:
            self._session.open_stream(*first)

    def _timed_out(self) -> None:
        self._dial_failed(TransportError(f"{self._target()}: no QUIC handshake in time"))

    def _dial_failed(self, error: TransportError) -> None:
        self._stop_waiting()
        first, self._first = self._first, None
        if self._session is not None:
            self._session.abort("gave up")
        self._closed = True
        if first is not None:
            first[1](error)

    def _stop_waiting(self) -> None:
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _target(self) -> str:
        way = self._transport.way
        return f"dial quic {join_host_port(way.host, way.port)}"
