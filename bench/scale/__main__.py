"""How time and memory grow, side by side: python -m bench.scale.

connections: 1 to 10,000 idle visitors; proxies: 1 to 1,000 of one client; clients: 1 to 500
with a proxy each, all of them frpd's and in one process whoever the server is. Each point has a
tunnel of its own: seconds until all are there, the memory (PSS) of each end a second later, and
the round trip of 64 bytes of one active visitor beside them.

    python -m bench.scale \
        --impl frpd='.venv/bin/frps -c|.venv/bin/frpc -c' \
        --impl go='/opt/frp/frps -c|/opt/frp/frpc -c' --json scale.json
    python -m bench.scale --plot scale.json

What --json finds in its file stays, and the new rounds are added; figures are medians.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from bench.alone import alone
from bench.scale import figures, plots
from bench.scale.points import CURVES, Curve, measure
from bench.tunnel import report
from bench.tunnel.__main__ import implementations, raise_file_limit
from bench.tunnel.processes import MeasurementError
from bench.tunnel.turns import say

if TYPE_CHECKING:
    from bench.tunnel.implementations import Implementation

IMAGES: Final = Path(__file__).parents[2] / "docs/images"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser(
        prog="python -m bench.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument("--impl", action="append", default=[], metavar="NAME=SERVER|CLIENT")
    line.add_argument("--set", action="append", default=[], metavar="NAME:KEY=VALUE")
    line.add_argument("--curves", help="with commas; default: all")
    line.add_argument("--counts", help="with commas; default: those of the curve")
    line.add_argument("--rounds", type=int, default=1)
    line.add_argument("--json", type=Path, help="add the figures to this file")
    line.add_argument("--plot", type=Path, metavar="FILE.json", help="only draw what was kept")
    line.add_argument("--images", type=Path, default=IMAGES, help="where plots go: %(default)s")
    line.add_argument("--lock", type=Path, help="hold this file's lock (flock) for each point")
    return line


def chosen(curves: str | None, counts: str | None) -> list[Curve]:
    """Return the curves of --curves, at the sizes of --counts.

    Raises:
        ValueError: a curve is unknown, or a size is no number above 0.
    """
    wanted = [one.name for one in CURVES] if curves is None else curves.split(",")
    unknown = set(wanted) - {one.name for one in CURVES}
    if unknown:
        raise ValueError(f"unknown curves: {', '.join(sorted(unknown))}")
    found = [one for one in CURVES if one.name in wanted]
    if counts is None:
        return found
    sizes = tuple(int(text) for text in counts.split(","))
    if min(sizes) < 1:
        raise ValueError("--counts begin at 1")
    return [dataclasses.replace(one, counts=sizes) for one in found]


def run(options: argparse.Namespace, folder: Path) -> int:
    """Measure, keep, print; return the exit code."""
    everyone = implementations(options.impl, options.set)
    curves = chosen(options.curves, options.counts)
    raise_file_limit()
    kept = figures.load(options.json) if options.json else figures.Kept()
    kept.about = {
        "machine": report.machine(),
        "implementations": [dataclasses.asdict(one) for one in everyone],
        "ended": time.strftime("%Y-%m-%d"),
    }
    failures = 0
    for curve in curves:
        for count in curve.counts * options.rounds:
            for one in everyone:
                with alone(options.lock):
                    failures += not point(curve, count, one, kept, folder)
            if options.json:
                kept.save(options.json)
        print(figures.table(curve.name, kept.medians(curve.name)), end="\n\n", flush=True)
    return int(failures > 0)


def point(curve: Curve, count: int, one: Implementation, kept: figures.Kept, folder: Path) -> bool:
    """Measure one point; return whether that went well."""
    what = f"{curve.name}: {count:,}, {one.name}"
    say(what)
    try:
        kept.add(curve.name, one.name, count, measure(curve, one, count, folder))
    except (MeasurementError, OSError, psutil.Error, subprocess.SubprocessError) as error:
        say(f"{what}: {error}")
        return False
    return True


def main() -> int:
    """Return 0 when everything was measured, 1 when something failed, 2 for a wrong request."""
    options = parser().parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="frpd-scale-"))
    try:
        if options.plot is not None:
            print(*plots.draw(figures.load(options.plot), options.images), sep="\n")
            return 0
        return run(options, folder)
    except (ValueError, MeasurementError) as error:
        say(f"bench.scale: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
