"""Snapshots of a client: frozen copies that other threads may read.

They are made on the loop, in steps between which it may do other things, and hold values
only. Times are Unix seconds. No secret is copied.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from frpd.clock import unix_time
from frpd.net.address import join_host_port

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from frpd.client.history import SessionEvent
    from frpd.client.proxy_table import ProxyEntry
    from frpd.client.service import Service
    from frpd.client.visitors.table import VisitorEntry
    from frpd.net.stream import SocketEnds
    from frpd.relay.relay import Progress
    from frpd.selector_loop import SelectorLoop

T = TypeVar("T")
if TYPE_CHECKING:
    Steps = Generator[None, None, T]

Live = tuple[int, int]
NOTHING: Live = (0, 0)


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """How things stand with the server; see SessionFacts.

    Attributes:
        address: of the server, as configured.
        protocol: what carries the connection.
        retry_in_seconds: until the next attempt, if one is waited for.
        rtt_ms: round trip of the connection, as far as the kernel says.
        retransmits: what TCP had to send once more.
    """

    address: str
    protocol: str
    tls: bool
    is_connected: bool
    since: float | None
    retry_in_seconds: float | None
    run_id: str
    server_version: str
    features: tuple[str, ...]
    is_sealed: bool
    logins: int
    last_error: str
    rtt_ms: float | None
    retransmits: int | None
    history: tuple[SessionEvent, ...]


@dataclass(frozen=True, slots=True)
class ProxySnapshot:
    """One proxy.

    Attributes:
        name: with the user's prefix.
        phase: in frp's words.
        error: the server's words.
        since: when it entered its phase; None before the first session.
        retry_in_seconds: until it is asked for again, if that is so.
        remote_addr: where visitors find it, as far as the server said.
        wanted_port: at the server; 0 for any, or for a type without one.
        local_addr: of the service; "" where a plugin serves.
    """

    name: str
    proxy_type: str
    phase: str
    error: str
    since: float | None
    retry_in_seconds: float | None
    remote_addr: str
    wanted_port: int
    local_addr: str
    plugin: str
    connections_open: int
    connections_total: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class VisitorSnapshot:
    """One visitor; ``phase`` is "" for a type that is not served."""

    name: str
    visitor_type: str
    phase: str
    error: str
    bind_addr: str
    server_name: str
    connections_open: int
    connections_total: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class ClientSnapshot:
    """A client at one moment, proxies and visitors in order of names."""

    taken_at: float
    started_at: float
    session: SessionSnapshot
    proxies: tuple[ProxySnapshot, ...]
    visitors: tuple[VisitorSnapshot, ...]


@dataclass(frozen=True, slots=True)
class Connection:
    """One user of a proxy or visitor whose bytes are passed on.

    Attributes:
        source: who it is, as far as the server said.
        socket: to the service of a proxy, from the user of a visitor; None if it is not of TCP.
    """

    proxy: str
    source: str
    since: float
    age_seconds: float
    bytes_in: int
    bytes_out: int
    socket: SocketEnds | None


@dataclass(frozen=True, slots=True)
class Connections:
    """What runs: the oldest first, and how many there are of what was asked for."""

    total: int
    listed: tuple[Connection, ...]


def take_snapshot(service: Service, loop: SelectorLoop) -> Steps[ClientSnapshot]:
    """Return a copy of what is known, in the end. Loop thread only."""
    live = yield from _live_bytes(service)
    now, loop_now = unix_time(), loop.now()
    proxies, visitors = [], []
    for name, entry in sorted(service.table.entries.items()):
        proxies.append(_proxy(entry, live.get(name, NOTHING), now, loop_now))
        yield
    for name, visitor in sorted(service.visitors.entries.items()):
        visitors.append(_visitor(visitor, live.get(name, NOTHING)))
        yield
    session = _session(service, now, loop_now)
    return ClientSnapshot(now, service.started_at, session, tuple(proxies), tuple(visitors))


def take_connections(
    service: Service, loop: SelectorLoop, *, limit: int, proxy: str = ""
) -> Steps[Connections]:
    """Return what runs, in the end; of one proxy or visitor if one is named. Loop thread only."""
    wanted = []
    for relay in list(service.relays):
        one = relay.progress()
        if proxy in ("", one.owner):
            wanted.append((one, relay))
        yield
    listed = []
    now, loop_now = unix_time(), loop.now()
    for one, relay in heapq.nsmallest(limit, wanted, key=lambda found: found[0].begun):
        listed.append(_connection(one, relay.socket(), now, loop_now))
        yield
    return Connections(len(wanted), tuple(listed))


def _connection(
    one: Progress, socket: SocketEnds | None, now: float, loop_now: float
) -> Connection:
    age = loop_now - one.begun
    since = round(now - age, 1)
    return Connection(one.owner, one.source, since, age, one.bytes_in, one.bytes_out, socket)


def _live_bytes(service: Service) -> Steps[Mapping[str, Live]]:
    found = []
    for relay in list(service.relays):
        found.append((relay, relay.progress()))
        yield
    live: dict[str, Live] = {}
    for relay, one in found:
        if relay in service.relays:  # the counters have the bytes of those that have ended
            bytes_in, bytes_out = live.get(one.owner, NOTHING)
            live[one.owner] = bytes_in + one.bytes_in, bytes_out + one.bytes_out
    return live


def _session(service: Service, now: float, loop_now: float) -> SessionSnapshot:
    config, facts = service.config, service.session_facts()
    return SessionSnapshot(
        address=join_host_port(config.server_addr, config.server_port),
        protocol=config.protocol,
        tls=config.has_tls,
        is_connected=facts.is_connected,
        since=None if facts.since is None else round(now + facts.since - loop_now, 1),
        retry_in_seconds=_until(facts.retry_at, loop_now),
        run_id=facts.run_id,
        server_version=facts.server_version,
        features=tuple(sorted(facts.features)),
        is_sealed=facts.is_sealed,
        logins=facts.logins,
        last_error=facts.last_error,
        rtt_ms=None if facts.tcp is None else facts.tcp.rtt_ms,
        retransmits=None if facts.tcp is None else facts.tcp.retransmits,
        history=facts.history,
    )


def _proxy(entry: ProxyEntry, live: Live, now: float, loop_now: float) -> ProxySnapshot:
    config = entry.config
    counters = None if entry.server is None else entry.server.counters
    local = "" if config.plugin else join_host_port(config.local_ip, config.local_port)
    return ProxySnapshot(
        name=config.name,
        proxy_type=config.proxy_type,
        phase=entry.phase.value,
        error=entry.error,
        since=round(now + entry.since - loop_now, 1) if entry.since else None,
        retry_in_seconds=_until(entry.retry_at, loop_now) if entry.awaits_retry else None,
        remote_addr=entry.remote_addr,
        wanted_port=getattr(config, "remote_port", 0),
        local_addr=local,
        plugin=config.plugin,
        connections_open=0 if counters is None else counters.connections_open,
        connections_total=0 if counters is None else counters.connections_total,
        bytes_in=0 if counters is None else counters.bytes_in + live[0],
        bytes_out=0 if counters is None else counters.bytes_out + live[1],
    )


def _visitor(entry: VisitorEntry, live: Live) -> VisitorSnapshot:
    config, visitor = entry.config, entry.visitor
    counters = None if visitor is None else visitor.counters
    return VisitorSnapshot(
        name=config.name,
        visitor_type=config.visitor_type,
        phase="" if visitor is None else visitor.phase.value,
        error="" if visitor is None else visitor.error,
        bind_addr=join_host_port(config.bind_addr, config.bind_port),
        server_name=config.server_name,
        connections_open=0 if counters is None else counters.connections_open,
        connections_total=0 if counters is None else counters.connections_total,
        bytes_in=0 if counters is None else counters.bytes_in + live[0],
        bytes_out=0 if counters is None else counters.bytes_out + live[1],
    )


def _until(when: float | None, loop_now: float) -> float | None:
    return None if when is None else max(0.0, when - loop_now)
