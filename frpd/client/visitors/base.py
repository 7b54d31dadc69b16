"""What every visitor type on the client is, and what it may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from frpd.client.nathole.generation import HoleContext, Signalling
from frpd.client.proxy_table import Phase
from frpd.entropy import Entropy
from frpd.log import PrefixLogger
from frpd.metrics.counters import ProxyCounters
from frpd.net.pipes import PipePool
from frpd.proto.seal_session import SessionSeal
from frpd.relay.relay import Relays
from frpd.selector_loop import SelectorLoop
from frpd.transports.base import OnEndpoint, OnFailed
from frpd.workers import WorkerPool


class Session(Signalling, Protocol):
    """A session with the server, as far as visitors need one."""

    run_id: str
    seal: SessionSeal | None

    def open_stream(self, on_open: OnEndpoint, on_failed: OnFailed) -> None:
        """Open one frp stream; exactly one of the two is called, unless the session ends."""


class Visitor(Protocol):
    """One visitor of the configuration."""

    counters: ProxyCounters
    phase: Phase
    """NEW and CLOSED without a session, START_ERROR while its port cannot be had."""
    error: str

    def start(self, session: Session) -> None:
        """There is a session: take users."""

    def stop(self) -> None:
        """Take none any more, and send those away who wait; others stay. Idempotent."""

    def close(self) -> None:
        """Stop for good. Idempotent."""


@dataclass(frozen=True, slots=True)
class VisitorContext:
    """What a visitor may use of the client."""

    loop: SelectorLoop
    pool: WorkerPool
    entropy: Entropy
    relays: Relays
    log: PrefixLogger
    udp_packet_bytes: int = 1500
    """The largest datagram that is carried."""
    udp_session_seconds: float = 60.0
    """Silence after which a UDP user is forgotten."""
    udp_max_sessions: int = 1024
    """UDP users at a time; the one silent longest gives way."""
    pipes: PipePool | None = None
    """For relays that carry bulk; None to copy everything."""
    holes: HoleContext | None = None
    """For who punches; None in a client that cannot."""
    find: Callable[[str], Visitor | None] = lambda _section: None
    """Finds another visitor by the name of its section."""
