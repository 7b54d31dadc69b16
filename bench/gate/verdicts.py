"""From rounds of two trees to a verdict for each row: what it costs now, and what it did.

Other work on a machine makes everything dearer and nothing cheaper, so the cheapest round of each
tree says most. It can be luck, so the medians have to agree: what counts is the smaller of the
two ratios. Rates bend with the load, and are told only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.tunnel import report
from bench.tunnel.turns import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.tunnel.loads import Figures

COSTS: Final = ("cpu_us_per_op", "cpu_s_per_gb", "kib_per_connection", "cpu_s")
"""The first of these that a row has is what it is judged by; less is better for all."""
RATES: Final = ("per_s", "gbit_s", "opened_per_s", "ready_s")

_HEAD: Final = ("row", "baseline", "now", "cost", "verdict", "rate, told only")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row.

    Attributes:
        words: not slower; slower; lost: it fails now; or why nothing can be said.
        times: what it costs now for each 1 that it did, in favour of now.
    """

    row: str
    words: str
    baseline: str = ""
    now: str = ""
    times: float | None = None
    rates: str = ""

    @property
    def bad(self) -> bool:
        """Whether the tree at hand may not go on like this."""
        return self.words.startswith(("slower", "lost"))

    @property
    def judged(self) -> bool:
        """Whether anything could be said."""
        return self.bad or self.times is not None


def judge(row: str, baseline: Result, now: Result, tolerance: float) -> Verdict:
    """Compare cheapest and median rounds; ``tolerance``: how much more is the same (0.08)."""
    if not baseline.rounds:
        return Verdict(row, f"nothing to compare with: {_why(baseline)}")
    if not now.rounds:
        return Verdict(row, f"lost: {_why(now)}")
    figure = next((one for one in COSTS if one in now.rounds[0]), None)
    if figure is None:
        return Verdict(row, "it has no cost that could be judged")
    before, after = cheapest(figure, baseline.rounds), cheapest(figure, now.rounds)
    middle = report.medians(baseline.rounds)[figure]
    if min(before, after, middle) <= 0:
        return Verdict(row, "too short to tell")
    times = min(after / before, report.medians(now.rounds)[figure] / middle)
    words = "slower" if times > 1 + tolerance else "not slower"
    costs = report.written(figure, before), report.written(figure, after)
    return Verdict(row, words, *costs, times, rates(baseline.rounds, now.rounds))


def cheapest(figure: str, rounds: Sequence[Figures]) -> float:
    """Return the least that the figure was."""
    return min(one[figure] for one in rounds)


def rates(baseline: Sequence[Figures], now: Sequence[Figures]) -> str:
    """Return the medians of the row's rate, before and after."""
    before, after = report.medians(baseline), report.medians(now)
    name = next((one for one in RATES if one in before and one in after), None)
    if name is None:
        return ""
    return f"{report.written(name, before[name])}, now {report.written(name, after[name])}"


def together(first: Result, second: Result) -> Result:
    """Return the rounds of both."""
    rounds = first.rounds + second.rounds
    return Result(rounds, first.failures + second.failures, first.skipped or second.skipped)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return 1 if a row is slower or lost, 2 if one could not be judged, else 0."""
    every = list(verdicts)
    if any(one.bad for one in every):
        return 1
    return 0 if every and all(one.judged for one in every) else 2


def table(verdicts: Iterable[Verdict]) -> str:
    """Return them for people, in Markdown."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|---" * len(_HEAD) + "|"]
    for one in verdicts:
        times = "" if one.times is None else f"{one.times:.2f}x"
        words = one.words.replace("|", "/")
        cells = (one.row, one.baseline, one.now, times, words, one.rates)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _why(result: Result) -> str:
    return result.skipped or next(iter(result.failures), "no rounds")
