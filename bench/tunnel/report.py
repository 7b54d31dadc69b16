"""From rounds to medians, spreads and ratios; a table for people, JSON for programs."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.tunnel.loads import Figures
    from bench.tunnel.turns import Result

    Results = Mapping[str, Mapping[str, Result]]


@dataclass(frozen=True, slots=True)
class Figure:
    """How a figure is written, and which way is better."""

    unit: str
    less_is_better: bool
    digits: int = 0


FIGURES: Final = {
    "gbit_s": Figure("Gbit/s", less_is_better=False, digits=2),
    "per_s": Figure("/s", less_is_better=False),
    "ready_s": Figure("s", less_is_better=True, digits=2),
    "kib_per_connection": Figure("KiB", less_is_better=True, digits=1),
    "cpu_s_per_gb": Figure("CPU s/GB", less_is_better=True, digits=2),
    "cpu_us_per_op": Figure("CPU us each", less_is_better=True, digits=1),
    "cpu_s": Figure("CPU s", less_is_better=True, digits=2),
    "server_ready_s": Figure("s server", less_is_better=True, digits=2),
    "base_mib": Figure("MiB unloaded", less_is_better=True, digits=1),
    "opened_per_s": Figure("opened/s", less_is_better=False),
    "p50_us": Figure("us p50", less_is_better=True),
    "p99_us": Figure("us p99", less_is_better=True),
    "lost_pct": Figure("% lost", less_is_better=True, digits=2),
    "errors": Figure("errors", less_is_better=True),
}
_CPU: Final = ("cpu_s_per_gb", "cpu_us_per_op", "cpu_s")
_CELL_CHARS: Final = 200
_HEAD: Final = ("scenario", "who", "median", "min - max", "ratio", "CPU", "CPU ratio", "beside")


def medians(rounds: Sequence[Figures]) -> Figures:
    """Return the median of each figure that every round has."""
    if not rounds:
        return {}
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def ratio(figure: str, mine: float, base: float) -> float | None:
    """Return how many times as good as the base; above 1 is better, whatever the figure."""
    over, under = (base, mine) if FIGURES[figure].less_is_better else (mine, base)
    return over / under if over > 0 and under > 0 else None


def written(figure: str, value: float) -> str:
    """Return the value with its unit."""
    kind = FIGURES[figure]
    space = "" if kind.unit.startswith("/") else " "
    return f"{value:,.{kind.digits}f}{space}{kind.unit}"


def rows(
    scenario: str, figure: str, results: Mapping[str, Result], base: str
) -> list[tuple[str, ...]]:
    """Return the table's rows of one scenario, one per implementation."""
    base_medians = medians(results[base].rounds)
    lines: list[tuple[str, ...]] = []
    for name, result in results.items():
        mine = medians(result.rounds)
        if not mine:
            why = _short(f"skipped: {result.skipped}") if result.skipped else _failures(result)
            lines.append((scenario, name, "-", "", "", "", "", why))
            continue
        cpu = next((one for one in _CPU if one in mine), "")
        values = [one[figure] for one in result.rounds]
        spread = " - ".join(f"{end:,.{FIGURES[figure].digits}f}" for end in _ends(values))
        own = name == base
        lines.append(
            (
                scenario,
                name,
                written(figure, mine[figure]),
                spread,
                "base" if own else _times(figure, mine, base_medians),
                written(cpu, mine[cpu]) if cpu else "",
                "" if own or not cpu else _times(cpu, mine, base_medians),
                _beside(mine, {figure, cpu}, result),
            )
        )
    return lines


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _times(figure: str, mine: Figures, base: Figures) -> str:
    if figure not in base:
        return "no base"
    value = ratio(figure, mine[figure], base[figure])
    return "-" if value is None else f"{value:.2f}x"


def _beside(mine: Figures, shown: set[str], result: Result) -> str:
    rest = [written(name, value) for name, value in mine.items() if name not in shown]
    rest = [text for text in rest if text not in ("0 errors", "0.00 % lost")]
    return ", ".join(rest + ([_failures(result)] if result.failures else []))


def _failures(result: Result) -> str:
    text = result.failures[0] if result.failures else "no rounds"
    return _short(f"failed in {len(result.failures)} rounds: {text}")


def _short(text: str) -> str:
    """Return what a table can hold; the JSON has it all."""
    cut = text if len(text) <= _CELL_CHARS else text[: _CELL_CHARS - 3] + "..."
    return cut.replace("|", "/")


def table(lines: Sequence[tuple[str, ...]]) -> str:
    """Return a table in Markdown whose columns line up as text as well."""
    every = [_HEAD, *lines]
    widths = [max(len(line[column]) for line in every) for column in range(len(_HEAD) - 1)]
    rule = (*("-" * width for width in widths), "---")
    out = []
    for line in (_HEAD, rule, *lines):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        out.append("| " + " | ".join([*cells, line[-1]]) + " |")
    return "\n".join(out)


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load_average_at_start": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "python": platform.python_version(),
    }


def as_json(results: Results, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything: every round, medians, failures."""
    return {
        **about,
        "scenarios": {
            scenario: {
                name: {
                    "median": medians(result.rounds),
                    "rounds": result.rounds,
                    "failures": result.failures,
                    "skipped": result.skipped,
                }
                for name, result in each.items()
            }
            for scenario, each in results.items()
        },
    }
