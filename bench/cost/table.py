"""Costs for people: a short table in Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.cost.ends import Cpu

LEAST_SHARE: Final = 0.03
"""Rarer calls are in the sum alone."""
HEAD: Final = "| one | who | end | CPU us | user | system | system calls | most of them |"


@dataclass(slots=True)
class Cost:
    """What one operation costs one end.

    Attributes:
        rounds: processor time, a round each.
        calls: system calls by name.
    """

    rounds: list[Cpu] = field(default_factory=list)
    calls: dict[str, float] = field(default_factory=dict)


def written_calls(calls: Mapping[str, float]) -> tuple[str, str]:
    """Return how many, and which, the most frequent first."""
    total = sum(calls.values())
    frequent = sorted(calls.items(), key=lambda item: (-item[1], item[0]))
    often = [f"{name} {count:.2f}" for name, count in frequent if count >= LEAST_SHARE * total]
    return (f"{total:.1f}" if calls else "", ", ".join(often))


def rows(what: str, name: str, ends: tuple[Cost, Cost]) -> list[str]:
    """Return a row for each end, with the round that took least: what else ran only adds."""
    lines = []
    for end, cost in zip(("frps", "frpc"), ends, strict=True):
        if cost.rounds:
            best = min(cost.rounds, key=lambda one: one.total)
            times = [f"{best.total:.1f}", f"{best.user:.1f}", f"{best.system:.1f}"]
            cells = [what, name, end, *times, *written_calls(cost.calls)]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def table(lines: Sequence[str]) -> str:
    """Return the whole table."""
    return "\n".join([HEAD, "|" + "---|" * HEAD.count(" |"), *lines])
