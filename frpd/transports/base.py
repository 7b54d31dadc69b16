"""What frpc needs of a carrier to the server, and how streams come out of it.

A Transport makes one connection per call. Above it, a ServerLink gives frp
streams: with tcp_mux all of them over one connection, without it one
connection each. QUIC has streams of its own, and so is a LinkMaker instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from frpd.errors import TransportError
from frpd.net.address import SockAddr
from frpd.net.bearer import Bearer
from frpd.net.endpoint import Endpoint
from frpd.proto.yamux.session import YamuxSession
from frpd.proto.yamux.window import WindowBudget
from frpd.selector_loop import SelectorLoop
from frpd.transports.mux import MuxLink
from frpd.transports.mux_stream import MuxStream

OnEndpoint: TypeAlias = Callable[[Endpoint], None]
OnFailed: TypeAlias = Callable[[TransportError], None]
OnLost: TypeAlias = Callable[[str], None]


class Dialing(Protocol):
    """A connection attempt under way."""

    def cancel(self) -> None:
        """Give up silently."""


class Transport(Protocol):
    """Dials the server."""

    @property
    def local_address(self) -> SockAddr | None:
        """Our address of the connection that was made last, if there was one."""

    @property
    def bearer(self) -> Bearer | None:
        """What carries the connection that was made last, below all layers."""

    def dial(self, on_connected: OnEndpoint, on_failed: OnFailed) -> Dialing:
        """Make one connection; exactly one of the two is called, unless cancelled."""


class ServerLink(Protocol):
    """Where frpc gets its streams from. Loop thread only."""

    def open_stream(self, on_open: OnEndpoint, on_failed: OnFailed) -> None:
        """Open one frp stream; exactly one of the two is called, unless closed."""

    def accept_streams(self, on_stream: OnEndpoint, *, rising_ids: bool = False) -> None:
        """From here on the server may open streams; before, and without mux, none.

        Args:
            on_stream: called with each of them.
            rising_ids: their ids are never used twice; see YamuxSession.
        """

    def close(self) -> None:
        """Drop everything, calls under way included. Idempotent."""

    @property
    def local_address(self) -> SockAddr | None:
        """Our address of the first connection, if there is one and its carrier can tell."""

    @property
    def bearer(self) -> Bearer | None:
        """What carries the first connection, if there is one."""

    def last_input_at(self) -> float:
        """Return when the server's last bytes came; -inf where nobody notes it."""


@runtime_checkable
class LinkMaker(Protocol):
    """Reaches the server by something that has streams of its own."""

    def make_link(self, on_lost: OnLost) -> ServerLink:
        """Return a link of a connection of its own.

        Args:
            on_lost: called once when an established connection has ended, but by us.
        """


class MuxedLink:
    """All streams over one yamux connection, dialled with the first of them.

    Args:
        loop: the loop.
        transport: dials the server.
        keepalive_seconds: between yamux pings; <= 0 for none.
        windows: lets streams' windows grow.
        on_lost: called once when an established connection has ended.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        transport: Transport,
        *,
        keepalive_seconds: float,
        windows: WindowBudget | None = None,
        on_lost: OnLost,
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._keepalive = keepalive_seconds
        self._windows = windows
        self._on_lost = on_lost
        self.local_address: SockAddr | None = None
        self.bearer: Bearer | None = None
        self._dialing: Dialing | None = None
        self._mux: MuxLink | None = None
        self._on_stream: OnEndpoint | None = None
        self._closed = False

    def open_stream(self, on_open: OnEndpoint, on_failed: OnFailed) -> None:
        """See ServerLink.open_stream; only one call may be made before it answers."""
        if self._mux is not None:
            self._mux.open_stream(on_open, on_failed)
            return

        def connected(carrier: Endpoint) -> None:
            self._dialing = None
            self.local_address, self.bearer = self._transport.local_address, self._transport.bearer
            session = YamuxSession(
                is_client=True,
                now=self._loop.now(),
                keepalive_seconds=self._keepalive if self._keepalive > 0 else None,
                windows=self._windows,
            )
            self._mux = MuxLink(
                self._loop,
                carrier,
                session,
                on_stream=self._opened_by_server,
                on_closed=self._mux_closed,
            )
            self._mux.open_stream(on_open, on_failed)

        self._dialing = self._transport.dial(connected, on_failed)

    def accept_streams(self, on_stream: OnEndpoint, *, rising_ids: bool = False) -> None:
        """See ServerLink.accept_streams."""
        self._on_stream = on_stream
        if self._mux is not None:
            self._mux.session.rising_ids = rising_ids

    def close(self) -> None:
        """See ServerLink.close; the server hears a go-away."""
        self._closed = True
        if self._dialing is not None:
            self._dialing.cancel()
        if self._mux is not None:
            self._mux.go_away()
            self._mux.close()

    def last_input_at(self) -> float:
        """See ServerLink.last_input_at: of any stream."""
        return float("-inf") if self._mux is None else self._mux.session.last_input_at

    def _mux_closed(self, reason: str) -> None:
        if not self._closed:
            self._closed = True
            self._on_lost(reason)

    def _opened_by_server(self, stream: MuxStream) -> None:
        if self._on_stream is None:  # frp's servers open none
            stream.abort()
        else:
            self._on_stream(stream)


class DirectLink:
    """A connection of its own for every stream (tcp_mux off).

    Args:
        transport: dials the server.
    """

    def __init__(self, transport: Transport) -> None:
        self.local_address: SockAddr | None = None
        self.bearer: Bearer | None = None
        self._transport = transport
        self._dialing: set[Dialing] = set()
        self._closed = False

    def open_stream(self, on_open: OnEndpoint, on_failed: OnFailed) -> None:
        """See ServerLink.open_stream."""
        if self._closed:
            on_failed(TransportError("the connection is closed"))
            return
        dialing: Dialing | None = None
        answered = False

        def settle() -> None:
            nonlocal answered
            answered = True
            if dialing is not None:
                self._dialing.discard(dialing)

        def connected(endpoint: Endpoint) -> None:
            settle()
            if self.local_address is None:
                self.local_address = self._transport.local_address
                self.bearer = self._transport.bearer
            on_open(endpoint)

        def failed(error: TransportError) -> None:
            settle()
            on_failed(error)

        dialing = self._transport.dial(connected, failed)
        if not answered:
            self._dialing.add(dialing)

    def accept_streams(self, on_stream: OnEndpoint, *, rising_ids: bool = False) -> None:
        """A server cannot reach us."""

    def close(self) -> None:
        """See ServerLink.close."""
        self._closed = True
        for dialing in self._dialing:
            dialing.cancel()
        self._dialing.clear()

    def last_input_at(self) -> float:
        """See ServerLink.last_input_at: each connection is its owner's."""
        return float("-inf")


def make_link(
    loop: SelectorLoop,
    transport: Transport | LinkMaker,
    *,
    is_mux: bool,
    keepalive_seconds: float,
    windows: WindowBudget | None = None,
    on_lost: OnLost,
) -> ServerLink:
    """Return a fresh link.

    Args:
        loop: the loop.
        transport: reaches the server.
        is_mux: tcp_mux; a LinkMaker does not ask.
        keepalive_seconds: as for MuxedLink, and the rest too.
        windows: as for MuxedLink.
        on_lost: as for MuxedLink.
    """
    if isinstance(transport, LinkMaker):
        return transport.make_link(on_lost)
    if not is_mux:
        return DirectLink(transport)
    return MuxedLink(
        loop, transport, keepalive_seconds=keepalive_seconds, windows=windows, on_lost=on_lost
    )
