"""udp proxies: a UDP port of the server, and one work stream for all of its visitors.

The stream is called for as soon as the proxy is there, and again whenever it is lost.
While there is none the port is not read: what comes then waits in the kernel's buffer.
"""

from __future__ import annotations

import socket

from frpd.errors import FrpError, ProxyError
from frpd.net.address import SockAddr, format_address, host_of
from frpd.net.endpoint import Buffer, Endpoint
from frpd.net.listener import ListenError
from frpd.net.socket_store import UDP, HeldError
from frpd.proto import native
from frpd.proto.message.types import NewProxy, StartWorkConn
from frpd.proto.udp_binary import MAX_DATAGRAM_BYTES, BinaryPackets
from frpd.selector_loop import Timer
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.work_call import WorkCall, call_for_work
from frpd.udp.datagram_socket import NO_ANCILLARY, Ancillary, DatagramSocket, answer_via, open_udp
from frpd.udp.flows import SILENT, Flow, FlowTable
from frpd.udp.go_packets import GoPackets, wraps_udp
from frpd.udp.packet_channel import PacketChannel
from frpd.udp.traffic import Traffic

DATAGRAMS_PER_TURN = 128
BYTES_PER_TURN = 512 * 1024
# A client that is to take a work stream must have read the answer to NewProxy first. Where
# the two do not travel one behind the other, frp gives it half a second, and so do we.
HEAD_START_SECONDS = 0.5
AGAIN_SECONDS = 1.0
# Clients say something every 30 s.
SILENCE_SECONDS = 60.0
COMPLAIN_EVERY_SECONDS = 60.0


