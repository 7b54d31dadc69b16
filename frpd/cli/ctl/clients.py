"""``frpd-ctl clients``: who is connected to a server, and how."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import add_daemon_flags, the_daemon
from frpd.cli.ctl.show import View, add_show_flags, show
from frpd.cli.ctl.tables import Column, Screen, table, wrapped
from frpd.cli.ctl.tcp_figures import with_figures
from frpd.cli.ctl.units import age_text, milliseconds_text, plain
from frpd.clock import unix_time

Object = Mapping[str, Any]

COLUMNS: Final = (
    *(Column("CLIENT"), Column("USER"), Column("HOST"), Column("ADDRESS")),
    *(Column("SINCE", True), Column("PROXIES", True), Column("CONNS", True)),
    *(Column("RTT", True), Column("RETRANS", True), Column("SPEAKS")),
)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_daemon_flags(parser)
    parser.add_argument("--all", action="store_true", help="also those that are gone")
    add_show_flags(parser)


def _run(options: argparse.Namespace) -> int:
    daemon = the_daemon(options, "frps")

    def look() -> View:
        found = daemon.get("/api/clients", status="" if options.all else "online")
        rows = with_figures(found)
        return View({"clients": rows}, lambda screen: _lines(rows, screen))

    return show(options, look)


def _lines(rows: Sequence[Object], screen: Screen) -> Iterable[str]:
    yield from table(COLUMNS, map(_cells, rows), screen) or ["no clients"]
    weak: dict[str, list[str]] = {}
    for row in rows:
        for sentence in row.get("weak", ()):
            weak.setdefault(sentence, []).append(row["runID"])
    if weak:
        yield ""
    for sentence, names in weak.items():
        yield from wrapped(plain(f"weak: {sentence} ({', '.join(names)})"), screen, rest="  ")


def _cells(row: Object) -> Sequence[object]:
    who = row["runID"], row["user"], row["hostname"], row.get("address") or row["clientIP"]
    if not row["online"]:
        age = age_text(unix_time() - row["disconnectedAt"])
        return (*who, "-", "-", "-", "-", "-", f"gone for {age}")
    return (
        *who,
        age_text(row["age_seconds"]),
        len(row["proxies"]),
        row["cur_conns"],
        milliseconds_text(row["rtt_ms"]),
        row["retransmits"],
        row["speaks"],
    )


COMMAND = Command("clients", "list the clients of frps", _add_arguments, _run)
