"""Endpoints: the level of the log, and its last lines from memory."""

from __future__ import annotations

from typing import Final

from frpd import log
from frpd.admin.web_app import AdminApp, ApiError, body_string, number, query

MAX_NUMBER: Final = 999_999_999
DEFAULT_LINES: Final = 100
LEVELS: Final = {"trace": "TDIWE", "debug": "DIWE", "info": "IWE", "warn": "WE", "error": "E"}
"""What is shown from each level on."""

Object = dict[str, object]


def register(app: AdminApp) -> None:
    """Register what shows the log, and changes its level."""

    def show() -> Object:
        return {"level": log.level()}

    def change() -> Object:
        level = body_string("level")
        try:
            before = log.set_level(level)
        except ValueError as error:
            raise ApiError(400, str(error)) from error
        return {"level": level, "before": before}

    app.get("/api/log-level", show)
    app.change("PUT", "/api/log-level", change)
    app.get("/api/frpd/logs", lines)


def lines() -> Object:
    """Answer with the last lines that the request at hand does not have yet.

    Raises:
        ApiError: it makes no sense.
    """
    after = number("after", 0, low=0, high=MAX_NUMBER)
    limit = number("limit", DEFAULT_LINES, low=1, high=log.REMEMBERED_LINES)
    level = query("level") or "trace"
    if level not in LEVELS:
        raise ApiError(400, f"level: accepted: {', '.join(LEVELS)}")
    count, found = log.recent(after)
    wanted = [line for line in found if line.level in LEVELS[level]]
    return {
        "next": count,
        "lines": [
            {
                "n": line.number,
                "time": round(line.time, 3),
                "level": line.level,
                "where": line.where,
                "text": line.text,
            }
            for line in wanted[-limit:]
        ],
    }
