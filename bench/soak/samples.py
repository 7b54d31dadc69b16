"""Samples of a soak: columns of numbers that take little room, whatever the time."""

from __future__ import annotations

import csv
import json
import math
from array import array
from pathlib import Path
from typing import Final

import psutil

from bench.ground import scrape
from bench.lag import percentile
from bench.soak.slopes import Slope, slope, sparkline
from bench.soak.world import World

MIB: Final = 1 << 20
BOUNDS: Final = {"mib": 1.0, "files": 2.0, "threads": 1.0}
"""Most that a long-living program may grow by in an hour, beyond doubt."""
LATENCY_SHARE: Final = 0.5
"""Most that latencies may grow by in an hour, beyond doubt, as a share of their level; in
microseconds no less than:"""
LATENCY_LEAST_US: Final = 100.0
PICTURE: Final = 30


class Samples:
    """Columns of figures, all of one length."""

    def __init__(self) -> None:
        self.times = array("d")
        self.columns: dict[str, array[float]] = {}

    def add(self, now: float, row: dict[str, float]) -> None:
        """Add a row; every row has the columns of the first."""
        if not self.columns:
            self.columns = {name: array("d") for name in row}
        self.times.append(now)
        for name, column in self.columns.items():
            column.append(row.get(name, math.nan))

    def steady(self, name: str, warm_up: float) -> tuple[list[float], list[float]]:
        """Return times and values of a column from a time on, without gaps."""
        begun = self.times[0] + warm_up if self.times else 0.0
        pairs = [
            (at, value)
            for at, value in zip(self.times, self.columns[name], strict=True)
            if at >= begun and not math.isnan(value)
        ]
        return [at for at, _ in pairs], [value for _, value in pairs]

    def slope(self, name: str, warm_up: float) -> Slope:
        """Return what a column does."""
        return slope(*self.steady(name, warm_up))

    def write(self, path: Path) -> None:
        """Write all of it, as JSON or (with .csv) as a table."""
        if path.suffix == ".csv":
            with path.open("w", newline="") as file:
                table = csv.writer(file)
                table.writerow(["time", *self.columns])
                table.writerows(zip(self.times, *self.columns.values(), strict=True))
        else:
            columns = {name: list(values) for name, values in self.columns.items()}
            path.write_text(json.dumps({"time": list(self.times), **columns}))


class Watcher:
    """Takes samples of the programs that live all the time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._programs = {
            name: psutil.Process(child.process.pid) for name, child in world.lasting.items()
        }
        self._turns: dict[str, float] = {}

    def row(self, latencies: list[float]) -> dict[str, float]:
        """Return a row; latencies are those since the last one, in seconds."""
        found: dict[str, float] = {}
        for name, program in self._programs.items():
            memory = program.memory_full_info()
            found[f"{name} mib"] = memory.pss / MIB
            found[f"{name} files"] = float(self.files(name))
            found[f"{name} threads"] = float(program.num_threads())
        for part in (0.5, 0.99):
            late = percentile(latencies, part) if latencies else math.nan
            found[f"probe p{part * 100:.0f} us"] = late * 1e6
        return found | self._lag()

    def files(self, name: str) -> int:
        """Return how many descriptors a program has; pipes come and go, some are kept."""
        links = Path(f"/proc/{self._programs[name].pid}/fd")
        return sum(not _is_pipe(link) for link in links.iterdir())

    def _lag(self) -> dict[str, float]:
        """Return which share of the turns of frps since the last sample was so long."""
        now = {
            name: value
            for name, value in scrape(self._world.port["admin"]).items()
            if name.startswith("frpd_loop_turn_seconds_bucket")
        }
        since = {name: value - self._turns.get(name, 0.0) for name, value in now.items()}
        self._turns = now
        count = since['frpd_loop_turn_seconds_bucket{le="+Inf"}'] or 1.0
        above = 1 - since['frpd_loop_turn_seconds_bucket{le="0.01"}'] / count
        return {"frps turns above 10 ms in 1000": above * 1e3}


def _is_pipe(link: Path) -> bool:
    try:
        return str(link.readlink()).startswith("pipe:")
    except FileNotFoundError:
        return True


def report(samples: Samples, warm_up: float) -> tuple[list[str], list[str]]:
    """Return a table, and what grows that should not."""
    lines = ["| figure | level | in an hour | | bound |", "|---|---|---|---|---|"]
    broken = []
    for name in samples.columns:
        found, bound = samples.slope(name, warm_up), bound_of(name, samples, warm_up)
        picture = sparkline(samples.steady(name, warm_up)[1], PICTURE)
        change = f"{found.per_hour:+,.2f} ± {found.give_or_take:,.2f}"
        limit = "" if bound is None else f"{bound:,.1f}"
        lines.append(f"| {name} | {found.level:,.1f} | {change} | {picture} | {limit} |")
        if bound is not None and found.exceeds(bound):
            broken.append(f"{name}: {change} in an hour, and {limit} would be allowed")
    return lines, broken


def bound_of(name: str, samples: Samples, warm_up: float) -> float | None:
    """Return by how much a column may grow in an hour; None for any."""
    if name.startswith("probe"):
        level = samples.slope(name, warm_up).level
        return max(LATENCY_SHARE * level, LATENCY_LEAST_US)
    return BOUNDS.get(name.rpartition(" ")[2])
