"""``frpd-ctl conns``: the connections that run, with what the kernel knows of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import CtlError, Daemon, add_daemon_flags, the_daemon
from frpd.cli.ctl.proxies import rows_of
from frpd.cli.ctl.show import View, add_show_flags, show
from frpd.cli.ctl.tables import Column, Screen, table
from frpd.cli.ctl.tcp_figures import with_figures
from frpd.cli.ctl.units import age_text, byte_text, milliseconds_text

Object = Mapping[str, Any]

DEFAULT_LIMIT: Final = 1000
MOST: Final = 10_000

_FIGURES: Final = (
    *(Column("AGE", True), Column("IN", True), Column("OUT", True)),
    *(Column("RTT", True), Column("RETRANS", True)),
)
SERVER_COLUMNS: Final = (
    *(Column("PROXY"), Column("TYPE"), Column("CLIENT"), Column("VISITOR")),
    *_FIGURES,
)
CLIENT_COLUMNS: Final = (Column("PROXY"), Column("VISITOR"), Column("SERVICE"), *_FIGURES)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_daemon_flags(parser, sides=False)
    parser.add_argument("--proxy", metavar="NAME", help="only those of this proxy or visitor")
    parser.add_argument(
        "--client", dest="run_id", metavar="RUN_ID", help="only those of this client (frps)"
    )
    parser.add_argument(
        "--limit",
        type=_limit,
        default=DEFAULT_LIMIT,
        metavar="N",
        help=f"the N oldest (default: {DEFAULT_LIMIT})",
    )
    add_show_flags(parser)


def _run(options: argparse.Namespace) -> int:
    daemon = the_daemon(options)
    is_server = daemon.program == "frps"
    if options.run_id and not is_server:
        raise CtlError("--client is for frps; a frpc has but one")

    def look() -> View:
        found = daemon.get(
            "/api/conns", proxy=options.proxy, client=options.run_id, limit=options.limit
        )
        if not found["total"]:
            _check_names(daemon, options)
        rows = with_figures(found["conns"])
        facts = {"program": daemon.program, "total": found["total"], "conns": rows}
        return View(facts, lambda screen: _lines(rows, found["total"], is_server, screen))

    return show(options, look)


def _check_names(daemon: Daemon, options: argparse.Namespace) -> None:
    """Tell what has no connections from what there is not.

    Raises:
        CtlError: there is no proxy, visitor or client of that name.
    """
    if options.proxy:
        rows = [*rows_of(daemon), *daemon.about.get("visitors", ())]
        if all(row["name"] != options.proxy for row in rows):
            raise CtlError(f"no proxy is called {options.proxy}")
    if options.run_id and not daemon.get("/api/clients", runId=options.run_id):
        raise CtlError(f"no client has the run id {options.run_id}")


def _lines(rows: Sequence[Object], total: int, is_server: bool, screen: Screen) -> Iterable[str]:
    if is_server:
        cells = [
            (row["proxy"], row["type"], row["client"], row["visitor"], *_figures(row))
            for row in rows
        ]
        lines = table(SERVER_COLUMNS, cells, screen)
    else:
        cells = [(row["proxy"], row["visitor"], _service(row), *_figures(row)) for row in rows]
        lines = table(CLIENT_COLUMNS, cells, screen)
    yield from lines
    if len(rows) < total:
        yield f"{len(rows)} of {total} connections"
    elif not rows:
        yield "no connections"


def _figures(row: Object) -> Sequence[object]:
    return (
        age_text(row["age_seconds"]),
        byte_text(row["bytes_in"]),
        byte_text(row["bytes_out"]),
        milliseconds_text(row["rtt_ms"]),
        row["retransmits"],
    )


def _service(row: Object) -> object:
    """Return where a connection leads; of a visitor's user that is its own socket."""
    ends = row["socket"]
    if ends is None:
        return None
    return ends["local"] if ends["remote"] == row["visitor"] else ends["remote"]


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:9]) <= MOST):
        raise argparse.ArgumentTypeError(f"{text}: accepted: a whole number up to {MOST}")
    return int(text)


COMMAND = Command("conns", "list the connections that run", _add_arguments, _run)
