"""Snapshots of a server: frozen copies that other threads may read.

They are made on the loop and hold values only: nothing of them changes any more, and
nothing of the server hangs on them. Times are Unix seconds. No secret is copied.

Making one takes milliseconds where there are hundreds of proxies and thousands of
visitors. So it is done in steps, between which the loop may do other things.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from frpd.clock import unix_time

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from frpd.metrics.client_book import ClientRecord
    from frpd.metrics.statistics import ProxyFigures
    from frpd.net.stream import SocketEnds
    from frpd.proto.message.types import NewProxy
    from frpd.relay.relay import Progress
    from frpd.selector_loop import SelectorLoop
    from frpd.server.control import ControlSession
    from frpd.server.service import Service

T = TypeVar("T")
if TYPE_CHECKING:
    Steps = Generator[None, None, T]

GONE: Final = "gone"


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """What a registered proxy was asked for with, as far as everybody may know it."""

    remote_port: int
    use_encryption: bool
    use_compression: bool
    bandwidth_limit: str
    bandwidth_limit_mode: str
    group: str
    domains: tuple[str, ...]
    subdomain: str
    locations: tuple[str, ...]
    host_header_rewrite: str
    route_by_http_user: str
    multiplexer: str
    metas: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ProxySnapshot:
    """One proxy; ``settings`` is None when it is gone."""

    figures: ProxyFigures
    user: str
    remote_addr: str
    settings: ProxySettings | None


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """What is known of a client while it is connected.

    Attributes:
        address: with its port.
        since: when it logged in.
        layers: what its connection is wrapped in, from the outside in.
        features: see frpd.proto.native.
        proxies: their names.
        socket: of the connection that it logged in on; None if it is just being lost.
    """

    os: str
    arch: str
    address: str
    since: float
    layers: tuple[str, ...]
    features: tuple[str, ...]
    is_mux: bool
    is_sealed: bool
    proxies: tuple[str, ...]
    connections_open: int
    socket: SocketEnds | None


@dataclass(frozen=True, slots=True)
class ClientSnapshot:
    """One client; ``session`` is None when it is gone."""

    record: ClientRecord
    session: SessionSnapshot | None


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """A server at one moment. Lists are in order of names; days begin with today."""

    taken_at: float
    started_at: float
    proxies: tuple[ProxySnapshot, ...]
    clients: tuple[ClientSnapshot, ...]
    total_in: tuple[int, ...]
    total_out: tuple[int, ...]

    @property
    def clients_online(self) -> int:
        """How many clients are connected."""
        return sum(client.session is not None for client in self.clients)

    @property
    def connections_open(self) -> int:
        """Visitors connected now."""
        return sum(proxy.figures.connections_open for proxy in self.proxies)

    def count_by_type(self) -> dict[str, int]:
        """Return how many proxies of each type are registered; types that were stay, with 0."""
        counts: dict[str, int] = {}
        for proxy in self.proxies:
            figures = proxy.figures
            counts[figures.proxy_type] = counts.get(figures.proxy_type, 0) + figures.is_online
        return counts


@dataclass(frozen=True, slots=True)
class Connection:
    """One visitor whose bytes are passed on; ``socket`` is None if it came by another client."""

    proxy: str
    proxy_type: str
    run_id: str
    visitor: str
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


def take_snapshot(service: Service, loop: SelectorLoop) -> Steps[ServerSnapshot]:
    """Return a copy of what is known, in the end. Loop thread only."""
    books = service.books
    yield from books.sample()
    now = unix_time()
    total_in, total_out = books.statistics.total(now)
    clock_offset = now - loop.now()
    proxies, clients = [], []
    for figures in books.statistics.figures(now):
        proxies.append(_proxy(service, figures))
        yield
    for record in list(books.clients.records()):
        clients.append(ClientSnapshot(record, _session(service, record.run_id, clock_offset)))
        yield
    return ServerSnapshot(
        taken_at=now,
        started_at=books.started_at,
        proxies=tuple(sorted(proxies, key=lambda proxy: proxy.figures.name)),
        clients=tuple(sorted(clients, key=lambda one: (one.record.user, one.record.run_id))),
        total_in=total_in,
        total_out=total_out,
    )


def take_connections(
    service: Service, loop: SelectorLoop, *, limit: int, proxy: str = "", run_id: str = ""
) -> Steps[Connections]:
    """Return what runs, in the end; of one proxy or client if one is named. Loop thread only."""
    wanted = []
    for relay in list(service.relays):
        one = relay.progress()
        if proxy in ("", one.owner) and run_id in ("", service.books.owner(one.owner)):
            wanted.append((one, relay))
        yield
    listed = []
    now, loop_now = unix_time(), loop.now()
    for one, relay in heapq.nsmallest(limit, wanted, key=lambda found: found[0].begun):
        listed.append(_connection(service, one, relay.socket(), now, loop_now))
        yield
    return Connections(len(wanted), tuple(listed))


def _connection(
    service: Service, one: Progress, socket: SocketEnds | None, now: float, loop_now: float
) -> Connection:
    proxy = service.proxies.get(one.owner)
    age = loop_now - one.begun
    return Connection(
        proxy=one.owner,
        proxy_type=GONE if proxy is None else proxy.proxy_type,
        run_id=service.books.owner(one.owner),
        visitor=one.source,
        since=round(now - age, 1),
        age_seconds=age,
        bytes_in=one.bytes_in,
        bytes_out=one.bytes_out,
        socket=socket,
    )


def _proxy(service: Service, figures: ProxyFigures) -> ProxySnapshot:
    proxy = service.proxies.get(figures.name)
    request = service.books.requests.get(figures.name)
    control = service.controls.get(figures.run_id)
    return ProxySnapshot(
        figures=figures,
        user="" if control is None else control.login.user,
        remote_addr="" if proxy is None else proxy.remote_addr,
        settings=None
        if proxy is None or request is None
        else _settings(request, proxy.remote_addr),
    )


def _settings(request: NewProxy, remote_addr: str) -> ProxySettings:
    port = remote_addr.removeprefix(":")
    return ProxySettings(
        remote_port=int(port) if port.isdecimal() else 0,
        use_encryption=request.use_encryption,
        use_compression=request.use_compression,
        bandwidth_limit=request.bandwidth_limit,
        bandwidth_limit_mode=request.bandwidth_limit_mode,
        group=request.group,
        domains=tuple(request.custom_domains),
        subdomain=request.subdomain,
        locations=tuple(request.locations),
        host_header_rewrite=request.host_header_rewrite,
        route_by_http_user=request.route_by_http_user,
        multiplexer=request.multiplexer,
        metas=dict(request.metas),
        annotations=dict(request.annotations),
    )


def _session(service: Service, run_id: str, clock_offset: float) -> SessionSnapshot | None:
    control: ControlSession | None = service.controls.get(run_id)
    if control is None:
        return None
    login, connection = control.login, control.connection
    return SessionSnapshot(
        os=login.os,
        arch=login.arch,
        address=connection.peer,
        since=round(control.since + clock_offset, 1),
        layers=tuple(connection.layers),
        features=tuple(sorted(control.features)),
        is_mux=connection.is_mux,
        is_sealed=control.is_sealed,
        proxies=tuple(sorted(control.proxies)),
        connections_open=sum(proxy.counters.connections_open for proxy in control.proxies.values()),
        socket=connection.ends(),
    )
