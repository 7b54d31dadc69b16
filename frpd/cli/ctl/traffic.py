"""``frpd-ctl traffic``: what a server has passed on in seven days."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import (
    CtlError,
    Daemon,
    NotFoundError,
    add_daemon_flags,
    in_path,
    the_daemon,
)
from frpd.cli.ctl.show import View, add_show_flags, show
from frpd.cli.ctl.tables import Column, Screen, table
from frpd.cli.ctl.units import byte_text
from frpd.clock import unix_time

COLUMNS: Final = (Column("DAY"), Column("IN", True), Column("OUT", True))
DAY_SECONDS: Final = 86_400
NOON: Final = 12
"""A day ago at noon is yesterday, also where clocks were changed meanwhile."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="of a proxy; default: all of them")
    add_daemon_flags(parser)
    add_show_flags(parser)


def _run(options: argparse.Namespace) -> int:
    daemon = the_daemon(options, "frps")

    def look() -> View:
        days = _days(*_bytes(daemon, options.name))
        facts = {"name": options.name, "days": days}
        return View(facts, lambda screen: _lines(days, screen))

    return show(options, look)


def _bytes(daemon: Daemon, name: str | None) -> tuple[Sequence[int], Sequence[int]]:
    """Return bytes in and out, each day's, today's first."""
    if name is None:
        traffic = daemon.again().about["traffic_days"]
        return traffic["in"], traffic["out"]
    try:
        answer = daemon.get(f"/api/traffic/{in_path(name)}")
    except NotFoundError as error:
        raise CtlError(f"no proxy is called {name}") from error
    return answer["traffic_in"], answer["traffic_out"]


def _days(bytes_in: Sequence[int], bytes_out: Sequence[int]) -> list[dict[str, Any]]:
    today = time.localtime(unix_time())
    noon = time.mktime((*today[:3], NOON, 0, 0, 0, 0, -1))
    return [
        {
            "date": time.strftime("%Y-%m-%d", time.localtime(noon - ago * DAY_SECONDS)),
            "in": in_,
            "out": out,
        }
        for ago, (in_, out) in enumerate(zip(bytes_in, bytes_out, strict=True))
    ]


def _lines(days: Sequence[dict[str, Any]], screen: Screen) -> Iterable[str]:
    total = {"date": "total", **{way: sum(day[way] for day in days) for way in ("in", "out")}}
    rows = [(day["date"], byte_text(day["in"]), byte_text(day["out"])) for day in (*days, total)]
    return table(COLUMNS, rows, screen)


COMMAND = Command("traffic", "show the bytes of seven days (frps)", _add_arguments, _run)
