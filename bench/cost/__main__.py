"""What one operation costs each end, side by side: python -m bench.cost.

Processor time of both ends, split into user and system, while a scenario of bench.tunnel runs;
then, in a run of its own, the system calls they make, counted by strace: it slows them, so that
a loop finds more to do at each turn than it would, and has fewer calls for each.

    python -m bench.cost \
        --impl frpd='.venv/bin/frps -c|.venv/bin/frpc -c' \
        --impl go='/opt/frp/frps -c|/opt/frp/frpc -c' --only cps,rtt_1
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from bench.alone import alone
from bench.cost.measure import processor, system_calls, turn
from bench.cost.table import Cost, rows, table
from bench.tunnel.__main__ import chosen, implementations, raise_file_limit
from bench.tunnel.backends import find_tools
from bench.tunnel.processes import MeasurementError
from bench.tunnel.turns import say

if TYPE_CHECKING:
    from bench.tunnel.backends import Tools
    from bench.tunnel.implementations import Implementation
    from bench.tunnel.scenarios import Scenario

DEFAULT: Final = "cps,rtt_1,http_vhost,http_close,udp,bulk_up"
OPERATIONS: Final = {
    "cps": "visitor: connect, 64 B, echo, close",
    "rtt_1": "round trip of 64 B",
    "rtt_64": "round trip of 64 B, 64 at once",
    "http_tcp": "GET through a tcp proxy",
    "http_vhost": "GET to a virtual host",
    "http_close": "the same, closing",
    "udp": "datagram of 512 B and its echo",
    "bulk_up": "megabyte up",
    "bulk_down": "megabyte down",
}
"""What a row calls the operation of a scenario; others go by the scenario's name."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser(
        prog="python -m bench.cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument("--impl", action="append", default=[], metavar="NAME=SERVER|CLIENT")
    line.add_argument("--set", action="append", default=[], metavar="NAME:KEY=VALUE")
    line.add_argument("--only", default=DEFAULT, help="default: %(default)s")
    line.add_argument("--rounds", type=int, default=3, help="the cheapest counts")
    line.add_argument("--seconds", type=float, default=3.0, help="length of one load")
    line.add_argument("--no-calls", action="store_true", help="without strace")
    line.add_argument("--lock", type=Path, help="hold this file's lock (flock) for each load")
    return line


class Run:
    """A whole run, and what could not be measured."""

    def __init__(self, options: argparse.Namespace, tools: Tools, folder: Path) -> None:
        self._options = options
        self._tools = tools
        self._folder = folder
        self.failures: list[str] = []

    def costs(self, scenario: Scenario, one: Implementation) -> tuple[Cost, Cost]:
        """Return what it costs both ends of one implementation."""
        ends = (Cost(), Cost())
        for number in range(self._options.rounds):
            self._round(f"round {number + 1}", scenario, one, ends)
        if not self._options.no_calls:
            self._round("system calls", scenario, one, ends)
        return ends

    def _round(
        self, kind: str, scenario: Scenario, one: Implementation, ends: tuple[Cost, Cost]
    ) -> None:
        what = f"{scenario.name}: {one.name}, {kind}"
        say(what)
        seconds = self._options.seconds
        try:
            with (
                alone(self._options.lock),
                turn(scenario, one, self._tools, seconds, self._folder) as running,
            ):
                if kind == "system calls":
                    calls = system_calls(scenario, running, self._folder)
                    for end, each in zip(ends, calls, strict=True):
                        end.calls = each
                else:
                    for end, used in zip(ends, processor(scenario, running), strict=True):
                        end.rounds.append(used)
        except (MeasurementError, OSError, psutil.Error, subprocess.SubprocessError) as error:
            self.failures.append(f"{what}: {error}")
            say(self.failures[-1])


def run(options: argparse.Namespace, folder: Path) -> int:
    """Measure, print the table of what was done; return the exit code."""
    everyone = implementations(options.impl, options.set)
    scenarios = chosen(options.only)
    tools = find_tools([tool for one in scenarios for tool in one.tools], folder)
    raise_file_limit()
    whole = Run(options, tools, folder)
    lines: list[str] = []
    try:
        for scenario in scenarios:
            what = OPERATIONS.get(scenario.name, scenario.name)
            for one in everyone:
                lines += rows(what, one.name, whole.costs(scenario, one))
    finally:
        print(table(lines), flush=True)
    return int(bool(whole.failures))


def main() -> int:
    """Return 0 when everything was measured, 1 when something failed, 2 for a wrong request."""
    options = parser().parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="frpd-cost-"))
    try:
        return run(options, folder)
    except (ValueError, MeasurementError) as error:
        say(f"bench.cost: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
