"""One run of a scenario, with an eye on what each end uses."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from bench.cost.ends import Cpu, counted, cpu
from bench.tunnel.backends import Tools, services
from bench.tunnel.implementations import Implementation, tunnel
from bench.tunnel.loads import Figures, Turn
from bench.tunnel.processes import MeasurementError, free_ports, wait_until
from bench.tunnel.settings import Ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.tunnel.scenarios import Scenario

SERVED_SECONDS: Final = 10.0
_MEGABYTES_PER_GBIT: Final = 125.0


def operations(scenario: Scenario, figures: Figures, seconds: float) -> float:
    """Return how many there were: megabytes of bulk, pieces of all else.

    Raises:
        MeasurementError: the scenario counts neither.
    """
    match scenario.figure:
        case "per_s":
            return figures["per_s"] * seconds
        case "gbit_s":
            return figures["gbit_s"] * _MEGABYTES_PER_GBIT * seconds
    raise MeasurementError(f"{scenario.name} has no operations that could be counted")


@contextlib.contextmanager
def turn(
    scenario: Scenario, one: Implementation, tools: Tools, seconds: float, folder: Path
) -> Iterator[Turn]:
    """Run a tunnel that serves the scenario.

    Raises:
        MeasurementError: it does not come up, or does not serve that.
    """
    ports = Ports(*free_ports(len(Ports.__slots__)))
    serves = scenario.serves
    with (
        services([scenario.setting.proxy.service], tools, ports, folder),
        tunnel(one, scenario.setting, ports, folder) as running,
    ):
        if serves is not None:
            wait_until(lambda: serves(running), scenario.name, SERVED_SECONDS, running.ends)
        yield Turn(running, tools, seconds)


def processor(scenario: Scenario, turn: Turn) -> tuple[Cpu, ...]:
    """Return the time that one operation takes, of each end."""
    before = [cpu(end) for end in turn.tunnel.ends]
    figures = scenario.measure(turn)
    after = [cpu(end) for end in turn.tunnel.ends]
    count = operations(scenario, figures, turn.seconds)
    return tuple(late.per(early, count) for early, late in zip(before, after, strict=True))


def system_calls(scenario: Scenario, turn: Turn, folder: Path) -> tuple[dict[str, float], ...]:
    """Return the system calls that one operation takes, of each end."""
    with counted(turn.tunnel.ends, folder) as found:
        figures = scenario.measure(turn)
    count = operations(scenario, figures, turn.seconds)
    return tuple({name: number / count for name, number in end.items()} for end in found)
