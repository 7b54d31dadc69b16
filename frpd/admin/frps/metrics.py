"""Metrics of frps: frp's names and labels, then ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from frpd.admin.frps.desk import ServerDesk
from frpd.admin.machine import Machine
from frpd.admin.metrics import counter, gauge, loop_figures, one, process, program, untyped
from frpd.metrics.statistics import ProxyFigures
from frpd.server.figures import ServerFigures
from frpd.server.snapshot import ServerSnapshot

NAME_TYPE: Final = ("name", "type")


def families(desk: ServerDesk, machine: Machine) -> Iterator[Metric]:
    """Yield all of them, of one moment."""
    snapshot = desk.snapshot()
    loop, figures = desk.calls.ask(lambda: (loop_figures(desk.loop), desk.service.figures()))
    yield from _of_frp(snapshot)
    yield from program("frps", snapshot.started_at, snapshot.taken_at)
    yield from loop()
    yield from process(machine)
    yield from _proxies(snapshot)
    yield from _held(figures, desk.service.config.window_budget_bytes)


def _of_frp(snapshot: ServerSnapshot) -> Iterator[Metric]:
    """Its texts too, so that a dashboard finds what it knows."""
    proxies = [proxy.figures for proxy in snapshot.proxies]
    clients = snapshot.clients_online
    yield one("frp_server_client_counts", "The current client counts of frps", clients)
    counts = [((kind,), number) for kind, number in snapshot.count_by_type().items()]
    yield gauge("frp_server_proxy_counts", "The current proxy counts", counts, ("type",))
    yield gauge(
        "frp_server_proxy_counts_detailed",
        "The current number of proxies grouped by type and name",
        [((each.proxy_type, each.name), each.is_online) for each in proxies],
        ("type", "name"),
    )
    yield gauge(
        "frp_server_connection_counts",
        "The current connection counts",
        [(_labels(each), each.connections_open) for each in proxies],
        NAME_TYPE,
    )
    yield untyped(
        "frp_server_traffic_in",
        "The total in traffic",
        [(_labels(each), each.bytes_in) for each in proxies],
        NAME_TYPE,
    )
    yield untyped(
        "frp_server_traffic_out",
        "The total out traffic",
        [(_labels(each), each.bytes_out) for each in proxies],
        NAME_TYPE,
    )


def _proxies(snapshot: ServerSnapshot) -> Iterator[Metric]:
    proxies = [proxy.figures for proxy in snapshot.proxies]
    yield counter(
        "frpd_proxy_connections",
        "Visitors that came.",
        [(_labels(each), each.connections_total) for each in proxies],
        NAME_TYPE,
    )
    both = [
        ((*_labels(each), way), number)
        for each in proxies
        for way, number in (("in", each.bytes_in), ("out", each.bytes_out))
    ]
    yield counter(
        "frpd_proxy_traffic_bytes",
        "Payload from visitors (in) and to them (out).",
        both,
        (*NAME_TYPE, "direction"),
    )


def _held(figures: ServerFigures, window_budget: int) -> Iterator[Metric]:
    yield one("frpd_door_pending", "Connections that have not logged in yet.", figures.pending)
    yield counter(
        "frpd_door_refused",
        "Connections that did not log in in time (late), or gave way to others (crowded), or"
        " were turned away.",
        [
            (("late",), figures.refused_late),
            (("crowded",), figures.refused_crowded),
            *(((reason,), number) for reason, number in figures.turned_away.items()),
        ],
        ("reason",),
    )
    yield one("frpd_penalties", "Sources that something is held against.", figures.penalties)
    yield one("frpd_workers_waiting", "Jobs that wait for a thread.", figures.jobs_waiting)
    yield one("frpd_workers_busy", "Jobs that have one.", figures.jobs_busy)
    yield one("frpd_pipe_bytes", "Pipes that payload passes through.", figures.pipe_bytes)
    refusals = [((), figures.pipe_refusals)]
    yield counter("frpd_pipe_refusals", "Times that there was no such pipe.", refusals)
    yield one(
        "frpd_window_budget_bytes", "What streams' windows may grow by together.", window_budget
    )
    yield one("frpd_window_left_bytes", "What of it is left.", figures.window_left)
    yield one("frpd_visitors", "Visitors that are connected.", figures.visitors)
    yield one("frpd_visitors_limit", "How many there may be.", figures.visitors_limit)
    yield counter(
        "frpd_refused_visitors",
        "Visitors, of udp their datagrams, that were refused.",
        [
            ((name, reason), number)
            for name, reasons in sorted(figures.refused_visitors.items())
            for reason, number in reasons.items()
        ],
        ("name", "reason"),
    )
    yield counter(
        "frpd_udp_dropped",
        "Datagrams that were dropped.",
        [
            ((name, reason), number)
            for name, reasons in sorted(figures.dropped.items())
            for reason, number in reasons.items()
        ],
        ("name", "reason"),
    )


def _labels(figures: ProxyFigures) -> tuple[str, str]:
    return figures.name, figures.proxy_type
