"""``frpd-ctl doctor``: look for what is wrong, and say what to do about it."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from frpd.cli.ctl.command import Command
from frpd.cli.ctl.daemons import CtlError, Daemon, add_daemon_flags, all_daemons
from frpd.cli.ctl.files import side_of
from frpd.cli.ctl.show import screen
from frpd.cli.ctl.tables import BAD, DOUBTFUL, GOOD, PAPER, Screen, wrapped
from frpd.clock import MonotonicClock
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from frpd.cli.config_file import ConfigFile
    from frpd.cli.doctor.case import Case
    from frpd.cli.doctor.examine import Result

GREET_SECONDS: Final = 4.0
WORD_WIDTH: Final = 9
NAME_WIDTH: Final = 14
_COLOURS: Final = {"ok": GOOD, "warning": DOUBTFUL, "fault": BAD}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_daemon_flags(parser)
    parser.add_argument("--json", action="store_true", help="for programs: everything, as JSON")


def _run(options: argparse.Namespace) -> int:
    # It is slow to import, and no other command needs it.
    from frpd.cli.doctor.examine import examine  # noqa: PLC0415

    # The rooms that are borrowed from the daemons would write into the terminal.
    logging.getLogger("frpd").addHandler(logging.NullHandler())
    paper = PAPER if options.json else screen()
    reports = []
    found = cases(options)
    for case in found:
        results = []
        if not options.json and len(found) > 1:
            print(f"{case.program}:", flush=True)
        for result in examine(case):
            results.append(result)
            if not options.json:
                print(*lines_of(result, paper), sep="\n", flush=True)
        reports.append(report_of(case, results))
    if options.json:
        print(json.dumps(reports[0] if len(reports) == 1 else reports, indent=2))
    else:
        print(summary(reports))
    return 1 if any(report["faults"] for report in reports) else 0


def cases(options: argparse.Namespace) -> list[Case]:
    """Return what is to be examined: the file that was named, or all daemons that run.

    Raises:
        CtlError: no file was named, and no daemon answers.
    """
    # It is slow, as above.
    from frpd.cli.config_file import ConfigFile  # noqa: PLC0415
    from frpd.cli.doctor.case import WHOLE_SECONDS, Case  # noqa: PLC0415

    clock = MonotonicClock()
    deadline = clock.now() + WHOLE_SECONDS
    if options.config:
        file = ConfigFile.named(options.config, options.ini_dialect)
        return [Case(side_of(options), file, _daemon(options), deadline=deadline)]
    answers = all_daemons(options, seconds=GREET_SECONDS)
    daemons = [one for one in answers if isinstance(one, Daemon)]
    if not daemons:
        raise next(one for one in answers if isinstance(one, CtlError))
    return [Case(one.program, _file_of(one), one, deadline=deadline) for one in daemons]


def _daemon(options: argparse.Namespace) -> Daemon | str:
    try:
        found = all_daemons(options, seconds=GREET_SECONDS)[0]
    except ConfigError as error:
        return f"it is not known how to ask it ({error.message})"
    return found if isinstance(found, Daemon) else str(found)


def _file_of(daemon: Daemon) -> ConfigFile | None:
    # It is slow, as above.
    from frpd.cli.config_file import ConfigFile  # noqa: PLC0415

    path = daemon.about.get("config_file")
    return ConfigFile(path) if isinstance(path, str) and path else None


def lines_of(result: Result, paper: Screen) -> Iterator[str]:
    """Yield a finding for people."""
    finding = result.finding
    word = finding.verdict.value
    start = f"{word:<{WORD_WIDTH}}{result.check:<{NAME_WIDTH}}"
    blank = " " * len(start)
    first, *others = wrapped(finding.found, paper, start, blank)
    if paper.colour:
        first = f"\x1b[{_COLOURS[word]}m{word}\x1b[0m{first[len(word) :]}"
    yield first
    yield from others
    if finding.remedy:
        yield from wrapped(f"remedy: {finding.remedy}", paper, blank, blank + "  ")


def report_of(case: Case, results: Sequence[Result]) -> dict[str, Any]:
    """Return all that was found, for programs."""
    # It is slow, as above.
    from frpd.cli.doctor.examine import count  # noqa: PLC0415
    from frpd.cli.doctor.finding import Verdict  # noqa: PLC0415 - with the others

    return {
        "program": case.program,
        "file": case.file.path if case.file else None,
        "pid": case.pid or None,
        "faults": count(results, Verdict.FAULT),
        "warnings": count(results, Verdict.WARNING),
        "findings": [
            {
                "check": one.check,
                "verdict": one.finding.verdict.value,
                "found": one.finding.found,
                "remedy": one.finding.remedy,
            }
            for one in results
        ],
    }


def summary(reports: Iterable[dict[str, Any]]) -> str:
    """Return the last line."""
    faults, warnings = (sum(report[what] for report in reports) for what in ("faults", "warnings"))
    return f"{_number(faults, 'fault')}, {_number(warnings, 'warning')}"


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


COMMAND = Command("doctor", "find what is wrong, and the remedy", _add_arguments, _run)
