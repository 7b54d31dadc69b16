"""What a hole of an early generation becomes: KCP, with yamux in it or, up to 0.24, without.

KCP without yamux has no end that travels, unless both ends are ours, and nothing that tells
whether a silent peer is still there. So we ask it, by what KCP itself has to answer.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final

from frpd.client.nathole.tunnel import MuxTunnel, OnFailed, OnStream
from frpd.errors import TransportError
from frpd.net.address import SockAddr
from frpd.net.endpoint import Buffer
from frpd.proto.early_punch import CONVERSATION, MAX_PROBES, kcp_probe
from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.kcp_parting import BYTES, Kind, read_farewell
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.kcp_endpoint import KcpEndpoint
from frpd.transports.kcp_wire import SocketWire
from frpd.transports.mux_stream import MuxStream

PROBE_SECONDS: Final = 5.0
"""So often a silent peer is asked; that keeps NATs open too."""
SILENCE_SECONDS: Final = 30.0
"""Who answers nothing for so long is gone."""
KEEPALIVE_SECONDS: Final = 5.0
"""Between yamux's pings, as in frp."""
LOOK_SECONDS: Final = 1.0
"""So often it is looked whether a user has left."""


class WatchedWire:
    """Carries a KcpEndpoint's datagrams, and sees to it that the peer lives. Loop thread only.

    Args:
        loop: the loop.
        sock: connected and non-blocking; owned from now on.

    Attributes:
        endpoint: what goes over it.
        on_over: called once, on a later turn, when the endpoint has let go.
    """

    is_quiet = False  # it has been heard before there was KCP

    def __init__(self, loop: SelectorLoop, sock: socket.socket) -> None:
        self.on_over: Callable[[], None] = _nothing
        self._loop = loop
        self._wire = SocketWire(loop, sock, heeds_refusals=True)
        self._heard_at = loop.now()
        self._probes = 0
        self._has_ended = False  # our direction
        self._is_ours = False  # and so the peer hears of that
        self._timer: Timer | None = loop.call_later(PROBE_SECONDS, self._check)
        kcp = KcpConnection(CONVERSATION, now=loop.now())
        self.endpoint = KcpEndpoint(loop, kcp, self, self._wire.peer)
        self._wire.serve(self)

    # For the endpoint.

    def send(self, datagrams: Sequence[Buffer]) -> None:
        """See KcpWire.send."""
        if len(datagrams[-1]) == BYTES:
            farewell = read_farewell(datagrams[-1])
            self._has_ended |= farewell is not None and farewell.kind is Kind.END
        self._wire.send(datagrams)

    def local_address(self) -> SockAddr:
        """See KcpWire.local_address."""
        return self._wire.local_address()

    def release(self) -> None:
        """See KcpWire.release."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._is_ours:
            self._ask()  # that nobody takes the answer tells a Go peer that we are gone
        self._wire.release()
        self._loop.call_soon(self._tell_over)

    # For the socket, see kcp_wire.Receiver.

    def receive(self, datagram: Buffer) -> None:
        """Take one datagram."""
        self._heard_at = self._loop.now()
        self._is_ours |= len(datagram) == BYTES and read_farewell(datagram) is not None
        self.endpoint.receive(datagram)

    def serve(self) -> None:
        """A batch has been received."""
        self.endpoint.serve()

    def lose(self, reason: str) -> None:
        """The peer is gone."""
        self.endpoint.lose(reason)

    def _ask(self) -> None:
        self._wire.send((kcp_probe(self._probes % MAX_PROBES),))
        self._probes += 1

    def _tell_over(self) -> None:
        self.on_over()

    def _check(self) -> None:
        loop = self._loop
        silent = loop.now() - self._heard_at
        if self._has_ended and not self._is_ours:
            # A peer that lives on without having heard our end: its silence is the endpoint's.
            self._timer = None
            return
        if silent >= SILENCE_SECONDS:
            self._timer = None
            self.endpoint.lose(f"the peer has been silent for {SILENCE_SECONDS:g} s")
            return
        due = self._heard_at + PROBE_SECONDS
        if silent >= PROBE_SECONDS:
            self._ask()
            due = loop.now() + PROBE_SECONDS
        self._timer = loop.call_at(due, self._check)


class BareTunnel:
    """A Tunnel for one user: the connection itself is the stream. Loop thread only.

    Args:
        loop: the loop.
        wire: its endpoint is owned from now on.
    """

    once = True

    def __init__(self, loop: SelectorLoop, wire: WatchedWire) -> None:
        self.on_lost: Callable[[str], None] = _nothing
        self._loop = loop
        self._endpoint = wire.endpoint
        self._peer = wire.endpoint.describe()
        self._is_given = False
        self._is_over = False
        self._is_closed = False
        wire.on_over = self._over

    @property
    def is_usable(self) -> bool:
        """See Tunnel.is_usable."""
        return not (self._is_given or self._is_over or self._is_closed)

    @property
    def stream_count(self) -> int:
        """See Tunnel.stream_count."""
        return int(self._is_given and not self._is_over)

    def open_stream(self, on_open: OnStream, on_failed: OnFailed) -> None:
        """See Tunnel.open_stream."""
        if self.is_usable:
            self._is_given = True
            on_open(self._endpoint)
        else:
            on_failed(TransportError("this tunnel is for one user, who is or was there"))

    def accept_streams(self, on_stream: OnStream) -> None:
        """See Tunnel.accept_streams: there is one at once."""
        self._loop.call_soon(self._accept, on_stream)

    def retire(self) -> None:
        """See Tunnel.retire."""
        if self.is_usable:
            self.close()

    def close(self) -> None:
        """See Tunnel.close; what the user has sent still has its time to arrive."""
        self._is_closed = True
        self._endpoint.close()

    def describe(self) -> str:
        """See Tunnel.describe."""
        return f"kcp {self._peer}"

    def _accept(self, on_stream: OnStream) -> None:
        if self.is_usable:
            self._is_given = True
            on_stream(self._endpoint)

    def _over(self) -> None:
        self._is_over = True
        if not self._is_closed:
            self._is_closed = True
            self.on_lost("the connection is over")


class OwnersTunnel(MuxTunnel):
    """yamux of one visiting user, at the owner's end; over when that user has left.

    Go's visitors end their KCP without a word, and what they said last may not come.

    Args:
        loop: the loop.
        wire: its endpoint is owned from now on.
    """

    def __init__(self, loop: SelectorLoop, wire: WatchedWire) -> None:
        super().__init__(
            loop,
            wire.endpoint,
            is_visitor=False,
            kind="kcp",
            keepalive_seconds=KEEPALIVE_SECONDS,
            once=True,
        )
        self._loop = loop
        self._timer: Timer | None = None

    def close(self) -> None:
        """See Tunnel.close."""
        self._stop_timer()
        super().close()

    def _opened(self, stream: MuxStream) -> None:
        if self._timer is not None:
            stream.abort()  # there is one
            return
        super()._opened(stream)
        self._look_again()

    def _look_again(self) -> None:
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        if self.stream_count:
            self._look_again()
        else:
            self.close()
            self.on_lost("its user has left")

    def _link_closed(self, reason: str) -> None:
        self._stop_timer()
        super()._link_closed(reason)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _nothing(*_: object) -> None:
    pass
