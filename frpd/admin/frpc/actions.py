"""Endpoints: what an operator may have a client do."""

from __future__ import annotations

from typing import Final

from frpd.admin.both import reload_with
from frpd.admin.frpc.desk import ClientDesk
from frpd.admin.web_app import AdminApp, Reply

STOP_SECONDS: Final = 0.1
"""So that the answer is out before the program ends; frp's own figure."""


def register(app: AdminApp, desk: ClientDesk) -> None:
    """Register the group."""

    def stop() -> Reply:
        desk.calls.ask(lambda: desk.loop.call_later(STOP_SECONDS, desk.stop))
        return Reply()

    reload = reload_with(desk.calls, desk.reload)
    app.change("GET", "/api/reload", reload)  # what frp's own frpc asks with
    app.change("POST", "/api/reload", reload)
    app.change("POST", "/api/stop", stop)
