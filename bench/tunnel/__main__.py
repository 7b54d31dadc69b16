"""Measure tunnels side by side.

Two or more implementations of frp, or other tunnels, get the same work, one
at a time and in turns (A B A B), on loopback. Every figure is the median of
the rounds. A ratio above 1 is better than the base, whatever the figure.

    python -m bench.tunnel \
        --impl ours='.venv/bin/frps -c|.venv/bin/frpc -c' \
        --impl go='/opt/frp/frps -c|/opt/frp/frpc -c' --only bulk_up,rtt_64

The path of frp's ini file is appended to each command. One implementation's
server with another's client is one more --impl. What is no frp has its kind in
front: --impl ssh=ssh: --impl rathole=rathole:/opt/rathole (--list names them).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.tunnel import report
from bench.tunnel.backends import find_tools
from bench.tunnel.implementations import Implementation, parse_implementation
from bench.tunnel.kinds import KINDS
from bench.tunnel.processes import MeasurementError
from bench.tunnel.scenarios import SCENARIOS, Scenario
from bench.tunnel.turns import Plan, run_scenario, say

if TYPE_CHECKING:
    from bench.tunnel.turns import Result


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser(
        prog="python -m bench.tunnel",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument("--impl", action="append", default=[], metavar="NAME=[KIND:]SERVER|CLIENT")
    line.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME:KEY=VALUE",
        help="a line in [common] of both ini files of one that is frp",
    )
    line.add_argument("--base", help="whom the ratios compare with; default: the last --impl")
    line.add_argument("--only", help="scenarios, with commas; default: all")
    line.add_argument("--rounds", type=int, default=3)
    line.add_argument("--seconds", type=float, default=3.0, help="length of one load")
    line.add_argument("--json", type=Path, help="write all rounds into this file")
    line.add_argument("--keep", action="store_true", help="keep ini files and logs, say where")
    line.add_argument("--list", action="store_true", help="say what the scenarios are, and end")
    return line


def implementations(
    impls: list[str], settings: list[str], *, peers: bool = False
) -> list[Implementation]:
    """Read --impl and --set; with ``peers`` others than frp may be among them.

    Raises:
        ValueError: one has the wrong form or kind, a name twice, or --set an unknown name.
    """
    known = {one.name: one for one in map(parse_implementation, impls)}
    if not impls or len(known) < len(impls):
        raise ValueError("--impl is needed, each with a name of its own")
    strange = [one.name for one in known.values() if one.kind != "frp"]
    if strange and not peers:
        raise ValueError(f"not frp, and so not measured here: {', '.join(strange)}")
    for text in settings:
        name, colon, line = text.partition(":")
        if not colon or "=" not in line or name not in known:
            raise ValueError(f"--set {text!r} is not NAME:KEY=VALUE with a NAME of --impl")
        old = known[name]
        if old.kind != "frp":
            raise ValueError(f"--set {text!r}: {name} is no frp, and reads no such line")
        known[name] = dataclasses.replace(old, extra=(*old.extra, line.strip()))
    return list(known.values())


def chosen(only: str | None) -> list[Scenario]:
    """Return the scenarios of --only, in the table's order.

    Raises:
        ValueError: one is unknown.
    """
    if only is None:
        return list(SCENARIOS)
    wanted = {name.strip() for name in only.split(",")}
    unknown = wanted - {one.name for one in SCENARIOS}
    if unknown:
        raise ValueError(f"unknown scenarios: {', '.join(sorted(unknown))}; --list names all")
    return [one for one in SCENARIOS if one.name in wanted]


def raise_file_limit() -> None:
    """Let this program's children have as many open files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def measure(scenarios: list[Scenario], plan: Plan, base: str) -> dict[str, dict[str, Result]]:
    """Run everything; print the table, also of what was done when interrupted."""
    lines: list[tuple[str, ...]] = []
    results: dict[str, dict[str, Result]] = {}
    try:
        for scenario in scenarios:
            one = run_scenario(scenario, plan)
            results[scenario.name] = one
            lines += report.rows(scenario.name, scenario.figure, one, base)
    finally:
        print(report.table(lines), flush=True)
    return results


def run(options: argparse.Namespace, folder: Path) -> int:
    """Do what the command line asks, with files in ``folder``; return the exit code."""
    everyone = implementations(options.impl, options.set, peers=True)
    base = options.base or everyone[-1].name
    if base not in {one.name for one in everyone}:
        raise ValueError(f"--base {base}: no --impl has that name")
    scenarios = chosen(options.only)
    tools = find_tools([tool for one in scenarios for tool in one.tools], folder)
    raise_file_limit()
    about = {
        "machine": report.machine(),
        "base": base,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "implementations": [
            {**dataclasses.asdict(one), "note": KINDS[one.kind].note} for one in everyone
        ],
        "began": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    say(json.dumps(about["machine"]))
    plan = Plan(everyone, tools, folder, options.rounds, options.seconds)
    results = measure(scenarios, plan, base)
    for one in everyone:
        if KINDS[one.kind].note:
            print(f"\n{one.name}: {KINDS[one.kind].note}.")
    if options.json:
        text = json.dumps(report.as_json(results, about), indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
    return int(any(one.failures for each in results.values() for one in each.values()))


def main() -> int:
    """Return 0 when everything was measured, 1 when something failed, 2 for a wrong request."""
    options = parser().parse_args()
    if options.list:
        for scenario in SCENARIOS:
            needs = f" ({', '.join(scenario.tools)})" if scenario.tools else ""
            print(f"{scenario.name:<12} {scenario.about}{needs}")
        print("\nkinds of --impl:")
        for word, kind in KINDS.items():
            print(f"{word + ':':<12} {kind.about}")
        return 0
    # What ends this program runs the clean-up of every block on its way out.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="frpd-bench-"))
    try:
        return run(options, folder)
    except (ValueError, MeasurementError) as error:
        say(f"bench.tunnel: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        if options.keep:
            say(f"ini files and logs: {folder}")
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
