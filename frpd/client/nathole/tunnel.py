"""Tunnels: what a punched hole becomes. Users pass through it as streams, with nothing ahead."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from frpd.errors import TransportError
from frpd.net.endpoint import Endpoint
from frpd.proto.yamux.session import YamuxSession
from frpd.selector_loop import SelectorLoop
from frpd.transports.mux import MAX_WINDOW_BYTES, MuxLink
from frpd.transports.mux_stream import MuxStream

KEEPALIVE_SECONDS: Final = 10.0
MAX_STREAMS: Final = 1024
"""Users of one tunnel at a time."""

OnStream: TypeAlias = Callable[[Endpoint], None]
OnFailed: TypeAlias = Callable[[TransportError], None]

KCP: Final = "kcp"
QUIC: Final = "quic"
CONVERSATION: Final = 1
"""The number of every tunnel's KCP conversation."""
WINDOW_SEGMENTS: Final = 1024


class Tunnel(Protocol):
    """A way to the far end. Loop thread only.

    Attributes:
        once: it carries one user; then it has to be closed.
        on_lost: set it when the tunnel is given to you. Called once, on a later turn, when it
            has ended without close(), with the reason.
    """

    once: bool
    on_lost: Callable[[str], None]

    def open_stream(self, on_open: OnStream, on_failed: OnFailed) -> None:
        """Open a stream for a user; exactly one of the two is called, now or later."""

    def accept_streams(self, on_stream: OnStream) -> None:
        """Let the far end open streams; to be called, if at all, when the tunnel is given."""

    def retire(self) -> None:
        """Have no more streams opened; those that there are go on. Idempotent."""

    @property
    def is_usable(self) -> bool:
        """Whether a stream may be opened."""

    @property
    def stream_count(self) -> int:
        """Streams that exist now."""

    def close(self) -> None:
        """End it and its streams. Idempotent."""

    def describe(self) -> str:
        """Return what it is and where to, for logs."""


def kcp_tunnel(
    loop: SelectorLoop,
    sock: socket.socket,
    *,
    is_visitor: bool,
    keepalive_seconds: float = KEEPALIVE_SECONDS,
    once: bool = False,
) -> MuxTunnel:
    """Return a tunnel of KCP and yamux over it.

    Args:
        loop: the loop.
        sock: connected to the far end; owned from now on.
        is_visitor: as for MuxTunnel, and the rest too.
        keepalive_seconds: frp's ends use 10 since 0.49, and 5 before.
        once: see Tunnel.
    """
    from frpd.transports.kcp_endpoint import KcpEndpoint  # noqa: PLC0415 # few clients need it

    carrier = KcpEndpoint.over_socket(
        loop, sock, CONVERSATION, send_window=WINDOW_SEGMENTS, receive_window=WINDOW_SEGMENTS
    )
    return MuxTunnel(
        loop,
        carrier,
        is_visitor=is_visitor,
        kind=KCP,
        keepalive_seconds=keepalive_seconds,
        once=once,
    )


def make_tunnel(
    protocol: str,
    loop: SelectorLoop,
    sock: socket.socket,
    *,
    is_visitor: bool,
    keepalive_seconds: float,
    idle_seconds: float,
) -> Tunnel:
    """Return a tunnel of the newest way.

    Args:
        protocol: QUIC, which has to be there, or KCP.
        loop: the loop.
        sock: connected to the far end; owned from now on.
        is_visitor: we open the streams.
        keepalive_seconds: of QUIC, as is the next; KCP's is frp's.
        idle_seconds: how long the far end may be silent.
    """
    if protocol != QUIC:
        return kcp_tunnel(loop, sock, is_visitor=is_visitor)
    from frpd.transports.quic_tunnel import QuicTunnel  # noqa: PLC0415 # aioquic is optional

    return QuicTunnel(
        loop,
        sock,
        is_visitor=is_visitor,
        keepalive_seconds=keepalive_seconds,
        idle_seconds=idle_seconds,
    )


class MuxTunnel:
    """Streams of yamux over one connection, such as KCP; the visitor is its client.

    Args:
        loop: the loop.
        carrier: owned from now on.
        is_visitor: we open the streams.
        kind: what it is, for logs.
        keepalive_seconds: between yamux's pings.
        once: see Tunnel.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        carrier: Endpoint,
        *,
        is_visitor: bool,
        kind: str,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        once: bool = False,
    ) -> None:
        self.once = once
        self.on_lost: Callable[[str], None] = lambda _reason: None
        self._kind = kind
        self._closed = False
        self._on_stream: OnStream | None = None
        session = YamuxSession(
            is_client=is_visitor,
            now=loop.now(),
            max_window_bytes=MAX_WINDOW_BYTES,
            max_streams=0 if is_visitor else MAX_STREAMS,
            keepalive_seconds=keepalive_seconds,
        )
        self._link = MuxLink(
            loop, carrier, session, on_stream=self._opened, on_closed=self._link_closed
        )

    @property
    def is_usable(self) -> bool:
        """See Tunnel.is_usable."""
        session = self._link.session
        return not self._closed and (session.may_open or session.opens_may_resume)

    @property
    def stream_count(self) -> int:
        """See Tunnel.stream_count."""
        return self._link.stream_count

    def open_stream(self, on_open: OnStream, on_failed: OnFailed) -> None:
        """See Tunnel.open_stream."""
        self._link.open_stream(on_open, on_failed)

    def accept_streams(self, on_stream: OnStream) -> None:
        """See Tunnel.accept_streams."""
        self._on_stream = on_stream

    def retire(self) -> None:
        """See Tunnel.retire."""
        self._link.go_away()

    def close(self) -> None:
        """See Tunnel.close."""
        if not self._closed:
            self._closed = True
            self._link.go_away()  # KCP has no end that travels: this is how the far end hears
            self._link.close()

    def describe(self) -> str:
        """See Tunnel.describe."""
        return f"{self._kind} {self._link.describe()}"

    def _opened(self, stream: MuxStream) -> None:
        if self._on_stream is None or self._closed:
            stream.abort()
        else:
            self._on_stream(stream)

    def _link_closed(self, reason: str) -> None:
        if not self._closed:
            self._closed = True
            self.on_lost(reason)
