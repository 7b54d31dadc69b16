"""What one end of a tunnel has used: its processor time, its system calls."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.tunnel.processes import MeasurementError, leashed, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.tunnel.processes import Child

ATTACH_SECONDS: Final = 10.0
_COUNT: Final = ("-c", "-f", "-q", "-U", "calls,name")
_TICK_US: Final = 1e6 / os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat behind the name, which is in brackets and may have any character.
_USER, _SYSTEM = 11, 12
_ROW: Final = re.compile(r"^\s*(\d+)\s+(\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cpu:
    """Microseconds of all threads of a process."""

    user: float
    system: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.user + self.system

    def per(self, before: Cpu, count: float) -> Cpu:
        """Return what was used since, for each of so many."""
        return Cpu((self.user - before.user) / count, (self.system - before.system) / count)


def cpu(child: Child) -> Cpu:
    """Return what a process has used so far."""
    return parse_stat(Path(f"/proc/{child.process.pid}/stat").read_text())


def parse_stat(text: str) -> Cpu:
    """Read /proc/PID/stat."""
    fields = text.rpartition(")")[2].split()
    return Cpu(int(fields[_USER]) * _TICK_US, int(fields[_SYSTEM]) * _TICK_US)


@contextlib.contextmanager
def counted(children: Sequence[Child], folder: Path) -> Iterator[list[dict[str, int]]]:
    """Count the system calls that these make while the block lasts; known when it is over.

    strace stops the process at each call, so nothing else can be measured meanwhile.

    Raises:
        MeasurementError: strace is missing, or may not.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise MeasurementError("strace is missing; --no-calls does without")
    files = [folder / f"{child.name}.strace" for child in children]
    tracers = [
        subprocess.Popen(
            leashed([strace, *_COUNT, "-p", str(child.process.pid), "-o", str(file)]),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for child, file in zip(children, files, strict=True)
    ]
    found: list[dict[str, int]] = []
    try:
        wait_until(lambda: all(map(_traced, children)), "strace", ATTACH_SECONDS, children)
        yield found
    finally:
        for tracer in tracers:
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
    found += [parse_counts(file.read_text()) for file in files]


def _traced(child: Child) -> bool:
    tasks = Path(f"/proc/{child.process.pid}/task").iterdir()
    return all("\nTracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)


def parse_counts(text: str) -> dict[str, int]:
    """Read the table of ``strace -c -U calls,name``."""
    return {name: int(count) for count, name in _ROW.findall(text) if name != "total"}
