"""``frpd-ctl status``: what runs, whether it works, and if not, why."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import CtlError, Daemon, add_daemon_flags, all_daemons
from frpd.cli.ctl.proxies import client_table
from frpd.cli.ctl.show import View, add_show_flags, show
from frpd.cli.ctl.tables import INDENT, Column, Screen, pairs, table, wrapped
from frpd.cli.ctl.units import age_text, byte_text, plain
from frpd.clock import unix_time
from frpd.errors import FrpError

Object = Mapping[str, Any]

VISITOR_COLUMNS: Final = (
    *(Column("VISITOR"), Column("TYPE"), Column("STATUS"), Column("TO"), Column("AT")),
    *(Column("CONNS", True), Column("IN", True), Column("OUT", True)),
)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_daemon_flags(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit with 1 also if there is no session, or a proxy does not run",
    )
    add_show_flags(parser)


def _run(options: argparse.Namespace) -> int:
    def look() -> View:
        return _view(all_daemons(options), is_strict=options.check)

    return show(options, look)


def _view(found: Sequence[Daemon | CtlError], *, is_strict: bool) -> View:
    daemons = [one for one in found if isinstance(one, Daemon)]
    errors = [one for one in found if isinstance(one, CtlError)]
    if not daemons:
        raise FrpError("; ".join(map(str, errors)))

    def lines(screen: Screen) -> Iterable[str]:
        for index, one in enumerate(found):
            if index:
                yield ""
            if isinstance(one, Daemon):
                yield from _lines(one, screen)
            else:
                yield from wrapped(str(one), screen)

    facts = {
        "daemons": [
            {"where": one.target.where, "healthy": not _troubles(one), **one.about}
            for one in daemons
        ],
        "errors": [str(error) for error in errors],
    }
    is_good = not errors and not (is_strict and any(map(_troubles, daemons)))
    return View(facts, lines, is_good)


def _troubles(daemon: Daemon) -> list[str]:
    """Return what does not work, in sentences."""
    about = daemon.about
    if daemon.program != "frpc":
        return []
    server = about["server"]
    troubles = []
    if not server["is_connected"]:
        troubles.append(_no_session(server))
    for row in (*about["proxies"], *about["visitors"]):
        if row["status"] != "running":
            why = row.get("reason") or row["err"] or row["status"]
            troubles.append(f"{row['name']} does not run: {why}")
    return troubles


def _lines(daemon: Daemon, screen: Screen) -> Iterable[str]:
    about = daemon.about
    head = f"{daemon.program} {about['version']}"
    state = f"up {age_text(about['uptime_seconds'])}, pid {about['pid']}, {daemon.target.where}"
    yield from wrapped(f"{head}: {state}", screen, rest=INDENT)
    is_client = daemon.program == "frpc"
    yield from _client_lines(about, screen) if is_client else _server_lines(about, screen)
    troubles = _troubles(daemon)
    if troubles:
        yield ""
    for trouble in troubles:
        yield from wrapped(plain(trouble), screen, INDENT + "! ", INDENT * 2)


def _server_lines(about: Object, screen: Screen) -> Iterable[str]:
    counts = [f"{count} {kind}" for kind, count in about["proxies"].items() if count]
    traffic = about["traffic_today"]
    yield from pairs(
        (
            ("file", about.get("config_file")),
            ("clients", about["clients"]),
            ("proxies", ", ".join(counts) or "0"),
            ("connections", about["connections"]),
            ("today", f"{byte_text(traffic['in'])} in, {byte_text(traffic['out'])} out"),
            ("log level", about["log_level"]),
        ),
        screen,
        INDENT,
    )


def _client_lines(about: Object, screen: Screen) -> Iterable[str]:
    server = about["server"]
    state = f"connected for {_age(server['since'])}" if server["is_connected"] else "not connected"
    yield from pairs(
        (
            ("file", about.get("config_file")),
            ("server", f"{server['address']}, {state}"),
            ("run id", server["run_id"]),
            ("speaks", server["speaks"]),
            ("weak", "; ".join(server.get("weak", ()))),
            ("logins", server["logins"]),
            ("log level", about["log_level"]),
        ),
        screen,
        INDENT,
    )
    if about["proxies"]:
        yield ""
        yield from client_table(about["proxies"], screen, INDENT)
    if about["visitors"]:
        yield ""
        yield from _visitor_table(about["visitors"], screen)


def _visitor_table(visitors: Iterable[Object], screen: Screen) -> list[str]:
    rows = [
        (
            *(one["name"], one["type"], one["status"], one["server_name"], one["bind_addr"]),
            *(one["cur_conns"], byte_text(one["traffic_in"]), byte_text(one["traffic_out"])),
        )
        for one in visitors
    ]
    return table(VISITOR_COLUMNS, rows, screen, INDENT)


def _no_session(server: Object) -> str:
    text = f"there is no session with {server['address']}"
    if server["last_error"]:
        text = f"{text}: {server['last_error']}"
    if server["retry_in_seconds"] is not None:
        text = f"{text}; the next attempt is made in {server['retry_in_seconds']:.0f} s"
    return text


def _age(since: float | None) -> str:
    return age_text(None if since is None else unix_time() - since)


COMMAND = Command("status", "show what runs, and why what does not", _add_arguments, _run)
