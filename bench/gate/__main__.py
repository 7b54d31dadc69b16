"""Tell which rows of bench.tunnel the tree at hand has made dearer than noise explains.

The baseline is a commit, stored for this machine. Its tree and the one at hand
take turns (A B A B). A row is slower when both its cheapest and its median round
are: in processor time of one operation, or memory of one idle connection. Rows
that look slower are measured again, with twice the rounds, before they are
called so. Other work on the machine makes the verdict worth less.

    python -m bench.gate --store            # make bench-baseline: HEAD is the baseline
    python -m bench.gate --only cps,rtt_1   # make bench-gate; exit code 1: something is slower
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.gate.baseline import (
    checked_out,
    compiled,
    git,
    load,
    programs,
    store,
    with_bytecode,
)
from bench.gate.verdicts import Verdict, exit_code, judge, table, together
from bench.tunnel.__main__ import chosen, raise_file_limit
from bench.tunnel.backends import find_tools
from bench.tunnel.processes import MeasurementError
from bench.tunnel.turns import Plan, run_scenario, say

if TYPE_CHECKING:
    from bench.tunnel.scenarios import Scenario

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = ROOT / "build" / "bench-baseline.json"
ROWS: Final = (
    "start,bulk_up,bulk_nomux,encrypted,rtt_1,rtt_64,cps,cps_nomux,http_vhost,http_close,udp,idle"
)
_BASELINE: Final = "baseline"
_NOW: Final = "now"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser(
        prog="python -m bench.gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument(
        "--store", nargs="?", const="HEAD", metavar="REVISION", help="make it the baseline, and end"
    )
    line.add_argument("--baseline", type=Path, default=FILE, metavar="FILE")
    line.add_argument("--only", default=ROWS, metavar="ROWS", help="default: %(default)s")
    line.add_argument("--rounds", type=int, default=3)
    line.add_argument("--seconds", type=float, default=2.0, help="length of one load")
    line.add_argument(
        "--tolerance", type=float, default=8.0, metavar="PERCENT", help="default: %(default)s"
    )
    return line


def verdict(scenario: Scenario, plan: Plan, tolerance: float) -> Verdict:
    """Measure one row, and again with twice the rounds if it looks slower."""
    results = run_scenario(scenario, plan)
    first = judge(scenario.name, results[_BASELINE], results[_NOW], tolerance)
    if not first.bad:
        return first
    say(f"{scenario.name}: {first.words}? Once more")
    more = run_scenario(scenario, dataclasses.replace(plan, rounds=2 * plan.rounds))
    both = {name: together(results[name], more[name]) for name in results}
    return judge(scenario.name, both[_BASELINE], both[_NOW], tolerance)


def keep(file: Path, revision: str) -> int:
    """Store the baseline; return the exit code."""
    stored = store(file, ROOT, revision)
    print(f"{file}: {stored.commit[:12]}")
    if git(ROOT, "status", "--porcelain", "--untracked-files=no"):
        print("What is not committed is not in it.")
    return 0


def run(options: argparse.Namespace, folder: Path) -> int:
    """Measure and print the table, also of what was done when interrupted; return the exit code."""
    if options.store is not None:
        return keep(options.baseline, options.store)
    baseline = load(options.baseline)
    scenarios = chosen(options.only)
    tools = find_tools([tool for one in scenarios for tool in one.tools], folder)
    raise_file_limit()
    verdicts: list[Verdict] = []
    load_at_start = os.getloadavg()[0]
    with checked_out(ROOT, baseline.commit, folder / "tree") as tree:
        pair = [programs(_BASELINE, tree), programs(_NOW, ROOT)]
        if compiled(ROOT):
            say(
                f"{compiled(ROOT)} modules are compiled in the tree at hand, none in the baseline's"
            )
        for each in (tree, ROOT):
            with_bytecode(each)
        plan = Plan(pair, tools, folder, options.rounds, options.seconds)
        try:
            verdicts.extend(verdict(one, plan, options.tolerance / 100) for one in scenarios)
        finally:
            print(f"baseline: {baseline.commit[:12]}, stored {baseline.date}")
            print(f"load average at start and end: {load_at_start:.1f}, {os.getloadavg()[0]:.1f}\n")
            print(table(verdicts), flush=True)
    return exit_code(verdicts)


def main() -> int:
    """Return 0: nothing slower; 1: something is; 2: that could not be told."""
    options = parser().parse_args()
    # What ends this program runs the clean-up of every block on its way out.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(2))
    folder = Path(tempfile.mkdtemp(prefix="frpd-gate-"))
    try:
        return run(options, folder)
    except (ValueError, MeasurementError) as error:
        say(f"bench.gate: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
