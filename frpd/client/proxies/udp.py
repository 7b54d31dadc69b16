"""udp proxies: one work stream, and a local socket for each visitor.

A visitor keeps its socket, and with it the port that the service sees, for as long as
something is heard of it, also when the work stream or the whole session is another one by
then.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Final

from frpd.client.proxies.base import ProxyContext
from frpd.client.proxies.gated import gate_of, has_gate
from frpd.client.proxies.work_leg import limited, open_work
from frpd.config.proxies import ProxyConfig
from frpd.errors import TransportError
from frpd.metrics.counters import ProxyCounters
from frpd.net.address import SockAddr, join_host_port
from frpd.net.endpoint import Buffer, Endpoint
from frpd.net.resolver import Addresses
from frpd.net.visitor_gate import Crowd, VisitorGate
from frpd.proto import native, proxy_protocol
from frpd.proto.message.types import StartWorkConn
from frpd.proto.udp_binary import MAX_DATAGRAM_BYTES, BinaryPackets
from frpd.selector_loop import Timer
from frpd.transports.work import WorkStream
from frpd.udp.datagram_socket import DatagramSocket, connect_udp
from frpd.udp.flows import Flow, FlowTable
from frpd.udp.go_packets import GoPackets, wraps_udp
from frpd.udp.packet_channel import PacketChannel, PacketFormat
from frpd.udp.traffic import Traffic

DATAGRAMS_PER_FLOW: Final = 32
"""In one turn, so that no flow starves the others."""
KEEPALIVE_SECONDS: Final = 30.0
COMPLAIN_EVERY_SECONDS: Final = 60.0
RESOLVE_AGAIN_SECONDS: Final = 60.0


class LocalFlow(Flow):
    """One visitor, and our socket towards the service."""

    __slots__ = ("_proxy", "name", "socket")

    def __init__(self, proxy: UdpProxy, name: bytes, sock: socket.socket) -> None:
        super().__init__()
        self.name = name
        self._proxy = proxy
        self.socket = DatagramSocket(proxy.loop, sock, self._readable)
        self.socket.read_on(wanted=True)

    def _readable(self) -> None:
        self._proxy.service_answered(self)


class UdpProxy:
    """Serves udp proxies. Loop thread only.

    Args:
        context: of the client.
        config: of this proxy.
        counters: where visitors are counted; None for new ones.
        on_lost: called when there is no work stream any more and nobody closed us.
    """

    def __init__(
        self,
        context: ProxyContext,
        config: ProxyConfig,
        counters: ProxyCounters | None = None,
        *,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.counters = ProxyCounters() if counters is None else counters
        self._on_lost = on_lost
        self.traffic = Traffic()
        self.loop = context.loop
        self._context = context
        self._config = config
        self._flows: FlowTable[bytes, LocalFlow] = FlowTable(
            context.loop,
            self._forget,
            idle_seconds=context.udp_session_seconds,
            limit=context.udp_max_sessions,
        )
        self._crowd = Crowd()
        is_gated = config.proxy_type == "udp" and has_gate(config)
        self._gate = gate_of(context, config, self._crowd) if is_gated else None
        self._channel = PacketChannel(context.loop, self.traffic, self._datagrams_came, self._lost)
        self._packets: type[PacketFormat] = BinaryPackets
        self._service: tuple[socket.AddressFamily, SockAddr] | None = None
        self._resolved_at = 0.0
        self._resolving = False
        self._awaits_address: tuple[Endpoint, PacketFormat, int] | None = None
        self._timer: Timer | None = None
        self._complained_at: float | None = None
        self._closed = False

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        """See ServesWork.on_work."""
        del start
        context = self._context
        features = context.features()
        endpoint: Endpoint | None
        if features or wraps_udp(context.server_version()):
            endpoint = open_work(context, self._config, work)
        else:
            endpoint = limited(context, work.endpoint)
        if endpoint is None:
            return
        is_binary = native.UDP_BINARY in features
        if is_binary:
            self.serve(endpoint, BinaryPackets, MAX_DATAGRAM_BYTES)
        else:
            self.serve(endpoint, GoPackets, context.udp_packet_bytes)

    def serve(self, endpoint: Endpoint, packets: type[PacketFormat], limit_bytes: int) -> None:
        """Take the datagrams of this stream from now on.

        Args:
            endpoint: plain bytes; owned from now on.
            packets: what it speaks.
            limit_bytes: longer datagrams are not for the other end.
        """
        self._packets = packets
        self._drop_waiting()
        self._channel.close()
        self._awaits_address = (endpoint, packets(), limit_bytes)
        if self._service is None:
            self._resolve()
        else:
            self._attach()

    def retire(self) -> None:
        """See ServesWork.retire: the server has ended the one work connection."""
        self.close()

    def close(self) -> None:
        """See ServesWork.close."""
        if self._closed:
            return
        self._closed = True
        self._stop_timer()
        self._drop_waiting()
        self._channel.close()
        self._flows.clear("the proxy was closed")
        self._context.log.info("closed: %s", self.traffic.describe())

    def service_answered(self, flow: LocalFlow) -> None:
        """A local socket can be read."""
        sock, put = flow.socket, self._channel.put
        receive, scratch, name = sock.receive, sock.scratch, flow.name
        datagrams = total = 0
        long_before = self.traffic.dropped_long
        for _ in range(DATAGRAMS_PER_FLOW):
            size = receive()
            if size is None:
                break
            if put(name, scratch[:size]):
                datagrams += 1
                total += size
        if sock.refused:
            self._refused(sock)
        if self.traffic.dropped_long != long_before:
            self._complain("answers longer than the server takes (udp_packet_size) are dropped")
        if datagrams:
            self._channel.flush()
            self._flows.find(name)
            flow.bytes_out += total
            self.traffic.datagrams_out += datagrams
            self.traffic.bytes_out += total
            self.counters.bytes_out += total

    # The work stream.

    def _attach(self) -> None:
        if self._awaits_address is not None:
            endpoint, packets, limit = self._awaits_address
            self._awaits_address = None
            self._channel.attach(endpoint, packets, limit)
            self._arm()

    def _drop_waiting(self) -> None:
        if self._awaits_address is not None:
            self._awaits_address[0].abort()
            self._awaits_address = None

    def _lost(self, reason: str) -> None:
        self._stop_timer()
        self._context.log.info("work connection lost: %s", reason)
        self._on_lost()

    def _arm(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(KEEPALIVE_SECONDS, self._keep_alive)

    def _keep_alive(self) -> None:
        self._channel.keep_alive()
        self._arm()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # The service.

    def _resolve(self) -> None:
        if not self._resolving:
            self._resolving = True
            config = self._config
            self._context.connector.resolver.resolve(
                config.local_ip, config.local_port, self._resolved, self._unresolved
            )

    def _resolved(self, addresses: Addresses) -> None:
        self._resolving = False
        if not addresses:
            self._unresolved(TransportError(f"lookup {self._config.local_ip}: no address"))
        elif not self._closed:
            # Nothing tells whether the service takes datagrams, so there is no second try.
            # Services mean IPv4 when they say localhost, and Go's clients try that first too.
            addresses.sort(key=lambda address: address[0] != socket.AF_INET)
            self._service = addresses[0]
            self._resolved_at = self.loop.now()
            self._attach()

    def _unresolved(self, error: TransportError) -> None:
        self._resolving = False
        self._resolved_at = self.loop.now()  # the old one will do for another while
        self._complain(str(error))
        if self._awaits_address is not None:
            self._drop_waiting()
            self._on_lost()

    def _open(self, name: bytes) -> LocalFlow | None:
        """Make a socket for a visitor; None if there is no way to the service."""
        if self._service is None:
            return None
        if self.loop.now() - self._resolved_at >= RESOLVE_AGAIN_SECONDS:
            self._resolve()
        try:
            sock = connect_udp(*self._service)
        except OSError as error:
            where = join_host_port(self._config.local_ip, self._config.local_port)
            self._complain(f"dial udp {where}: {(error.strerror or str(error)).lower()}")
            return None
        flow = LocalFlow(self, name, sock)
        self._flows.add(name, flow)
        self.counters.opened()
        self._context.log.debug("new visitor %s", self._packets.describe_visitor(name))
        return flow

    def _forget(self, flow: LocalFlow, reason: str) -> None:
        flow.socket.close()
        self.counters.closed(0, 0)  # bytes were counted as they came
        self._context.log.debug(
            "a visitor %s after %.3f s: %d bytes in, %d bytes out",
            reason,
            self.loop.now() - flow.opened_at,
            flow.bytes_in,
            flow.bytes_out,
        )

    def _datagrams_came(self, found: dict[bytes, list[Buffer]]) -> None:
        traffic = self.traffic
        for name, datagrams in found.items():
            flow, size = self._flows.find(name), sum(map(len, datagrams))
            if flow is None:
                if self._gate is not None and self._is_refused(self._gate, name):
                    traffic.dropped_refused += len(datagrams)
                    continue
                flow = self._open(name)
                if flow is None:
                    traffic.dropped_unsent += len(datagrams)
                    continue
                if self._config.proxy_protocol_version:
                    datagrams[0] = self._header(name) + bytes(datagrams[0])
            sent = flow.socket.send(datagrams)
            flow.bytes_in += size
            traffic.bytes_in += size
            self.counters.bytes_in += size
            traffic.datagrams_in += sent
            traffic.dropped_unsent += len(datagrams) - sent
            if flow.socket.refused:
                self._refused(flow.socket)

    def _header(self, name: bytes) -> bytes:
        """Return what the service is told of a visitor, ahead of its first datagram."""
        assert self._service is not None
        host, port = self._address_of(name)
        with contextlib.suppress(ValueError, struct.error):  # names are the server's
            return proxy_protocol.encode(
                self._config.proxy_protocol_version,
                (host, int(port)),
                self._service[1][:2],
                datagram=True,
            )
        return b""

    def _is_refused(self, gate: VisitorGate, name: bytes) -> bool:
        """Whether a visitor may not come in; a server of ours has let it."""
        if self._context.features():
            return False
        self._crowd.present = len(self._flows)
        refusal = gate.refusal(self._address_of(name)[0])
        if refusal is None:
            gate.enter()
            return False
        gate.turned_away(refusal, self._packets.describe_visitor(name))
        return True

    def _address_of(self, name: bytes) -> tuple[str, str]:
        """Return host and port of a visitor, as the server has them."""
        host, _, port = self._packets.describe_visitor(name).rpartition(":")
        return host.strip("[]"), port

    def _refused(self, sock: DatagramSocket) -> None:
        where = join_host_port(self._config.local_ip, self._config.local_port)
        self._complain(f"local service refused: {where} takes no datagrams")
        self.traffic.refused += sock.refused
        sock.refused = 0

    def _complain(self, text: str) -> None:
        now = self.loop.now()
        if self._complained_at is None or now - self._complained_at >= COMPLAIN_EVERY_SECONDS:
            self._complained_at = now
            self._context.log.warning("%s", text)
