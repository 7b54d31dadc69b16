"""``frpd-ctl reload``: have a program read its file again, and say what that changed."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any, Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import RELOAD_SECONDS, add_daemon_flags, the_daemon
from frpd.cli.ctl.show import View, add_show_flags, show
from frpd.cli.ctl.tables import Screen, wrapped
from frpd.cli.ctl.units import plain

LISTS: Final = (
    ("added", "added"),
    ("removed", "removed"),
    ("changed", "changed"),
    ("not_live", "needs a restart"),
)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_daemon_flags(parser)
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    add_show_flags(parser, watch=False)


def _run(options: argparse.Namespace) -> int:
    daemon = the_daemon(options)
    path = "/api/reload?strict=true" if options.strict else "/api/reload"
    report = daemon.send("POST", path, seconds=RELOAD_SECONDS)
    facts = {"program": daemon.program, **report}
    return show(options, lambda: View(facts, lambda screen: _lines(facts, screen)))


def _lines(report: Mapping[str, Any], screen: Screen) -> Iterable[str]:
    for warning in report["warnings"]:
        yield from wrapped(plain(f"warning: {warning}"), screen, rest="  ")
    yield f"{report['program']} has read its file again"
    for key, title in LISTS:
        if report[key]:
            yield from wrapped(plain(", ".join(report[key])), screen, f"  {title}: ", "    ")
    if not any(report[key] for key, _ in LISTS):
        yield "  nothing has changed"


COMMAND = Command("reload", "have the program read its file again", _add_arguments, _run)
