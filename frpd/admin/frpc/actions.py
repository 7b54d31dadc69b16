"""Endpoints: what an operator may have a client do."""

from __future__ import annotations

from typing import Final

from frpd.admin.frpc.desk import ClientDesk
from frpd.admin.reloading import reload_with
from frpd.admin.web_app import AdminApp, ApiError, Reply

STOP_SECONDS: Final = 0.1
"""So that the answer is out before the program ends; frp's own figure."""


def register(app: AdminApp, desk: ClientDesk) -> None:
    """Register the group."""

    def stop() -> Reply:
        desk.calls.ask(lambda: desk.loop.call_later(STOP_SECONDS, desk.stop))
        return Reply()

    reload = reload_with(desk.calls, desk.reload, desk.plan)

    def reload_for_frp() -> object:
        """What frp's own frpc asks with GET; it prints the body of an error as it is."""
        try:
            return reload()
        except ApiError as error:
            return Reply(f"{error}\n", error.status)

    app.change("GET", "/api/reload", reload_for_frp)
    app.change("POST", "/api/reload", reload)
    app.change("POST", "/api/stop", stop)
