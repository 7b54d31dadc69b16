"""Endpoints under ``/api/v2``, as frp has them since 0.70."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from frpd.admin.frps.clients import chosen
from frpd.admin.frps.desk import ServerDesk
from frpd.admin.frps.shapes import (
    TYPES,
    Object,
    client_row,
    new_conf,
    new_settings,
    new_totals,
    new_type_conf,
)
from frpd.admin.web_app import AdminApp, ApiError, number, query
from frpd.metrics.statistics import DAY_SECONDS
from frpd.proto.message.types import EMULATED_VERSION
from frpd.server.snapshot import ClientSnapshot, ProxySnapshot, ServerSnapshot

MAX_PAGE: Final = 200
DEFAULT_PAGE: Final = 50
MAX_PAGES: Final = 1_000_000


class _Desk:
    """The handlers."""

    def __init__(self, desk: ServerDesk) -> None:
        self._desk = desk

    def users(self) -> Object:
        snapshot = self._desk.snapshot()
        names = sorted({client.record.user for client in snapshot.clients})
        return _page(
            [
                {
                    "user": name,
                    "clientCount": sum(one.record.user == name for one in snapshot.clients),
                    "proxyCount": sum(one.user == name for one in snapshot.proxies),
                }
                for name in names
                if _matches(name)
            ]
        )

    def clients(self) -> Object:
        snapshot = self._desk.snapshot()
        run_id = query("runID") or query("clientID")
        return _page(
            [
                client_row(one, snapshot)
                for one in snapshot.clients
                if chosen(one, run_id=run_id)
                and _matches(one.record.run_id, one.record.user, one.record.hostname)
            ]
        )

    def client(self, key: str) -> Object:
        snapshot = self._desk.snapshot()
        for one in snapshot.clients:
            if one.record.run_id == key:
                return {**client_row(one, snapshot), "status": _client_status(one)}
        raise ApiError(404, f"client {key} not found")

    def proxies(self) -> Object:
        kind = query("type")
        if kind and kind not in TYPES:
            raise ApiError(400, f"type: accepted: {', '.join(TYPES)}")
        found = [one for one in self._desk.snapshot().proxies if _chosen_proxy(one, kind)]
        found.sort(key=lambda one: (one.figures.proxy_type, one.figures.name))
        return _page([_proxy(one) for one in found])

    def proxy(self, name: str) -> Object:
        return _proxy(self._find(name)[1])

    def traffic(self, name: str) -> Object:
        return _traffic(*self._find(name))

    def info(self) -> Object:
        status = new_totals(self._desk.snapshot())
        config = new_settings(self._desk.service.config)
        return {"version": EMULATED_VERSION, "config": config, "status": status}

    def prune(self) -> Object:
        if query("type") != "offline_proxies":
            raise ApiError(400, "type: accepted: offline_proxies")
        statistics = self._desk.service.books.statistics
        cleared, total = self._desk.calls.ask(statistics.forget_offline)
        return {"type": "offline_proxies", "cleared": cleared, "total": total}

    def _find(self, name: str) -> tuple[ServerSnapshot, ProxySnapshot]:
        snapshot = self._desk.snapshot()
        for one in snapshot.proxies:
            if one.figures.name == name:
                return snapshot, one
        raise ApiError(404, f"proxy {name} not found")


def register(app: AdminApp, desk: ServerDesk) -> None:
    """Register the group."""
    handlers = _Desk(desk)
    app.get("/api/v2/users", _wrapped(handlers.users))
    app.get("/api/v2/clients", _wrapped(handlers.clients))
    app.get("/api/v2/clients/<key:path>", _wrapped(handlers.client))
    app.get("/api/v2/proxies", _wrapped(handlers.proxies))
    app.get("/api/v2/proxies/<name:path>/traffic", _wrapped(handlers.traffic))
    app.get("/api/v2/proxies/<name:path>", _wrapped(handlers.proxy))
    app.get("/api/v2/system/info", _wrapped(handlers.info))
    app.change("POST", "/api/v2/system/prune", _wrapped(handlers.prune))


def _wrapped(handler: Callable[..., Object]) -> Callable[..., Object]:
    """Put what a handler returns or raises into the envelope."""

    def call(**arguments: str) -> Object:
        try:
            data = handler(**arguments)
        except ApiError as error:
            raise ApiError(error.status, str(error), fields={"data": None}) from error
        return {"code": 200, "msg": "success", "data": data}

    return call


def _page(rows: Sequence[Object]) -> Object:
    page = number("page", 1, low=1, high=MAX_PAGES)
    size = number("pageSize", DEFAULT_PAGE, low=1, high=MAX_PAGE)
    items = list(rows[(page - 1) * size : page * size])
    return {"total": len(rows), "page": page, "pageSize": size, "items": items}


def _matches(*texts: str) -> bool:
    wanted = query("q").lower()
    return any(wanted in text.lower() for text in texts)


def _client_status(client: ClientSnapshot) -> Object:
    session = client.session
    return {
        "phase": "offline" if session is None else "online",
        "curConns": 0 if session is None else session.connections_open,
        "proxyCount": 0 if session is None else len(session.proxies),
    }


def _chosen_proxy(proxy: ProxySnapshot, kind: str) -> bool:
    figures = proxy.figures
    state = "online" if figures.is_online else "offline"
    return (
        kind in ("", figures.proxy_type)
        and query("user") in ("", proxy.user)
        and query("clientID") in ("", figures.run_id)
        and query("status") in ("", "all", state)
        and _matches(figures.name)
    )


def _proxy(proxy: ProxySnapshot) -> Object:
    figures, settings = proxy.figures, proxy.settings
    status: Object = {
        "phase": "online" if figures.is_online else "offline",
        "todayTrafficIn": figures.traffic_in[0],
        "todayTrafficOut": figures.traffic_out[0],
        "curConns": figures.connections_open,
        "lastStartAt": int(figures.started_at),
    }
    if figures.closed_at:
        status["lastCloseAt"] = int(figures.closed_at)
    spec: Object = {"type": figures.proxy_type}
    if settings is not None:
        own = new_type_conf(figures.proxy_type, settings)
        spec[figures.proxy_type] = {**new_conf(settings), **own}
    return {
        "name": figures.name,
        "user": proxy.user,
        "clientID": figures.run_id,
        "spec": spec,
        "status": status,
    }


def _traffic(snapshot: ServerSnapshot, proxy: ProxySnapshot) -> Object:
    days = zip(proxy.figures.traffic_in, proxy.figures.traffic_out, strict=True)
    history = [
        {"date": _date(snapshot.taken_at - ago * DAY_SECONDS), "trafficIn": in_, "trafficOut": out}
        for ago, (in_, out) in enumerate(days)
    ]
    return {
        "name": proxy.figures.name,
        "unit": "bytes",
        "granularity": "day",
        "history": history[::-1],
    }


def _date(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(when))
