"""Endpoints: what runs, and what an operator may do about it."""

from __future__ import annotations

from frpd.admin.both import conns_asked_for
from frpd.admin.frps.desk import ServerDesk
from frpd.admin.frps.shapes import Object, connection_row
from frpd.admin.reloading import check_with, reload_with
from frpd.admin.web_app import AdminApp, ApiError, body_string, query
from frpd.server.snapshot import take_connections


def register(app: AdminApp, desk: ServerDesk) -> None:
    """Register the group."""
    service, calls = desk.service, desk.calls

    def conns() -> Object:
        limit, tcp = conns_asked_for()
        proxy, run_id = query("proxy"), query("client")
        found = calls.ask_steps(
            lambda: take_connections(service, desk.loop, limit=limit, proxy=proxy, run_id=run_id)
        )
        return {
            "total": found.total,
            "conns": [connection_row(one, tcp=tcp) for one in found.listed],
        }

    def kick() -> Object:
        run_id, proxy = body_string("client"), body_string("proxy")
        if bool(run_id) == bool(proxy):
            raise ApiError(400, "name either a client (its run id) or a proxy")
        if run_id:
            if not calls.ask(lambda: service.kick_client(run_id)):
                raise ApiError(404, f"client {run_id} not found")
            desk.shelf.clear()
            return {"kicked": 1}
        known, cut = calls.ask(lambda: (proxy in service.proxies, service.cut_visitors(proxy)))
        if not (known or cut):
            raise ApiError(404, f"proxy {proxy} not found")
        desk.shelf.clear()
        return {"kicked": cut}

    app.get("/api/conns", conns)
    app.change("POST", "/api/kick", kick)
    app.change("POST", "/api/reload", reload_with(calls, desk.reload, desk.plan))
    check_with(app, calls, desk.plan)
