"""``frpd-ctl penalties``: whom frps holds something against; ``--clear`` forgives."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import add_daemon_flags, the_daemon
from frpd.cli.ctl.show import View, add_show_flags, show
from frpd.cli.ctl.tables import BAD, Column, table
from frpd.cli.ctl.units import age_text

COLUMNS: Final = (
    *(Column("SOURCE"), Column("LEFT", True), Column("OFFENCES", True), Column("LAST")),
    *(Column("REFUSED", colours=(("yes", BAD),)), Column("AT")),
)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clear", metavar="ADDRESS|all", help="forgive this address, network or all"
    )
    add_daemon_flags(parser, sides=False)
    add_show_flags(parser)


def _run(options: argparse.Namespace) -> int:
    daemon = the_daemon(options, "frps")
    if options.clear:
        asked = {"source": options.clear}
        cleared = daemon.send("POST", "/api/frpd/penalties/clear", asked)["cleared"]
        text = _cleared_text(options.clear, cleared)
        return show(options, lambda: View(asked | {"cleared": cleared}, lambda _screen: [text]))

    def look() -> View:
        found = daemon.get("/api/frpd/penalties")
        rows = found["penalties"]
        more = found["total"] - len(rows)

        return View(
            found,
            lambda screen: [
                *(table(COLUMNS, map(_cells, rows), screen) or ["nothing is held against anyone"]),
                *([f"and {more} more"] if rows and more > 0 else []),
            ],
        )

    return show(options, look)


def _cleared_text(source: str, cleared: int) -> str:
    if source == "all":
        return "1 source is forgiven" if cleared == 1 else f"{cleared} sources are forgiven"
    return f"{source} is forgiven" if cleared else f"nothing is held against {source}"


def _cells(row: Mapping[str, Any]) -> Sequence[object]:
    return (
        row["source"],
        age_text(row["seconds_left"]),
        row["offences"],
        row["last"],
        "yes" if row["is_refused"] else "no",
        row["proxy"] or "frps",
    )


COMMAND = Command(
    "penalties", "list whom frps holds something against (frps)", _add_arguments, _run
)
