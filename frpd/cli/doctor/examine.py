"""Runs the checks one after another, each under a deadline, whatever hangs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from frpd.cli.doctor.case import Case
from frpd.cli.doctor.checks import CHECKS, Check
from frpd.cli.doctor.finding import Finding, Verdict, warning
from frpd.cli.doctor.own_loop import OwnLoop

LEAST_SECONDS: Final = 0.2


class Result(NamedTuple):
    """One finding, and which check it is of."""

    check: str
    finding: Finding


def examine(case: Case, checks: Sequence[Check] = CHECKS) -> Iterator[Result]:
    """Yield each finding as soon as its check is over."""
    for check in checks:
        for finding in _run(case, check):
            yield Result(check.name, finding)


def _run(case: Case, check: Check) -> list[Finding]:
    """Run a check on a thread of its own: what hangs there cannot be ended, but left."""
    outcome: list[list[Finding] | Exception] = []
    seconds = max(case.seconds(check.seconds), LEAST_SECONDS)
    with OwnLoop() as own:
        own.pool.submit(lambda: list(check.examine(case)), outcome.append, outcome.append)
        own.run(lambda: outcome, seconds)
    if not outcome:
        return [
            warning(
                f"the check {check.name} was given up after {seconds:.0f} s",
                "see what it waits for: a disk or a network that hangs is the likeliest",
            )
        ]
    found = outcome[0]
    if isinstance(found, Exception):
        text = f"{type(found).__name__}: {found}"
        return [warning(f"the check {check.name} has failed: {text}", "report this as a bug")]
    return found


def count(results: Sequence[Result], verdict: Verdict) -> int:
    """Return how many findings are as bad as that."""
    return sum(result.finding.verdict is verdict for result in results)
