"""AdminOffice: takes connections for the API on the loop and hands them to the web server.

The server is made when the first one comes: its imports cost more than all else at a start,
and most daemons are never asked. Until it is there connections wait.
"""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from frpd.admin.loop_calls import LoopCalls
from frpd.admin.peers import peer_of
from frpd.config.penalties import NET_BLOCKS
from frpd.errors import LimitError, TransportError
from frpd.log import get_logger
from frpd.net.address import host_of, join_host_port
from frpd.net.endpoint import Endpoint
from frpd.net.listener import Listener
from frpd.net.stream import SocketStream
from frpd.relay.relay import Relay
from frpd.selector_loop import SelectorLoop, Timer
from frpd.server.guard.sources import source_of
from frpd.transports.base import Dialing
from frpd.transports.layers import Layer
from frpd.workers import WorkerPool

CONTROL: Final = "control socket"
"""REMOTE_ADDR of who came by the control socket; of others it is an address."""
MAX_CONNECTIONS: Final = 64
MAX_PER_SOURCE: Final = 32
"""By TCP, from one source; a browser opens six."""
HANDSHAKE_SECONDS: Final = 10.0

NOT_TRUSTED: Final = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\nContent-Length: 61\r\n\r\n"
    b"only root, the daemon's own user and its group may ask here.\n"
)

_log = get_logger("frpd.admin.office")


class Server(Protocol):
    """A web server; see WebServer."""

    def adopt(self, sock: socket.socket, address: tuple[str, int]) -> None:
        """Serve a connection."""

    def run(self) -> None:
        """Serve until stop()."""

    def stop(self) -> None:
        """Have run() return."""


MakeServer = Callable[[Callable[[tuple[str, int]], None]], Server]
"""Makes a server that calls what it is given with the address of each connection that is over."""


