"""udp proxies: a UDP port of the server, and one work stream for all of its visitors.

The stream is called for as soon as the proxy is there, and again whenever it is lost.
Until then the port is not read (see VisitedPort).
"""

from __future__ import annotations

import socket

from frpd.errors import FrpError, ProxyError
from frpd.net.address import format_address
from frpd.net.endpoint import Endpoint
from frpd.net.listener import ListenError
from frpd.net.socket_store import UDP, HeldError
from frpd.proto import native
from frpd.proto.message.types import NewProxy, StartWorkConn
from frpd.proto.udp_binary import MAX_DATAGRAM_BYTES, BinaryPackets
from frpd.selector_loop import Timer
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.work_call import WorkCall, call_for_work
from frpd.udp.datagram_socket import open_udp
from frpd.udp.flows import SILENT
from frpd.udp.go_packets import GoPackets, wraps_udp
from frpd.udp.traffic import Traffic
from frpd.udp.visited_port import VisitedPort, Visitor

# A client that is to take a work stream must have read the answer to NewProxy first. Where
# the two do not travel one behind the other, frp gives it half a second, and so do we.
HEAD_START_SECONDS = 0.5
AGAIN_SECONDS = 1.0
# Clients say something every 30 s.
SILENCE_SECONDS = 60.0


class UdpProxy:
    """One udp proxy. Loop thread only.

    Args:
        context: of the client's session.
        request: what the client asked for.
    """

    proxy_type = "udp"
    ports_used = 1

    def __init__(self, context: ProxyContext, request: NewProxy) -> None:
        self.name = request.proxy_name
        self.counters = context.counters
        self._context = context
        self._packets = BinaryPackets if native.UDP_BINARY in context.features else GoPackets
        wraps = bool(context.features) or wraps_udp(context.peer_version)
        self._encrypts = request.use_encryption and wraps
        self._compresses = request.use_compression and wraps
        self._call: WorkCall | None = None
        self._timer: Timer | None = None
        self._attached_at = 0.0
        self._closed = False
        self._owner = f"proxy {self.name}"
        inherited = context.sockets.port_of(UDP, self._owner)
        self.port, self._bound = context.udp_ports.acquire(
            self.name, request.remote_port, context.loop.now(), self._bind, inherited
        )
        self.remote_addr = f":{self.port}"
        self._visited = VisitedPort(
            context.loop,
            self._bound,
            packets=self._packets,
            counters=self.counters,
            session_seconds=context.udp_session_seconds,
            max_sessions=context.udp_max_sessions,
            log=context.log,
            on_lost=self._lost,
            on_forgotten=self._forgotten,
            gate=context.gate,
        )
        ordered = native.DIRECT_STREAM in context.features
        self._arm(0.0 if ordered else HEAD_START_SECONDS)

    @property
    def traffic(self) -> Traffic:
        """Datagrams by where they went."""
        return self._visited.traffic

    def close(self) -> None:
        """Free the port and forget the visitors. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._context.sockets.forget(self._bound)
        self._stop_timer()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._visited.close()
        self._context.udp_ports.release(self.port, self._context.loop.now())

    def _bind(self, port: int) -> socket.socket:
        try:
            return open_udp(self._context.sockets, self._context.bind_addr, port, self._owner)
        except HeldError as error:
            self._context.log.warning("%s", error)
            raise ProxyError("port already used") from error
        except ListenError as error:
            self._context.log.warning("%s", error)
            raise ProxyError("port unavailable") from error

    # The work stream.

    def _arm(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self._context.loop.call_later(seconds, self._call_for_work)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _call_for_work(self) -> None:
        self._timer = None
        self._call = call_for_work(
            self._context,
            StartWorkConn(proxy_name=self.name),
            self._got_work,
            self._no_work,
            use_encryption=self._encrypts,
            use_compression=self._compresses,
        )

    def _got_work(self, endpoint: Endpoint) -> None:
        context = self._context
        is_binary = self._packets is BinaryPackets
        limit = MAX_DATAGRAM_BYTES if is_binary else context.udp_packet_bytes
        self._visited.attach(endpoint, limit)
        self._attached_at = context.loop.now()
        self._watch_silence()

    def _no_work(self, error: FrpError) -> None:
        self._context.log.warning("no work connection: %s", error)
        if not self._closed:
            self._arm(AGAIN_SECONDS)

    def _lost(self, _reason: str) -> None:
        lasted = self._context.loop.now() - self._attached_at
        self._arm(0.0 if lasted >= AGAIN_SECONDS else AGAIN_SECONDS)

    def _watch_silence(self) -> None:
        when = self._visited.channel.heard_at + SILENCE_SECONDS
        self._stop_timer()
        self._timer = self._context.loop.call_at(when, self._silence_due)

    def _silence_due(self) -> None:
        if self._context.loop.now() < self._visited.channel.heard_at + SILENCE_SECONDS:
            self._watch_silence()
        else:
            self._visited.give_up(f"silent for {SILENCE_SECONDS:g} s")

    # Visitors.

    def _forgotten(self, visitor: Visitor, reason: str) -> None:
        access = self._context.access
        if access is not None:
            access.tell(
                visitor=format_address(visitor.address),
                local=self._visited.describe(),
                bytes_in=visitor.bytes_in,
                bytes_out=visitor.bytes_out,
                seconds=self._context.loop.now() - visitor.opened_at,
                ended="silent" if reason == SILENT else "closed",
                by="visitor" if reason == SILENT else "server",
                reason=reason,
            )
