"""Endpoints: what the server is and how it does."""

from __future__ import annotations

from frpd.admin.both import about, loop_figures
from frpd.admin.frps.desk import ServerDesk
from frpd.admin.frps.shapes import Object, server_info
from frpd.admin.web_app import AdminApp


def register(app: AdminApp, desk: ServerDesk) -> None:
    """Register the group."""

    def info() -> Object:
        return server_info(desk.service.config, desk.snapshot())

    def status() -> Object:
        snapshot = desk.snapshot()
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

    app.get("/api/serverinfo", info)
    app.get("/api/status", status)
    app.get("/api/frpd/status", status)
