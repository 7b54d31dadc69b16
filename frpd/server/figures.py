"""ServerFigures: what a server holds, and what it has refused; plain numbers, a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frpd.server.proxies.udp import UdpProxy

if TYPE_CHECKING:
    from frpd.net.pipes import PipePool
    from frpd.proto.yamux.window import WindowBudget
    from frpd.server.door import Door
    from frpd.server.guard.clients import ClientGuard
    from frpd.server.proxies.base import Proxy
    from frpd.server.visitor_gates import VisitorGates
    from frpd.workers import WorkerPool


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """One moment.

    Attributes:
        pending: connections that have not logged in yet.
        refused_late: those that did not in time.
        refused_crowded: those that were pushed out by others.
        turned_away: clients, and what came too fast, that nothing was read of; by reason.
        penalties: sources that something is held against.
        jobs_waiting: for a worker thread.
        jobs_busy: that have one.
        pipe_bytes: of pipes for payload.
        pipe_refusals: times that there was none to lend.
        window_left: bytes that streams' windows may still grow by.
        dropped: datagrams by proxy and reason.
        visitors: who are connected by a proxy that passes their bytes on, or to the http port.
        visitors_limit: how many those may be.
        refused_visitors: how many may not come in, by proxy and reason.
    """

    pending: int
    refused_late: int
    refused_crowded: int
    turned_away: Mapping[str, int]
    penalties: int
    jobs_waiting: int
    jobs_busy: int
    pipe_bytes: int
    pipe_refusals: int
    window_left: int
    dropped: Mapping[str, Mapping[str, int]]
    visitors: int
    visitors_limit: int
    refused_visitors: Mapping[str, Mapping[str, int]]


def take_figures(
    doors: Sequence[Door | None],
    pool: WorkerPool,
    pipes: PipePool,
    windows: WindowBudget,
    *,
    guard: ClientGuard,
    proxies: Mapping[str, Proxy],
    gates: VisitorGates,
) -> ServerFigures:
    """Return a copy; one of the doors may not be there. Loop thread only."""
    there = [door for door in doors if door is not None]
    return ServerFigures(
        pending=sum(door.pending for door in there),
        refused_late=sum(door.refused_late for door in there),
        refused_crowded=sum(door.refused_crowded for door in there),
        turned_away=guard.refused,
        penalties=len(guard.penalties),
        jobs_waiting=pool.depth,
        jobs_busy=pool.busy,
        pipe_bytes=pipes.bytes_in_use,
        pipe_refusals=pipes.refused,
        window_left=windows.left,
        dropped={
            name: {
                "long": proxy.traffic.dropped_long,
                "blocked": proxy.traffic.dropped_blocked,
                "unknown": proxy.traffic.dropped_unknown,
                "unsent": proxy.traffic.dropped_unsent,
                "refused": proxy.traffic.dropped_refused,
            }
            for name, proxy in proxies.items()
            if isinstance(proxy, UdpProxy)
        },
        visitors=gates.total.present,
        visitors_limit=gates.limit,
        refused_visitors=gates.refused(),
    )
