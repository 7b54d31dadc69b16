"""Endpoints: what the server is and how it does."""

from __future__ import annotations

from frpd.admin.both import about, loop_figures
from frpd.admin.config_view import server_view
from frpd.admin.frps.desk import ServerDesk
from frpd.admin.frps.ports import ports
from frpd.admin.frps.shapes import Object, server_info
from frpd.admin.machine import Machine
from frpd.admin.web_app import AdminApp
from frpd.metrics.history import HistoryView
from frpd.server.snapshot import ServerSnapshot


def register(app: AdminApp, desk: ServerDesk) -> None:
    """Register the group."""
    service, machine = desk.service, Machine()

    def info() -> Object:
        return server_info(service.config, desk.look())

    def status() -> Object:
        return _status(desk, desk.look())

    def overview() -> Object:
        snapshot = desk.look()
        return {
            **_status(desk, snapshot),
            "ports": ports(service.config, snapshot),
            "host": machine.host(),
            "process": machine.process(),
            "history": _history(desk.calls.ask(service.books.history.view)),
        }

    def config() -> Object:
        return {
            "file": desk.config_file,
            "dialect": desk.dialect,
            **server_view(service.config),
        }

    def metrics() -> object:
        # Most servers are never scraped, and it is slow to import.
        from frpd.admin.frps.metrics import families  # noqa: PLC0415
        from frpd.admin.metrics import answer  # noqa: PLC0415

        return answer(lambda: families(desk, machine))

    if service.config.enable_prometheus:
        app.get("/metrics", metrics)
    app.get("/api/frpd/config", config)
    app.get("/api/serverinfo", info)
    app.get("/api/status", status)
    app.get("/api/frpd/status", status)
    app.get("/api/frpd/overview", overview)


def _status(desk: ServerDesk, snapshot: ServerSnapshot) -> Object:
    loop = desk.calls.ask(lambda: loop_figures(desk.loop))
    return {
        **about("frps", snapshot.started_at, desk.config_file),
        "clients": snapshot.clients_online,
        "proxies": snapshot.count_by_type(),
        "connections": snapshot.connections_open,
        "traffic_today": {"in": snapshot.total_in[0], "out": snapshot.total_out[0]},
        "traffic_days": {"in": snapshot.total_in, "out": snapshot.total_out},
        "loop": loop,
    }


def _history(view: HistoryView) -> Object:
    return {
        "interval_seconds": view.interval_seconds,
        "from": round(view.begins_at, 1),
        "in": view.bytes_in,
        "out": view.bytes_out,
        "connections": view.connections,
    }
