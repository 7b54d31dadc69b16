"""``frpd-ctl proxies``: the proxies of a server or a client."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any, Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import Daemon, add_daemon_flags, the_daemon
from frpd.cli.ctl.show import View, add_show_flags, show
from frpd.cli.ctl.tables import BAD, DOUBTFUL, GOOD, Column, Screen, table
from frpd.cli.ctl.units import age_text, byte_text
from frpd.clock import unix_time

Object = Mapping[str, Any]

TYPES: Final = ("tcp", "udp", "http", "https", "tcpmux", "stcp", "sudp", "xtcp")

_STATES: Final = (
    *(("running", GOOD), ("online", GOOD), ("start error", BAD), ("check failed", BAD)),
    *(("closed", DOUBTFUL), ("new", DOUBTFUL), ("wait start", DOUBTFUL), ("offline", DOUBTFUL)),
)
_NAME: Final = (Column("PROXY"), Column("TYPE"), Column("STATUS", colours=_STATES))
CLIENT_COLUMNS: Final = (
    *_NAME,
    *(Column("SINCE", True), Column("CONNS", True), Column("IN", True), Column("OUT", True)),
    *(Column("REMOTE"), Column("LOCAL")),
)
SERVER_COLUMNS: Final = (
    *_NAME,
    *(Column("SINCE", True), Column("CONNS", True)),
    *(Column("IN TODAY", True), Column("OUT TODAY", True)),
    *(Column("REMOTE"), Column("CLIENT"), Column("USER")),
)


def client_table(rows: Iterable[Object], screen: Screen, indent: str = "") -> list[str]:
    """Return a table of proxies of a client."""
    cells = [
        (
            *(row["name"], row["type"], row["status"], _age(row["since"]), row["cur_conns"]),
            *(byte_text(row["traffic_in"]), byte_text(row["traffic_out"])),
            *(row["remote_addr"], row["plugin"] or row["local_addr"]),
        )
        for row in rows
    ]
    return table(CLIENT_COLUMNS, cells, screen, indent)


def server_table(rows: Iterable[Object], screen: Screen) -> list[str]:
    """Return a table of proxies of a server."""
    cells = [
        (
            *(row["name"], row["type"], row["status"], _age(row["since"]), row["cur_conns"]),
            *(byte_text(row["today_traffic_in"]), byte_text(row["today_traffic_out"])),
            *(row["remote_addr"], row["run_id"], row["user"]),
        )
        for row in rows
    ]
    return table(SERVER_COLUMNS, cells, screen)


def rows_of(daemon: Daemon) -> list[Object]:
    """Return the proxies of a program as it knows them now, in order of names."""
    if daemon.program == "frps":
        return list(daemon.get("/api/frpd/proxies")["proxies"])
    return list(daemon.again().about["proxies"])


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("type", nargs="?", choices=TYPES, metavar="TYPE", help=", ".join(TYPES))
    add_daemon_flags(parser)
    add_show_flags(parser)


def _run(options: argparse.Namespace) -> int:
    daemon = the_daemon(options)
    make = server_table if daemon.program == "frps" else client_table

    def look() -> View:
        rows = [row for row in rows_of(daemon) if options.type in (None, row["type"])]

        def lines(screen: Screen) -> Iterable[str]:
            return make(rows, screen) or ["no proxies"]

        return View({"program": daemon.program, "proxies": rows}, lines)

    return show(options, look)


def _age(since: float | None) -> str:
    return age_text(unix_time() - since if since else None)


COMMAND = Command("proxies", "list the proxies", _add_arguments, _run)
