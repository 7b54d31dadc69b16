"""Curves as SVG: the same bytes for the same figures, readable on light and on dark ground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bench.tunnel.processes import MeasurementError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale.figures import Kept
    from bench.scale.points import Figures

PANELS: Final = (
    ("frps_mib", "memory of frps, MiB"),
    ("frpc_mib", "memory of frpc, MiB"),
    ("seconds", "until all are there, s"),
    ("p50_us", "round trip beside them, us"),
)
COLOURS: Final = ("#1f86d6", "#d9660f", "#0f9d74", "#b565a7")
# A middle grey: 4.6 to 1 on white, 4.1 to 1 on what dark pages have.
GREY: Final = "#6e7781"
LOOK: Final[Any] = {
    "svg.hashsalt": "frpd",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "grid.color": GREY,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}
_INCHES: Final = (4.2, 2.5)
"""Of one panel; two stand side by side."""


def draw(kept: Kept, folder: Path) -> list[Path]:
    """Write scale-CURVE.svg for each curve with two points or more; return the files.

    Raises:
        MeasurementError: matplotlib is missing.
    """
    drawn = []
    for curve in kept.rounds:
        medians = kept.medians(curve)
        if any(len(points) > 1 for points in medians.values()):
            path = folder / f"scale-{curve}.svg"
            _draw(curve, medians, path)
            drawn.append(path)
    return drawn


def series(points: dict[int, Figures], key: str) -> tuple[list[int], list[float]]:
    """Return counts and values of one line; none where the figure is not measured."""
    known = [(count, figures[key]) for count, figures in points.items() if key in figures]
    return [count for count, _ in known], [value for _, value in known]


def _draw(curve: str, medians: dict[str, dict[int, Figures]], path: Path) -> None:
    try:
        # seldom wanted, and heavy
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise MeasurementError(
            "plots need matplotlib: .venv/bin/pip install -e '.[bench]', or Debian's"
            " python3-matplotlib; --json keeps the figures for --plot"
        ) from None
    every = [points for by_count in medians.values() for points in by_count.values()]
    panels = [(key, title) for key, title in PANELS if any(key in one for one in every)]
    with mpl.rc_context(LOOK):
        rows = -(-len(panels) // 2)
        figure = Figure(figsize=(2 * _INCHES[0], rows * _INCHES[1]), layout="constrained")
        for number, (key, title) in enumerate(panels, start=1):
            axis: Any = figure.add_subplot(rows, 2, number)
            _panel(axis, medians, key, title)
            axis.set_xlabel(curve)
            if number == 1:
                axis.legend(loc="upper left")
        # neither a date nor a version: the same figures shall be the same file
        figure.savefig(
            path, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )


def _panel(axis: Any, medians: dict[str, dict[int, Figures]], key: str, title: str) -> None:
    for number, (name, points) in enumerate(medians.items()):
        counts, values = series(points, key)
        if counts:
            colour = COLOURS[number % len(COLOURS)]
            axis.plot(counts, values, "o-", color=colour, label=name, markersize=3, linewidth=1.5)
    axis.set_title(title)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.minorticks_off()
    axis.set_ylim(bottom=0)
    axis.grid(visible=True, axis="y")
