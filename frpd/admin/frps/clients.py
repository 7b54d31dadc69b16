"""Endpoints: clients."""

from __future__ import annotations

from frpd.admin.frps.desk import ServerDesk
from frpd.admin.frps.shapes import Object, client_row
from frpd.admin.web_app import AdminApp, ApiError, query
from frpd.server.snapshot import ClientSnapshot

STATES = ("", "all", "online", "offline")


def chosen(client: ClientSnapshot, *, run_id: str) -> bool:
    """Whether a client is what the request at hand asks for.

    Raises:
        ApiError: it asks for a state that there is not.
    """
    state = query("status")
    if state not in STATES:
        raise ApiError(400, f"status: accepted: {', '.join(STATES[1:])}")
    is_online = client.session is not None
    record = client.record
    return (
        query("user") in ("", record.user)
        and run_id in ("", record.run_id)
        and state in ("", "all", "online" if is_online else "offline")
    )


def register(app: AdminApp, desk: ServerDesk) -> None:
    """Register the group."""

    def every() -> list[Object]:
        snapshot = desk.look()
        run_id = query("runId") or query("clientId")
        return [
            client_row(client, snapshot)
            for client in snapshot.clients
            if chosen(client, run_id=run_id)
        ]

    def one(key: str) -> Object:
        snapshot = desk.snapshot()
        for client in snapshot.clients:
            if client.record.run_id == key:
                return client_row(client, snapshot)
        raise ApiError(404, f"client {key} not found")

    app.get("/api/clients", every)
    app.get("/api/clients/<key:path>", one)
