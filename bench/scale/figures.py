"""All figures of a run or of several: kept as JSON, shown as medians."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale.points import Figures

KIB: Final = 1024
LEAST_FOR_SLOPE: Final = 100
"""Among fewer, what one costs is lost in what the rest of the program does."""


@dataclass(slots=True)
class Kept:
    """Rounds by curve, implementation and count.

    Attributes:
        about: the machine and the commands.
    """

    about: dict[str, Any] = field(default_factory=dict)
    rounds: dict[str, dict[str, dict[int, list[Figures]]]] = field(default_factory=dict)

    def add(self, curve: str, name: str, count: int, figures: Figures) -> None:
        """Keep one round of one point."""
        points = self.rounds.setdefault(curve, {}).setdefault(name, {})
        points.setdefault(count, []).append(figures)

    def medians(self, curve: str) -> dict[str, dict[int, Figures]]:
        """Return the median of each figure, by implementation and count, in rising order."""
        return {
            name: {
                count: {key: statistics.median(one[key] for one in each) for key in each[0]}
                for count, each in sorted(points.items())
            }
            for name, points in self.rounds.get(curve, {}).items()
        }

    def save(self, path: Path) -> None:
        """Write everything."""
        path.write_text(json.dumps({"about": self.about, "rounds": self.rounds}, indent=1) + "\n")


def load(path: Path) -> Kept:
    """Read what save() has written; a missing file is empty."""
    if not path.exists():
        return Kept()
    told = json.loads(path.read_text())
    rounds = {
        curve: {
            name: {int(count): each for count, each in points.items()}
            for name, points in everyone.items()
        }
        for curve, everyone in told["rounds"].items()
    }
    return Kept(told["about"], rounds)


def each_kib(points: dict[int, Figures], count: int, key: str) -> float | None:
    """Return what one takes, in KiB: what is beyond the point of fewest, shared out."""
    least = min(points)
    if count < LEAST_FOR_SLOPE or count == least or key not in points[count]:
        return None
    return (points[count][key] - points[least][key]) * KIB / (count - least)


def table(curve: str, medians: dict[str, dict[int, Figures]]) -> str:
    """Return the figures of a curve as a table in Markdown."""
    lines = [
        f"| {curve} | who | all there | frps | frpc | each, frps | each, frpc | round trip, p99 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    counts = sorted({count for points in medians.values() for count in points})
    for count in counts:
        for name, points in medians.items():
            if count in points:
                cells = [f"{count:,}", name, *_cells(points, count)]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(points: dict[int, Figures], count: int) -> list[str]:
    figures = points[count]
    sizes = [figures.get("frps_mib"), figures.get("frpc_mib")]
    each = [each_kib(points, count, key) for key in ("frps_own_mib", "frpc_own_mib")]
    return [
        f"{figures['seconds']:.2f} s",
        *("" if size is None else f"{size:.1f} MiB" for size in sizes),
        *("" if size is None else f"{size:.1f} KiB" for size in each),
        f"{figures['p50_us']:,.0f} us, {figures['p99_us']:,.0f}",
    ]
