"""Early hole punching on the loop: the sockets of frpd.proto.early_punch, and what comes of them.

Each user has a hole of its own, as in frp up to 0.48. A visitor goes the way of the session,
or the one that a server of ours has named for this owner. An owner serves visitors of both
generations and learns by the first bytes which of them has come.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from struct import Struct
from typing import Final

from frpd.auth.token import privilege_key
from frpd.client.nathole.early_tunnel import (
    KEEPALIVE_SECONDS,
    BareTunnel,
    OwnersTunnel,
    WatchedWire,
)
from frpd.client.nathole.generation import HoleContext, OnFailed, OnTunnel, Signalling
from frpd.client.nathole.tunnel import MuxTunnel, Tunnel
from frpd.clock import unix_now
from frpd.config.proxies import ProxyConfig
from frpd.config.visitors import VisitorConfig
from frpd.errors import ConnectionLost, FrpError, TransportError
from frpd.net.address import SockAddr, host_of, join_host_port
from frpd.net.endpoint import Endpoint, Outcome
from frpd.net.resolver import Addresses
from frpd.proto.early_punch import (
    YAMUX_BYTES,
    Address,
    Datagram,
    OwnerPunch,
    Punch,
    State,
    VisitorPunch,
    begins_yamux,
    is_kcp,
)
from frpd.proto.message.types import (
    EARLY_A,
    EARLY_B,
    Message,
    NatHoleClientDetectOK,
    NatHoleSid,
    NatHoleVisitor,
)
from frpd.selector_loop import Timer
from frpd.transports.messages import MessageStream
from frpd.udp.datagram_socket import NO_ANCILLARY, Ancillary, DatagramSocket

FIRST_BYTES_SECONDS: Final = 0.5
"""A visitor of generation B opens its stream at once; who says nothing is one of A."""
TRIES_IN_A: Final = 2
"""A server up to 0.24 forgets a hole as it answers: what is lost then is not sent again."""
DATAGRAMS_PER_TURN: Final = 32

_ttl = Struct("=i").pack


class EarlyPuncher(ABC):
    """One attempt, see generation.Puncher. Loop thread only.

    Args:
        context: of the visitor or proxy.
        signalling: the session.
        on_tunnel: called with the tunnel,
        on_failed: or this one with the reason.
        generation: EARLY_A or EARLY_B.
    """

    def __init__(
        self,
        context: HoleContext,
        signalling: Signalling,
        on_tunnel: OnTunnel,
        on_failed: OnFailed,
        *,
        generation: str,
    ) -> None:
        self.generation = generation
        self._context = context
        self._signalling = signalling
        self._on_tunnel = on_tunnel
        self._on_failed = on_failed
        self._server: tuple[Address, SockAddr] | None = None
        self._socket: DatagramSocket | None = None
        self._punch: Punch | None = None
        self._timer: Timer | None = None
        self._tries = 1
        self._is_ipv6 = False
        self._is_over = False

    def start(self) -> None:
        """See Puncher.start."""
        helper = self._signalling.server_udp
        if helper is None:
            self._fail(TransportError("the server has no UDP port for xtcp"))
        else:
            self._context.resolver.resolve(*helper, self._resolved, self._fail)

    def cancel(self) -> None:
        """See Puncher.cancel."""
        self._end()

    def _resolved(self, addresses: Addresses) -> None:
        if self._is_over:
            return
        # What the server sees of us should be what the other end can reach: as in Go IPv4 first.
        addresses.sort(key=lambda address: address[0] != socket.AF_INET)
        if not addresses:
            self._fail(TransportError("the server's name has no address"))
            return
        family, address = addresses[0]
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._fail(TransportError(f"udp socket: {error.strerror or error}"))
            return
        self._socket = DatagramSocket(self._context.loop, sock, self._readable)
        self._socket.read_on(wanted=True)
        self._is_ipv6 = family == socket.AF_INET6
        server = host_of(address), address[1]
        self._server = server, address
        try:
            self._punch = self._make_punch(server, self._context.loop.now())
        except FrpError as error:
            self._fail(error)
            return
        self._step()

    def _readable(self) -> None:
        sock, punch = self._socket, self._punch
        for _ in range(DATAGRAMS_PER_TURN):
            if sock is None or punch is None or self._socket is not sock:
                return
            received = sock.receive_from()
            if received is None:
                return
            size, _, _, sender = received
            data = bytes(sock.scratch[:size])
            punch.receive_datagram(data, (host_of(sender), sender[1]), self._context.loop.now())
            self._step(data)

    def _due(self) -> None:
        self._timer = None
        if self._punch is not None:
            self._punch.handle_deadline(self._context.loop.now())
            self._step()

    def _step(self, heard: bytes = b"") -> None:
        """Do what the punch wants.

        Args:
            heard: the datagram that came last, if one did.
        """
        sock, punch = self._socket, self._punch
        assert sock is not None
        assert punch is not None
        if punch.peer is not None and self._is_ipv6 != (":" in punch.peer[0]):
            where, ours = join_host_port(*punch.peer), "IPv6" if self._is_ipv6 else "IPv4"
            self._fail(
                TransportError(f"no hole: the other end is {where}, and we reach {ours} only")
            )
            return
        for datagram in punch.datagrams_to_send():
            self._send(sock, datagram)
        if punch.state is State.FAILED and punch.sid and self._tries > 1:
            self._tries -= 1
            self._let_go()
            self.start()
        elif punch.state is State.FAILED:
            self._fail(TransportError(punch.error))
        elif punch.state is State.OPEN:
            self._open(sock, punch, heard if is_kcp(heard) else b"")
        else:
            self._stepped(punch)
            self._rearm(punch)

    def _send(self, sock: DatagramSocket, datagram: Datagram) -> None:
        assert self._server is not None
        server, server_address = self._server
        to: SockAddr = server_address if datagram.to == server else datagram.to
        via: Ancillary = NO_ANCILLARY
        if datagram.ttl and self._is_ipv6:
            via = [(socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, _ttl(datagram.ttl))]
        elif datagram.ttl:
            via = [(socket.IPPROTO_IP, socket.IP_TTL, _ttl(datagram.ttl))]
        sock.send((datagram.data,), to, via)

    def _rearm(self, punch: Punch) -> None:
        self._stop_timer()
        deadline = punch.next_deadline()
        assert deadline is not None
        self._timer = self._context.loop.call_at(deadline, self._due)

    def _open(self, sock: DatagramSocket, punch: Punch, first: bytes) -> None:
        """The hole is there."""
        assert punch.peer is not None
        self._stop_timer()
        self._socket = None
        kept = sock.detach()
        try:
            kept.connect(punch.peer)
        except OSError as error:
            kept.close()
            where = join_host_port(*punch.peer)
            self._fail(TransportError(f"dial udp {where}: {error.strerror or error}"))
            return
        self._context.log.info("nat hole connection make success, sid [%s]", punch.sid)
        wire = WatchedWire(self._context.loop, kept)
        if first:
            wire.receive(first)
        self._opened(wire)

    def _give(self, wire: WatchedWire, tunnel: Tunnel) -> None:
        """Give the tunnel over this wire away."""
        self._end()
        self._on_tunnel(tunnel)
        wire.serve()

    def _fail(self, error: FrpError) -> None:
        if not self._is_over:
            self._end()
            self._on_failed(error)

    def _end(self) -> None:
        self._is_over = True
        self._let_go()

    def _let_go(self) -> None:
        self._punch = None
        self._stop_timer()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @abstractmethod
    def _make_punch(self, server: Address, now: float) -> Punch:
        """Return our end; raises FrpError if there can be none."""

    @abstractmethod
    def _stepped(self, punch: Punch) -> None:
        """It goes on."""

    @abstractmethod
    def _opened(self, wire: WatchedWire) -> None:
        """Make a tunnel of it."""


class EarlyVisitorPunch(EarlyPuncher):
    """The visitor's attempt.

    Args:
        context: of the visitor.
        config: of the visitor.
        signalling: the session.
        on_tunnel: see EarlyPuncher.
        on_failed: see EarlyPuncher.
        generation: the owner's, EARLY_A or EARLY_B.
    """

    def __init__(
        self,
        context: HoleContext,
        config: VisitorConfig,
        signalling: Signalling,
        on_tunnel: OnTunnel,
        on_failed: OnFailed,
        *,
        generation: str,
    ) -> None:
        super().__init__(context, signalling, on_tunnel, on_failed, generation=generation)
        self._config = config
        if generation == EARLY_A:
            self._tries = TRIES_IN_A

    def _make_punch(self, server: Address, now: float) -> Punch:
        timestamp = unix_now()
        request = NatHoleVisitor(
            proxy_name=self._config.server_name,
            sign_key=privilege_key(self._config.sk.reveal(), timestamp),
            timestamp=timestamp,
        )
        return VisitorPunch(request, server, self.generation, now)

    def _stepped(self, punch: Punch) -> None:
        pass

    def _opened(self, wire: WatchedWire) -> None:
        loop = self._context.loop
        if self.generation == EARLY_A:
            self._give(wire, BareTunnel(loop, wire))
            return
        tunnel = MuxTunnel(
            loop,
            wire.endpoint,
            is_visitor=True,
            kind="kcp",
            keepalive_seconds=KEEPALIVE_SECONDS,
            once=True,
        )
        self._give(wire, tunnel)


class EarlyOwnerPunch(EarlyPuncher):
    """The owner's attempt.

    Args:
        context: of the proxy.
        config: of the proxy.
        signalling: the session.
        work: brought the notice; owned from now on.
        notice: names the hole.
        on_tunnel: see EarlyPuncher.
        on_failed: see EarlyPuncher.
        generation: EARLY_A or EARLY_B, the server's best guess at the visitor's.
    """

    def __init__(  # noqa: PLR0917 # the seam's arguments, see OwnerWay
        self,
        context: HoleContext,
        config: ProxyConfig,
        signalling: Signalling,
        work: Endpoint,
        notice: NatHoleSid,
        on_tunnel: OnTunnel,
        on_failed: OnFailed,
        *,
        generation: str,
    ) -> None:
        super().__init__(context, signalling, on_tunnel, on_failed, generation=generation)
        self._name = config.name
        self._notice = notice
        # A server up to 0.24 does not know what the others wait for, and may take offence.
        self._tells_server = generation == EARLY_B or bool(signalling.features)
        self._wire: WatchedWire | None = None
        self._work: MessageStream | None = MessageStream(
            context.loop, work, self._server_spoke, self._server_ended
        )

    def _make_punch(self, server: Address, now: float) -> Punch:
        return OwnerPunch(self._name, self._notice.sid, server, self.generation, now)

    def _stepped(self, punch: Punch) -> None:
        """Let the server tell the visitor, once our NAT is open or does not matter to it yet."""
        assert isinstance(punch, OwnerPunch)
        is_ready = punch.has_sent or self.generation == EARLY_A
        if self._tells_server and punch.state is State.PUNCHING and is_ready:
            self._tells_server = False
            if self._work is not None:
                self._work.send(NatHoleClientDetectOK())

    def _opened(self, wire: WatchedWire) -> None:
        self._wire = wire
        self._timer = self._context.loop.call_later(FIRST_BYTES_SECONDS, self._decide)
        wire.endpoint.on_failure = self._lost
        wire.endpoint.watch(self._look, None)
        wire.serve()

    def _look(self) -> None:
        """The first bytes have come: the whole of what tells, or its beginning."""
        start = self._first_bytes()
        if start is None or self._wire is None:
            return
        verdict = begins_yamux(start)
        if verdict is None:
            self._wire.endpoint.watch(None, None)  # _decide() looks again
        else:
            self._settle(has_yamux=verdict)

    def _decide(self) -> None:
        self._timer = None
        start = self._first_bytes()
        if start is not None:
            self._settle(has_yamux=bool(start) and begins_yamux(start) is True)

    def _first_bytes(self) -> bytes | None:
        """Return what has come, which stays where it is; None if that was the end."""
        assert self._wire is not None
        endpoint, start = self._wire.endpoint, b""
        try:
            while len(start) < YAMUX_BYTES:
                data = endpoint.read(YAMUX_BYTES)
                if isinstance(data, Outcome):
                    break
                start += bytes(data)
        except ConnectionLost as error:
            self._fail(error)
            return None
        endpoint.unread(start)
        return start

    def _settle(self, *, has_yamux: bool) -> None:
        wire, self._wire = self._wire, None
        assert wire is not None
        wire.endpoint.on_failure = None
        wire.endpoint.watch(None, None)
        loop = self._context.loop
        self._give(wire, OwnersTunnel(loop, wire) if has_yamux else BareTunnel(loop, wire))

    def _lost(self) -> None:
        self._fail(ConnectionLost("connection lost"))

    def _server_spoke(self, _message: Message) -> None:
        pass

    def _server_ended(self, _error: FrpError | None) -> None:
        self._work = None

    def _end(self) -> None:
        super()._end()
        if self._work is not None:
            self._work.close()
            self._work = None
        if self._wire is not None:
            self._wire.endpoint.abort()
            self._wire = None
