"""Endpoints: whom frps holds something against, and how that is forgiven."""

from __future__ import annotations

from frpd.admin.frps.desk import ServerDesk
from frpd.admin.frps.shapes import Object
from frpd.admin.web_app import AdminApp, ApiError, body_string
from frpd.server.guard.penalties import MOST_TOLD, Penalty

ALL = "all"


def register(app: AdminApp, desk: ServerDesk) -> None:
    """Register the group."""
    service, calls = desk.service, desk.calls

    def held() -> Object:
        guard, guesses = service.held
        found: list[tuple[str | None, Penalty]] = list(guesses.rows())
        total = len(guard.penalties) + len(found)
        found += ((None, row) for row in guard.penalties.rows(desk.loop.now()))
        found.sort(key=lambda one: -one[1].seconds_left)
        return {"total": total, "penalties": [_row(*one) for one in found[:MOST_TOLD]]}

    def clear() -> Object:
        source = body_string("source")
        if not source:
            raise ApiError(400, "source: accepted: an address, a network as listed, or all")
        host = None if source == ALL else source
        guard, guesses = service.held
        return {"cleared": calls.ask(lambda: guard.penalties.clear(host) + guesses.clear(host))}

    app.get("/api/frpd/penalties", lambda: calls.ask(held))
    app.change("POST", "/api/frpd/penalties/clear", clear)


def _row(proxy: str | None, penalty: Penalty) -> Object:
    return {
        "source": penalty.source,
        "seconds_left": round(penalty.seconds_left, 3),
        "is_refused": penalty.is_enforced,
        "offences": penalty.offences,
        "last": penalty.last.value,
        "proxy": proxy,
    }
