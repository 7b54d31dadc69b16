"""Metrics of frpc, which frp's has none of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from frpd.admin.frpc.desk import ClientDesk
from frpd.admin.machine import Machine
from frpd.admin.metrics import counter, gauge, loop_figures, one, process, program
from frpd.client.snapshot import ClientSnapshot, ProxySnapshot, SessionSnapshot, VisitorSnapshot

NAME_TYPE: Final = ("name", "type")
RUNNING: Final = "running"


def families(desk: ClientDesk, machine: Machine) -> Iterator[Metric]:
    """Yield all of them, of one moment."""
    snapshot = desk.snapshot()
    loop = desk.calls.ask(lambda: loop_figures(desk.loop))
    yield from program("frpc", snapshot.started_at, snapshot.taken_at)
    yield from _session(snapshot.session)
    yield from _proxies(snapshot)
    yield from loop()
    yield from process(machine)


def _session(session: SessionSnapshot) -> Iterator[Metric]:
    yield one("frpd_client_connected", "Whether the server has let us in.", session.is_connected)
    yield counter("frpd_client_logins", "Sessions so far.", [((), session.logins)])
    if session.rtt_ms is not None:
        text = "Round trip of the connection to the server."
        yield one("frpd_client_round_trip_seconds", text, session.rtt_ms / 1000)


def _proxies(snapshot: ClientSnapshot) -> Iterator[Metric]:
    proxies, visitors = snapshot.proxies, snapshot.visitors
    labelled: list[tuple[tuple[str, str], ProxySnapshot | VisitorSnapshot]] = [
        *(((each.name, each.proxy_type), each) for each in proxies),
        *(((each.name, f"{each.visitor_type} visitor"), each) for each in visitors),
    ]
    yield gauge(
        "frpd_proxy_running",
        "Whether a proxy or a visitor runs.",
        [(labels, each.phase == RUNNING) for labels, each in labelled],
        NAME_TYPE,
    )
    yield gauge(
        "frpd_proxy_connections_open",
        "Visitors connected now.",
        [(labels, each.connections_open) for labels, each in labelled],
        NAME_TYPE,
    )
    yield counter(
        "frpd_proxy_connections",
        "Visitors that came.",
        [(labels, each.connections_total) for labels, each in labelled],
        NAME_TYPE,
    )
    yield counter(
        "frpd_proxy_traffic_bytes",
        "Payload from visitors (in) and to them (out).",
        [
            ((*labels, way), number)
            for labels, each in labelled
            for way, number in (("in", each.bytes_in), ("out", each.bytes_out))
        ],
        (*NAME_TYPE, "direction"),
    )
