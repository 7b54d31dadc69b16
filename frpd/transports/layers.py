"""Layers: what is put around a fresh connection before frp is spoken on it.

A proxy on the way, TLS and WebSocket are layers. Each has its handshake and
then gives an endpoint; the next layer begins on that. Both ends use them:
frpc after dialling, frps when the first bytes ask for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from frpd.errors import TransportError
from frpd.net.address import SockAddr
from frpd.net.bearer import Bearer
from frpd.net.endpoint import Endpoint
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.base import Dialing, OnEndpoint, OnFailed, Transport


class Layer(Protocol):
    """One handshake, made anew for each connection. Loop thread only."""

    def begin(self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed) -> Dialing:
        """Make the handshake on a connection, which is owned from now on.

        Exactly one of the two is called, unless cancelled: never inside
        ``begin`` itself, but on a later turn. Bytes behind the handshake wait
        in the endpoint that is handed over. On failure, and by
        ``Dialing.cancel()``, the connection is closed. The caller keeps the
        time: a layer has no deadline of its own.
        """


class LayeredTransport:
    """A Transport inside layers.

    Args:
        loop: the loop.
        transport: makes the bare connections, within a time of its own.
        layers: from the outside in: the first begins on the bare connection.
        timeout_seconds: until all handshakes are over, the dialling included.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        transport: Transport,
        layers: Sequence[Layer],
        *,
        timeout_seconds: float,
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._layers = tuple(layers)
        self._timeout_seconds = timeout_seconds

    @property
    def local_address(self) -> SockAddr | None:
        """See Transport.local_address."""
        return self._transport.local_address

    @property
    def bearer(self) -> Bearer | None:
        """See Transport.bearer."""
        return self._transport.bearer

    def dial(self, on_connected: OnEndpoint, on_failed: OnFailed) -> Dialing:
        """See Transport.dial."""
        climb = _Climb(self._loop, self._layers, self._timeout_seconds, on_connected, on_failed)
        climb.start(self._transport)
        return climb


class _Climb:
    """One connection on its way through the layers."""

    def __init__(
        self,
        loop: SelectorLoop,
        layers: Sequence[Layer],
        timeout_seconds: float,
        on_connected: OnEndpoint,
        on_failed: OnFailed,
    ) -> None:
        self._loop = loop
        self._layers = list(layers)
        self._timeout_seconds = timeout_seconds
        self._deadline = loop.now() + timeout_seconds
        self._on_connected = on_connected
        self._on_failed = on_failed
        self._step: Dialing | None = None
        self._timer: Timer | None = None
        self._over = False

    def start(self, transport: Transport) -> None:
        """Dial."""
        step = transport.dial(self._up, self._failed)
        if self._step is None:  # unless it has answered already
            self._step = step

    def cancel(self) -> None:
        """See Dialing.cancel. Idempotent."""
        if self._end() and self._step is not None:
            self._step.cancel()

    def _up(self, endpoint: Endpoint) -> None:
        if self._timer is None:  # before, the transport knows better what it waits for
            self._timer = self._loop.call_at(self._deadline, self._timed_out, endpoint.describe())
        if self._layers:
            self._step = self._layers.pop(0).begin(endpoint, self._up, self._failed)
        elif self._end():
            self._on_connected(endpoint)

    def _failed(self, error: TransportError) -> None:
        if self._end():
            self._on_failed(error)

    def _timed_out(self, peer: str) -> None:
        self.cancel()
        limit = f"{self._timeout_seconds:g} s"
        self._on_failed(TransportError(f"no end of the handshake with {peer} within {limit}"))

    def _end(self) -> bool:
        was_over, self._over = self._over, True
        if self._timer is not None:
            self._timer.cancel()
        return not was_over
