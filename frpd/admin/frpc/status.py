"""Endpoints: how the proxies of a client do, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from frpd.admin.both import (
    about,
    conns_asked_for,
    loop_figures,
    socket_object,
    speaks,
    tcp_figures,
    weaknesses,
)
from frpd.admin.frpc.desk import ClientDesk
from frpd.admin.frpc.reasons import reason
from frpd.admin.machine import Machine
from frpd.admin.web_app import AdminApp, query
from frpd.client.snapshot import (
    ClientSnapshot,
    ProxySnapshot,
    SessionSnapshot,
    take_connections,
)
from frpd.net.address import join_host_port

Object = dict[str, object]

SEED_TYPES: Final = ("tcp", "udp", "http", "https", "stcp", "xtcp")
"""Always there, as in frp 0.21."""


def register(app: AdminApp, desk: ClientDesk) -> None:
    """Register the group."""
    machine = Machine()

    def status() -> dict[str, list[Object]]:
        snapshot = desk.snapshot()
        host = desk.service.config.server_addr
        rows: dict[str, list[Object]] = {kind: [] for kind in SEED_TYPES}
        for proxy in snapshot.proxies:
            row = proxy_row(proxy, snapshot.session, host)
            rows.setdefault(proxy.proxy_type, []).append(row)
        return rows

    def own_status() -> Object:
        snapshot = desk.snapshot()
        loop = desk.calls.ask(lambda: loop_figures(desk.loop))
        host, file = desk.service.config.server_addr, desk.config_file
        return {**_own_status(snapshot, host, file), "loop": loop}

    def conns() -> Object:
        (limit, tcp), proxy = conns_asked_for(), query("proxy")
        found = desk.calls.ask_steps(
            lambda: take_connections(desk.service, desk.loop, limit=limit, proxy=proxy)
        )
        rows = []
        for one in found.listed:
            row = asdict(one)
            row["visitor"] = row.pop("source")
            row["socket"] = socket_object(one.socket)
            row |= tcp_figures(one.socket) if tcp else {}
            rows.append(row)
        return {"total": found.total, "conns": rows}

    def metrics() -> object:
        # Most clients are never scraped, and it is slow to import.
        from frpd.admin.frpc.metrics import families  # noqa: PLC0415
        from frpd.admin.metrics import answer  # noqa: PLC0415

        return answer(lambda: families(desk, machine))

    app.get("/metrics", metrics)
    app.get("/api/status", status)
    app.get("/api/frpd/status", own_status)
    app.get("/api/conns", conns)


def proxy_row(proxy: ProxySnapshot, session: SessionSnapshot, host: str) -> Object:
    """Return one proxy: frp's fields, then ours.

    Args:
        proxy: of it.
        session: with the server.
        host: of the server, for addresses that begin with a port.
    """
    return {
        "name": proxy.name,
        "type": proxy.proxy_type,
        "status": proxy.phase,
        "err": proxy.error,
        "local_addr": proxy.local_addr,
        "plugin": proxy.plugin,
        "remote_addr": _remote_addr(proxy, host),
        "reason": reason(proxy, session),
        "since": proxy.since,
        "cur_conns": proxy.connections_open,
        "total_conns": proxy.connections_total,
        "traffic_in": proxy.bytes_in,
        "traffic_out": proxy.bytes_out,
    }


def _remote_addr(proxy: ProxySnapshot, host: str) -> str:
    """As frp: where visitors go, on an error the port that was wanted."""
    if proxy.error and proxy.proxy_type in ("tcp", "udp"):
        return join_host_port(host, proxy.wanted_port)
    if proxy.remote_addr.startswith(":"):
        return join_host_port(host, int(proxy.remote_addr[1:]))
    return proxy.remote_addr


def _own_status(snapshot: ClientSnapshot, host: str, file: str) -> Object:
    session = snapshot.session
    server = asdict(session)
    server["state"] = _state(session)
    server["history"] = [
        {"at": one.at, "event": one.event.value, "text": one.text, "times": one.times}
        for one in session.history
    ]
    server["version"] = server.pop("server_version")
    server["speaks"] = speaks(session.features, session.server_version) if session.logins else ""
    server["weak"] = weaknesses(session.features, tls=session.tls) if session.logins else []
    return {
        **about("frpc", snapshot.started_at, file),
        "server": server,
        "proxies": [proxy_row(proxy, session, host) for proxy in snapshot.proxies],
        "visitors": [
            {
                "name": one.name,
                "type": one.visitor_type,
                "status": one.phase or "not supported",
                "err": one.error,
                "bind_addr": one.bind_addr,
                "server_name": one.server_name,
                "cur_conns": one.connections_open,
                "total_conns": one.connections_total,
                "traffic_in": one.bytes_in,
                "traffic_out": one.bytes_out,
            }
            for one in snapshot.visitors
        ],
    }


def _state(session: SessionSnapshot) -> str:
    if session.is_connected:
        return "connected"
    return "connecting" if session.retry_in_seconds is None else "waiting"