class AdminOffice:
    """The loop's side of the admin API. Loop thread only.

    Args:
        loop: the loop.
        calls: closed with the office, so that no thread waits for a loop that ends.
        make_server: called on a worker.
    """

    def __init__(self, loop: SelectorLoop, calls: LoopCalls, make_server: MakeServer) -> None:
        self._loop = loop
        self._calls = calls
        self._make_server = make_server
        # Its own thread, which the server keeps.
        self._pool = WorkerPool(loop, threads=1)
        self._server: Server | None = None
        self._starting = False
        self._waiting: list[tuple[socket.socket, tuple[str, int]]] = []
        self._listeners: list[Listener] = []
        self._open: Counter[str] = Counter()
        self._handshakes: set[_Handshake] = set()
        self._fronts: set[Relay] = set()
        self._closed = False

    def serve_tcp(self, sock: socket.socket, what: str, tls: Layer | None = None) -> None:
        """Take connections of a port.

        Args:
            sock: listening; owned from now on.
            what: in the words of frp's log.
            tls: for HTTPS.
        """
        listener = Listener(self._loop, sock, partial(self._tcp_came, tls))
        self._listeners.append(listener)
        host, port = listener.address[:2]
        _log.info("%s listen on %s", what, join_host_port(host, port))

    def serve_control(self, sock: socket.socket) -> None:
        """Take connections of the control socket; owned from now on."""
        self._listeners.append(Listener(self._loop, sock, self._control_came))

    def stop_listening(self) -> None:
        """Free the ports; requests under way go on. Idempotent."""
        for listener in self._listeners:
            listener.close()

    def close(self) -> None:
        """End everything. Idempotent."""
        self._closed = True
        self.stop_listening()
        self._calls.close()
        for handshake in list(self._handshakes):
            handshake.cancel()
        for front in list(self._fronts):
            front.abort("the program stops")
        for sock, _ in self._waiting:
            sock.close()
        self._waiting.clear()
        if self._server is not None:
            self._server.stop()
        self._pool.close()

    # Connections.

    def _tcp_came(self, tls: Layer | None, stream: SocketStream) -> None:
        address = (host_of(stream.peer), stream.peer[1])
        if not self._has_room(address[0], MAX_PER_SOURCE):
            stream.abort()
        elif tls is None:
            self._hand_on(stream.detach(), address)
        else:
            self._open[_source(address[0])] += 1
            self._handshakes.add(_Handshake(self, self._loop, tls, stream, address))

    def _control_came(self, stream: SocketStream) -> None:
        sock = stream.detach()
        try:
            peer = peer_of(sock)
        except OSError:
            sock.close()
            return
        if not peer.is_trusted:
            _log.warning("control socket: pid %d of user %d was refused", peer.pid, peer.uid)
            with contextlib.suppress(OSError):
                sock.send(NOT_TRUSTED)
            sock.close()
        elif not self._has_room(CONTROL, MAX_CONNECTIONS):
            sock.close()
        else:
            self._hand_on(sock, (CONTROL, peer.pid))

    def _has_room(self, source: str, limit: int) -> bool:
        # The control socket has its own room: it is the way in when the port is under attack.
        by_tcp = sum(self._open.values()) - self._open[CONTROL]
        total = self._open[CONTROL] if source == CONTROL else by_tcp
        return total < MAX_CONNECTIONS and self._open[_source(source)] < limit

    def _hand_on(self, sock: socket.socket, address: tuple[str, int]) -> None:
        self._open[_source(address[0])] += 1
        if self._server is not None:
            self._server.adopt(sock, address)
            return
        self._waiting.append((sock, address))
        if not self._starting:
            self._start()

    def _over(self, address: tuple[str, int]) -> None:
        source = _source(address[0])
        self._open[source] -= 1
        if self._open[source] <= 0:
            del self._open[source]

    # TLS: the web server speaks plain HTTP behind a pair of sockets.

    def secured(self, handshake: _Handshake, endpoint: Endpoint) -> None:
        """A handshake was a success."""
        self._handshakes.discard(handshake)
        near, far = socket.socketpair()
        near.setblocking(False)

        def done(_result: object) -> None:
            self._fronts.discard(relay)

        inner = SocketStream(self._loop, near, handshake.address)
        relay = Relay(self._loop, endpoint, inner, b_half_closes=True, on_done=done)
        self._fronts.add(relay)
        self._over(handshake.address)  # counted again by the next line
        self._hand_on(far, handshake.address)

    def insecure(self, handshake: _Handshake, reason: str) -> None:
        """A handshake has failed, and its connection is closed."""
        self._handshakes.discard(handshake)
        self._over(handshake.address)
        _log.debug("%s: %s", join_host_port(*handshake.address), reason)

    # The server.

    def _start(self) -> None:
        self._starting = True

        def tell(address: tuple[str, int]) -> None:
            self._loop.call_soon_threadsafe(self._over, address)

        try:
            self._pool.submit(lambda: self._make_server(tell), self._made, self._not_made)
        except LimitError as error:
            self._not_made(error)

    def _made(self, server: Server) -> None:
        self._starting = False
        self._server = server
        self._pool.submit(server.run, lambda _none: None, self._failed)
        waiting, self._waiting = self._waiting, []
        for sock, address in waiting:
            server.adopt(sock, address)

    def _not_made(self, error: Exception) -> None:
        """Who comes next may have more luck, as when descriptors were scarce."""
        self._starting = False
        _log.error("the admin API cannot be served: %s: %s", type(error).__name__, error)
        waiting, self._waiting = self._waiting, []
        for sock, address in waiting:
            sock.close()
            self._over(address)

    def _failed(self, error: Exception) -> None:
        _log.error("the admin API has ended: %s: %s", type(error).__name__, error)
        self._server = None


def _source(who: str) -> str:
    """Return whom a connection counts for: of IPv6 a network, which is what people have."""
    return who if who == CONTROL else source_of(who, NET_BLOCKS)


class _Handshake:
    """TLS with one client, under a deadline."""

    __slots__ = ("_dialing", "_office", "_timer", "address")

    def __init__(
        self,
        office: AdminOffice,
        loop: SelectorLoop,
        tls: Layer,
        stream: SocketStream,
        address: tuple[str, int],
    ) -> None:
        self.address = address
        self._office = office
        self._timer: Timer = loop.call_later(HANDSHAKE_SECONDS, self._too_late)
        self._dialing: Dialing = tls.begin(stream, self._ready, self._failed)

    def cancel(self) -> None:
        """Give up silently."""
        self._timer.cancel()
        self._dialing.cancel()

    def _ready(self, endpoint: Endpoint) -> None:
        self._timer.cancel()
        self._office.secured(self, endpoint)

    def _failed(self, error: TransportError) -> None:
        self._timer.cancel()
        self._office.insecure(self, str(error))

    def _too_late(self) -> None:
        self._dialing.cancel()
        self._office.insecure(self, "no TLS handshake in time")