class Visitor(Flow):
    """One address that datagrams came from."""

    __slots__ = ("address", "ancillary", "name", "via")

    def __init__(self, address: SockAddr, name: bytes) -> None:
        super().__init__()
        self.address = address
        self.name = name
        self.ancillary: Ancillary = NO_ANCILLARY
        self.via: Ancillary = NO_ANCILLARY


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
        self.traffic = Traffic()
        self._context = context
        self._packets = BinaryPackets if native.UDP_BINARY in context.features else GoPackets
        wraps = bool(context.features) or wraps_udp(context.peer_version)
        self._encrypts = request.use_encryption and wraps
        self._compresses = request.use_compression and wraps
        self._flows: FlowTable[SockAddr, Visitor] = FlowTable(
            context.loop,
            self._forget,
            idle_seconds=context.udp_session_seconds,
            limit=context.udp_max_sessions,
        )
        self._by_name: dict[bytes, Visitor] = {}
        self._channel = PacketChannel(context.loop, self.traffic, self._answers_came, self._lost)
        self._call: WorkCall | None = None
        self._timer: Timer | None = None
        self._attached_at = 0.0
        self._said_long = 0
        self._said_long_at: float | None = None
        self._closed = False
        self._owner = f"proxy {self.name}"
        inherited = context.sockets.port_of(UDP, self._owner)
        self.port, self._bound = context.udp_ports.acquire(
            self.name, request.remote_port, context.loop.now(), self._bind, inherited
        )
        self.remote_addr = f":{self.port}"
        self._socket = DatagramSocket(context.loop, self._bound, self._readable)
        ordered = native.DIRECT_STREAM in context.features
        self._arm(0.0 if ordered else HEAD_START_SECONDS)

    def close(self) -> None:
        """Free the port and forget the visitors. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._context.sockets.forget(self._bound)
        self._socket.close()
        self._stop_timer()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._channel.close()
        self._flows.clear("the proxy was closed")
        self._context.log.info("closed: %s", self.traffic.describe())
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
        self._channel.attach(endpoint, self._packets(), limit)
        self._attached_at = context.loop.now()
        self._socket.read_on(wanted=True)
        self._watch_silence()

    def _no_work(self, error: FrpError) -> None:
        self._context.log.warning("no work connection: %s", error)
        if not self._closed:
            self._arm(AGAIN_SECONDS)

    def _lost(self, reason: str) -> None:
        self._context.log.info("work connection lost: %s", reason)
        self._socket.read_on(wanted=False)
        lasted = self._context.loop.now() - self._attached_at
        self._arm(0.0 if lasted >= AGAIN_SECONDS else AGAIN_SECONDS)

    def _watch_silence(self) -> None:
        when = self._channel.heard_at + SILENCE_SECONDS
        self._stop_timer()
        self._timer = self._context.loop.call_at(when, self._silence_due)

    def _silence_due(self) -> None:
        if self._context.loop.now() < self._channel.heard_at + SILENCE_SECONDS:
            self._watch_silence()
        else:
            self._channel.abort()
            self._lost(f"silent for {SILENCE_SECONDS:g} s")

    # Datagrams.

    def _readable(self) -> None:
        receive, scratch = self._socket.receive_from, self._socket.scratch
        find, put = self._flows.find, self._channel.put
        datagrams = total = 0
        for _ in range(DATAGRAMS_PER_TURN):
            received = receive()
            if received is None:
                break
            size, ancillary, _, address = received
            visitor = find(address) or self._enter(address)
            if ancillary != visitor.ancillary:
                visitor.ancillary, visitor.via = ancillary, answer_via(ancillary)
            if put(visitor.name, scratch[:size]):
                visitor.bytes_in += size
                datagrams += 1
                total += size
            if total >= BYTES_PER_TURN:
                break
        self._channel.flush()
        self.traffic.datagrams_in += datagrams
        self.traffic.bytes_in += total
        self.counters.bytes_in += total
        if self.traffic.dropped_long != self._said_long:
            self._say_long()

    def _say_long(self) -> None:
        now = self._context.loop.now()
        if self._said_long_at is None or now - self._said_long_at >= COMPLAIN_EVERY_SECONDS:
            self._said_long = self.traffic.dropped_long
            self._said_long_at = now
            self._context.log.warning(
                "datagrams that are longer than this client takes (udp_packet_size) were dropped,"
                " %d so far",
                self._said_long,
            )

    def _answers_came(self, found: dict[bytes, list[Buffer]]) -> None:
        traffic = self.traffic
        for name, datagrams in found.items():
            visitor = self._by_name.get(name)
            if visitor is None:
                traffic.dropped_unknown += len(datagrams)
                continue
            self._flows.find(visitor.address)
            sent = self._socket.send(datagrams, visitor.address, visitor.via)
            size = sum(map(len, datagrams))
            visitor.bytes_out += size
            traffic.bytes_out += size
            self.counters.bytes_out += size
            traffic.datagrams_out += sent
            traffic.dropped_unsent += len(datagrams) - sent

    # Visitors.

    def _enter(self, address: SockAddr) -> Visitor:
        host, _, _ = host_of(address).partition("%")
        scope = address[3] if len(address) == 4 else 0
        visitor = Visitor(address, self._packets.name_visitor(host, address[1], scope))
        self._flows.add(address, visitor)
        self._by_name[visitor.name] = visitor
        self.counters.opened()
        return visitor

    def _forget(self, visitor: Visitor, reason: str) -> None:
        if self._by_name.get(visitor.name) is visitor:
            del self._by_name[visitor.name]
        self.counters.closed(0, 0)  # bytes were counted as they came
        access = self._context.access
        if access is not None:
            access.tell(
                visitor=format_address(visitor.address),
                local=self._socket.describe(),
                bytes_in=visitor.bytes_in,
                bytes_out=visitor.bytes_out,
                seconds=self._context.loop.now() - visitor.opened_at,
                ended="silent" if reason == SILENT else "closed",
                by="visitor" if reason == SILENT else "server",
                reason=reason,
            )
        self._context.log.debug(
            "visitor %s %s after %.3f s: %d bytes in, %d bytes out",
            format_address(visitor.address),
            reason,
            self._context.loop.now() - visitor.opened_at,
            visitor.bytes_in,
            visitor.bytes_out,
        )
