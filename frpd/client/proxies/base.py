"""What every proxy type and every plugin on the client is, and what it may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from frpd.client.nathole.generation import HoleContext, Signalling
from frpd.entropy import Entropy
from frpd.log import PrefixLogger
from frpd.metrics.counters import ProxyCounters
from frpd.net.connector import Connector
from frpd.net.pipes import PipePool
from frpd.proto.message.types import StartWorkConn
from frpd.relay.limiter import Limiter
from frpd.relay.relay import Relays
from frpd.selector_loop import SelectorLoop
from frpd.transports.work import WorkStream


class ServesWork(Protocol):
    """What a proxy does with a work connection."""

    counters: ProxyCounters

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        """Take over a work connection that the server gave to this proxy."""

    def retire(self) -> None:
        """Finish what is under way, and begin nothing more: these settings hold no longer."""

    def close(self) -> None:
        """Give up what is not a relay yet. Idempotent."""


@dataclass(frozen=True, slots=True)
class ProxyContext:
    """What a proxy may use of the client."""

    loop: SelectorLoop
    entropy: Entropy
    connector: Connector
    relays: Relays
    log: PrefixLogger
    cipher_key: bytes
    features: Callable[[], frozenset[str]]
    """Of the session with the server, see frpd.proto.native."""
    server_version: Callable[[], str] = str
    """What the server said it is, frp's number such as ``0.21.0``; "" before login."""
    name: str = ""
    """Of the proxy, with the user's prefix."""
    udp_packet_bytes: int = 1500
    """The largest datagram that is carried."""
    udp_session_seconds: float = 60.0
    """Silence after which a UDP visitor is forgotten."""
    udp_max_sessions: int = 1024
    """UDP visitors at a time; the one silent longest gives way."""
    limiter: Limiter | None = None
    """Of all work connections of the proxy; None without a limit at this end."""
    pipes: PipePool | None = None
    """For relays that carry bulk; None to copy everything."""
    holes: HoleContext | None = None
    """For who punches; None in a client that cannot."""
    session: Callable[[], Signalling | None] = lambda: None
    """The session with the server, if there is one."""
