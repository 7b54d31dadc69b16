"""What every proxy type on the server is, and what it may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from frpd.entropy import Entropy
from frpd.log import PrefixLogger
from frpd.metrics.access import ProxyAccess
from frpd.metrics.counters import ProxyCounters
from frpd.net.pipes import PipePool
from frpd.net.socket_store import SocketStore
from frpd.net.visitor_gate import VisitorGate
from frpd.relay.limiter import Limiter
from frpd.relay.relay import Relays
from frpd.selector_loop import SelectorLoop
from frpd.server.balancers import Balancers
from frpd.server.plugins.visitors import VisitorHook
from frpd.server.ports import PortManager
from frpd.server.vhost.hosts import VirtualHosts
from frpd.server.work_conns import WorkSource


class Proxy(Protocol):
    """One registered proxy."""

    name: str
    proxy_type: str
    counters: ProxyCounters

    @property
    def remote_addr(self) -> str:
        """What NewProxyResp tells the client, such as ``:6000``."""

    @property
    def ports_used(self) -> int:
        """How many of the client's ports it counts for."""

    def close(self) -> None:
        """Accept no visitors any more; those connected stay. Idempotent."""


@dataclass(frozen=True, slots=True)
class ProxyContext:
    """What a proxy may use of its client's session and the service."""

    loop: SelectorLoop
    entropy: Entropy
    log: PrefixLogger
    work_conns: WorkSource
    relays: Relays
    tcp_ports: PortManager
    udp_ports: PortManager
    bind_addr: str
    explain_taken_port: Callable[[str, int], None]
    """Finds out, without blocking, which process holds a port, and logs it."""
    cipher_key: bytes
    features: frozenset[str]
    """Of the session, see frpd.proto.native."""
    peer_version: str = ""
    """The client's, as it said at login: frp's number, such as ``0.21.0``."""
    peer_user: str = ""
    """The client's, as it said at login."""
    owner: str | None = None
    """The user with a section whose client it is; None if it is nobody's."""
    udp_packet_bytes: int = 1500
    """The largest datagram that is carried."""
    udp_session_seconds: float = 60.0
    """Silence after which a UDP visitor is forgotten."""
    udp_max_sessions: int = 1024
    """UDP visitors at a time; the one silent longest gives way."""
    nat_hole_port: int = 0
    """Of the server, where clients up to 0.48 ask for each other; 0 where there is none."""
    vhosts: VirtualHosts | None = None
    """The hosts that proxies share; None where there are none."""
    sockets: SocketStore = field(default_factory=SocketStore)
    """Where ports come from that were open before a restart, and where they are kept."""
    limiter: Limiter | None = None
    """Of all work connections of the proxy; None without a limit at this end."""
    pipes: PipePool | None = None
    """For relays that carry bulk; None to copy everything."""
    balancers: Balancers | None = None
    """Who may say that a visitor is another; None where nobody may."""
    counters: ProxyCounters = field(default_factory=ProxyCounters)
    """Of the proxy; they go on where it left off when it registers again."""
    visitor_hook: VisitorHook | None = None
    """Asks server plugins about visitors."""
    gate: VisitorGate | None = None
    """Says who may visit; None where everybody may."""
    access: ProxyAccess | None = None
    """Where visits that are over are told; None where nobody wants to know."""
