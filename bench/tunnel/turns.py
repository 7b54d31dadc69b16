"""Who runs when: the implementations in turns, one at a time, so that drift hits all alike."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psutil

from bench.tunnel.backends import Tools, services
from bench.tunnel.implementations import Implementation, tunnel
from bench.tunnel.kinds import KINDS
from bench.tunnel.loads import Figures, Turn
from bench.tunnel.processes import MeasurementError, free_ports, wait_until
from bench.tunnel.settings import Ports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.tunnel.scenarios import Scenario

_SERVED_SECONDS: Final = 5.0


class NotServedError(MeasurementError):
    """This implementation does not have what the scenario measures."""


@dataclass(slots=True)
class Result:
    """All rounds of one implementation at one scenario."""

    rounds: list[Figures] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a whole run needs to know."""

    implementations: Sequence[Implementation]
    tools: Tools
    folder: Path
    rounds: int
    seconds: float


def run_scenario(scenario: Scenario, plan: Plan) -> dict[str, Result]:
    """Give every implementation its rounds, in turns; a failure is a result too."""
    results = {one.name: Result() for one in plan.implementations}
    for number in range(plan.rounds):
        for implementation in plan.implementations:
            result = results[implementation.name]
            if result.skipped:
                continue
            say(f"{scenario.name}: round {number + 1}, {implementation.name}")
            try:
                result.rounds.append(_measure(scenario, implementation, plan))
            except NotServedError as error:
                result.skipped = str(error)
            except (MeasurementError, OSError, ValueError, psutil.Error) as error:
                result.failures.append(str(error) or type(error).__name__)
            except subprocess.SubprocessError as error:
                result.failures.append(str(error))
    return results


def _measure(scenario: Scenario, implementation: Implementation, plan: Plan) -> Figures:
    refusal = KINDS[implementation.kind].refusal(scenario.setting)
    if refusal:
        raise NotServedError(refusal)
    ports = Ports(*free_ports(len(Ports.__slots__)))
    with (
        services([scenario.setting.proxy.service], plan.tools, ports, plan.folder),
        tunnel(implementation, scenario.setting, ports, plan.folder) as running,
    ):
        serves = scenario.serves
        if serves is not None:
            what = f"an answer of the {scenario.setting.proxy.kind} proxy"
            try:
                wait_until(lambda: serves(running), what, _SERVED_SECONDS, running.ends)
            except MeasurementError as error:
                raise NotServedError(f"{implementation.name} does not serve it: {error}") from None
        return scenario.measure(Turn(running, plan.tools, plan.seconds))


def say(text: str) -> None:
    """Tell the waiting person; the report alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)
