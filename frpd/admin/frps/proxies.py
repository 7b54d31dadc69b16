"""Endpoints: proxies and their traffic."""

from __future__ import annotations

from frpd.admin.frps.desk import ServerDesk
from frpd.admin.frps.shapes import Object, no_proxy_row, proxy_row
from frpd.admin.web_app import AdminApp, ApiError, query
from frpd.server.snapshot import ProxySnapshot

UNKNOWN = "no proxy info found"


def register(app: AdminApp, desk: ServerDesk) -> None:
    """Register the group."""

    def find(name: str, proxy_type: str = "") -> ProxySnapshot | None:
        for proxy in desk.snapshot().proxies:
            figures = proxy.figures
            if figures.name == name and proxy_type in ("", figures.proxy_type):
                return proxy
        return None

    def of_type(kind: str) -> Object:
        proxies = desk.look().proxies
        rows = [proxy_row(proxy) for proxy in proxies if proxy.figures.proxy_type == kind]
        return {"code": 0, "msg": "", "proxies": rows}

    def every() -> Object:
        return {"proxies": [proxy_row(proxy) for proxy in desk.look().proxies]}

    def one(name: str, kind: str = "") -> Object:
        proxy = find(name, kind)
        if proxy is None:
            raise ApiError(404, UNKNOWN, code=1, fields=no_proxy_row(name))
        return {"code": 0, "msg": "", **proxy_row(proxy)}

    def traffic(name: str) -> Object:
        proxy = find(name)
        if proxy is None:
            fields = {"name": name, "traffic_in": None, "traffic_out": None}
            raise ApiError(404, UNKNOWN, code=1, fields=fields)
        days_in, days_out = proxy.figures.traffic_in, proxy.figures.traffic_out
        answer: Object = {"code": 0, "msg": "", "name": name}
        answer |= {"traffic_in": days_in, "traffic_out": days_out}
        return answer | {"trafficIn": days_in, "trafficOut": days_out}

    def drop_offline() -> Object:
        if query("status") != "offline":
            raise ApiError(400, "status only support offline")
        desk.calls.ask(desk.service.books.statistics.forget_offline)
        desk.shelf.clear()
        return {"Code": 200, "Msg": "success"}

    app.get("/api/proxy/<kind>", of_type)
    app.get("/api/proxy/<kind>/<name:path>", one)
    app.get("/api/proxies/<name:path>", one)
    app.get("/api/frpd/proxies", every)
    app.get("/api/traffic/<name:path>", traffic)
    app.change("DELETE", "/api/proxies", drop_offline)
