"""VisitedPort: a bound UDP port, who talks to it, and the channel that their datagrams take.

While there is no channel the port is not read: what comes then waits in the kernel's buffer.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from frpd.log import PrefixLogger
from frpd.net.address import SockAddr, format_address, host_of
from frpd.net.endpoint import Buffer, Endpoint
from frpd.net.visitor_gate import VisitorGate
from frpd.selector_loop import SelectorLoop
from frpd.udp.datagram_socket import NO_ANCILLARY, Ancillary, DatagramSocket, answer_via
from frpd.udp.flows import Flow, FlowTable
from frpd.udp.packet_channel import OnLost, PacketChannel, PacketFormat
from frpd.udp.traffic import Counts, Traffic

DATAGRAMS_PER_TURN: Final = 128
BYTES_PER_TURN: Final = 512 * 1024
MAX_DROPPED_PER_CALL: Final = 1024
COMPLAIN_EVERY_SECONDS: Final = 60.0


class Visitor(Flow):
    """One address that datagrams came from."""

    __slots__ = ("address", "ancillary", "name", "via")

    def __init__(self, address: SockAddr, name: bytes) -> None:
        super().__init__()
        self.address = address
        self.name = name
        self.ancillary: Ancillary = NO_ANCILLARY
        self.via: Ancillary = NO_ANCILLARY


class VisitedPort:
    """Visitors of one port. Loop thread only.

    Args:
        loop: the loop.
        sock: bound; owned from now on.
        packets: how datagrams look on the channel.
        counters: what passes is counted there.
        session_seconds: silence after which a visitor is forgotten.
        max_sessions: visitors at a time; the one silent longest gives way.
        log: of whoever the port belongs to.
        on_lost: see PacketChannel.
        on_forgotten: called with each visitor that is over, and why.
        gate: says who may be a visitor; None where everybody may.

    Attributes:
        traffic: datagrams by where they went.
        channel: to the other end; give it its stream by attach().
    """

    def __init__(
        self,
        loop: SelectorLoop,
        sock: socket.socket,
        *,
        packets: type[PacketFormat],
        counters: Counts,
        session_seconds: float,
        max_sessions: int,
        log: PrefixLogger,
        on_lost: OnLost,
        on_forgotten: Callable[[Visitor, str], None] | None = None,
        gate: VisitorGate | None = None,
    ) -> None:
        self.traffic = Traffic()
        self.channel = PacketChannel(loop, self.traffic, self._answers_came, self._lost)
        self._loop = loop
        self._packets = packets
        self._counters = counters
        self._log = log
        self._on_lost = on_lost
        self._on_forgotten = on_forgotten
        self._gate = gate
        self._on_wanted: Callable[[], None] | None = None
        self._flows: FlowTable[SockAddr, Visitor] = FlowTable(
            loop, self._forget, idle_seconds=session_seconds, limit=max_sessions
        )
        self._by_name: dict[bytes, Visitor] = {}
        self._said_long = 0
        self._said_long_at: float | None = None
        self._socket = DatagramSocket(loop, sock, self._readable)

    def describe(self) -> str:
        """Return its address."""
        return self._socket.describe()

    def attach(self, endpoint: Endpoint, limit_bytes: int) -> None:
        """Pass datagrams through this stream from now on; see PacketChannel.attach."""
        self.channel.attach(endpoint, self._packets(), limit_bytes)
        self._socket.on_readable = self._readable
        self._socket.read_on(wanted=True)

    def when_wanted(self, call: Callable[[], None]) -> None:
        """Call this once, when datagrams wait for a channel."""
        self._on_wanted = call
        self._socket.on_readable = self._wanted
        self._socket.read_on(wanted=True)

    def drop_waiting(self) -> None:
        """Forget what waits for a channel that cannot be had."""
        for _ in range(MAX_DROPPED_PER_CALL):
            if self._socket.receive_from() is None:
                return
            self.traffic.dropped_blocked += 1

    def give_up(self, reason: str) -> None:
        """Drop the stream as if the other end had gone."""
        self.channel.abort()
        self._lost(reason)

    def close(self) -> None:
        """Free the port, close the channel and forget the visitors."""
        self._socket.close()
        self.channel.close()
        self._flows.clear("the proxy was closed")
        self._log.info("closed: %s", self.traffic.describe())

    def _lost(self, reason: str) -> None:
        self._log.info("work connection lost: %s", reason)
        self._socket.read_on(wanted=False)
        self._on_lost(reason)

    def _wanted(self) -> None:
        self._socket.read_on(wanted=False)
        call, self._on_wanted = self._on_wanted, None
        if call is not None:
            call()

    # Datagrams.

    def _readable(self) -> None:
        receive, scratch = self._socket.receive_from, self._socket.scratch
        find, put = self._flows.find, self.channel.put
        datagrams = total = 0
        for _ in range(DATAGRAMS_PER_TURN):
            received = receive()
            if received is None:
                break
            size, ancillary, _, address = received
            visitor = find(address) or self._enter(address)
            if visitor is None:
                continue
            if ancillary != visitor.ancillary:
                visitor.ancillary, visitor.via = ancillary, answer_via(ancillary)
            if put(visitor.name, scratch[:size]):
                visitor.bytes_in += size
                datagrams += 1
                total += size
            if total >= BYTES_PER_TURN:
                break
        self.channel.flush()
        self.traffic.datagrams_in += datagrams
        self.traffic.bytes_in += total
        self._counters.bytes_in += total
        if self.traffic.dropped_long != self._said_long:
            self._say_long()

    def _say_long(self) -> None:
        now = self._loop.now()
        if self._said_long_at is None or now - self._said_long_at >= COMPLAIN_EVERY_SECONDS:
            self._said_long = self.traffic.dropped_long
            self._said_long_at = now
            self._log.warning(
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
            self._counters.bytes_out += size
            traffic.datagrams_out += sent
            traffic.dropped_unsent += len(datagrams) - sent

    # Visitors.

    def _enter(self, address: SockAddr) -> Visitor | None:
        """Return a new visitor; None if it may not come in."""
        host, _, _ = host_of(address).partition("%")
        gate = self._gate
        if gate is not None:
            refusal = gate.refusal(host)
            if refusal is not None:
                self.traffic.dropped_refused += 1
                gate.turned_away(refusal, format_address(address))
                return None
            gate.enter()
        scope = address[3] if len(address) == 4 else 0
        visitor = Visitor(address, self._packets.name_visitor(host, address[1], scope))
        self._flows.add(address, visitor)
        self._by_name[visitor.name] = visitor
        self._counters.opened()
        return visitor

    def _forget(self, visitor: Visitor, reason: str) -> None:
        if self._by_name.get(visitor.name) is visitor:
            del self._by_name[visitor.name]
        self._counters.closed(0, 0)  # bytes were counted as they came
        if self._gate is not None:
            self._gate.left()
        if self._on_forgotten is not None:
            self._on_forgotten(visitor, reason)
        self._log.debug(
            "visitor %s %s after %.3f s: %d bytes in, %d bytes out",
            format_address(visitor.address),
            reason,
            self._loop.now() - visitor.opened_at,
            visitor.bytes_in,
            visitor.bytes_out,
        )
