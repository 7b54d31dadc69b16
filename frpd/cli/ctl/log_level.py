"""``frpd-ctl log-level``: show or change how much a program logs, until it restarts."""

from __future__ import annotations

import argparse
from typing import Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import add_daemon_flags, the_daemon
from frpd.cli.ctl.show import View, add_show_flags, show

LEVELS: Final = ("trace", "debug", "info", "warn", "error")
PATH: Final = "/api/log-level"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("level", nargs="?", choices=LEVELS, metavar="LEVEL", help=", ".join(LEVELS))
    add_daemon_flags(parser)
    add_show_flags(parser, watch=False)


def _run(options: argparse.Namespace) -> int:
    daemon = the_daemon(options)
    if options.level is None:
        facts = daemon.get(PATH)
        text = facts["level"]
    else:
        facts = daemon.send("PUT", PATH, {"level": options.level})
        text = f"{facts['level']} (was {facts['before']}), until a reload or a restart"
    return show(options, lambda: View({"program": daemon.program, **facts}, lambda _screen: [text]))


COMMAND = Command("log-level", "show or change the level of the log", _add_arguments, _run)
