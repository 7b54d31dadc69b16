"""The daemon that runs: whether there is one, which version, and how its loop does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from frpd import __version__
from frpd.cli.doctor.case import Case
from frpd.cli.doctor.finding import Finding, fault, ok, warning

BUSY_SECONDS: Final = 0.25
"""A turn of the loop that takes so long is felt by every visitor."""
STUCK_SECONDS: Final = 2.0


def check_daemon(case: Case) -> Iterator[Finding]:
    """Look at what the daemon says of itself."""
    if isinstance(case.daemon, str):
        yield judge_absence(case.program, case.daemon)
    else:
        yield from judge_daemon(case.status)


def judge_absence(program: str, reason: str) -> Finding:
    """Judge that no daemon has answered."""
    if "permission denied" in reason or "only root" in reason:
        return warning(
            f"{program} may not be asked: {reason}", "run the doctor as root or in the group frpd"
        )
    if "no answer in time" in reason or "did not answer" in reason:
        return fault(
            f"{program} runs, but does not answer: {reason}",
            f"restart it (systemctl restart {program}); it hangs, or its machine is overloaded",
        )
    if "user or password" in reason:
        return warning(
            f"{program} does not let us ask: {reason}",
            "set control_socket, which needs no password, or have it read the file again",
        )
    return warning(
        reason or f"{program} does not run",
        f"start it (systemctl start {program}), and ask the doctor again: it then sees more",
    )


def judge_daemon(about: Mapping[str, Any], version: str = __version__) -> Iterator[Finding]:
    """Judge what a daemon says of itself.

    Args:
        about: the answer of its API.
        version: of what is installed.
    """
    program, theirs = about.get("program", ""), about.get("version", "")
    minutes = int(about.get("uptime_seconds", 0.0) // 60)
    since = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
    if theirs != version:
        yield warning(
            f"{program} {theirs} runs, and {version} is installed",
            f"restart it to run what is installed (systemctl restart {program})",
        )
    else:
        yield ok(f"{program} {theirs} runs as process {about.get('pid')} since {since}")


def check_load(case: Case) -> Iterable[Finding]:
    """Look at how long an event has to wait."""
    loop = case.status.get("loop")
    return [judge_load(loop)] if isinstance(loop, Mapping) else []


def judge_load(loop: Mapping[str, Any]) -> Finding:
    """Judge the figures of the loop."""
    lag, worst = float(loop.get("lag_seconds", 0.0)), float(loop.get("worst_lag_seconds", 0.0))
    if lag > BUSY_SECONDS:
        return fault(
            f"the CPU limits: an event waits {lag:.2f} s until the daemon gets to it",
            "give the machine more CPU, or spread the proxies over several frps or frpc",
        )
    if worst > STUCK_SECONDS:
        return warning(
            f"the daemon stood still for {worst:.1f} s once since its start",
            "look for what takes the CPU, the memory (swapping) or the disk at such times",
        )
    return ok(f"the daemon gets to an event within {max(lag, 0.001) * 1000:.0f} ms")
