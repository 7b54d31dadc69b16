"""Processes of a measurement: start them, look at them, and leave none behind."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

STOP_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.002
_EXCERPT_BYTES: Final = 400


class MeasurementError(Exception):
    """A scenario could not be measured; the text goes into the report."""


def leashed(command: Sequence[str]) -> list[str]:
    """Return the command such that it is killed when this program is.

    Takes util-linux's setpriv; without it only an orderly end leaves nothing behind.
    """
    leash = shutil.which("setpriv")
    return [leash, "--pdeathsig", "KILL", *command] if leash else list(command)


class Child:
    """A process in a session of its own; its output goes to a file."""

    def __init__(self, command: Sequence[str], output: Path) -> None:
        self.name = output.stem
        self.output = output
        with output.open("ab") as sink:
            self.process = subprocess.Popen(
                leashed(command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise MeasurementError if the process has ended."""
        code = self.process.poll()
        if code is not None:
            raise MeasurementError(f"{self.name} ended with code {code}: {self.last_words()}")

    def last_words(self) -> str:
        """Return the end of its output on one line."""
        tail = self.output.read_bytes()[-_EXCERPT_BYTES:]
        return " ".join(tail.decode("utf-8", "replace").split()) or "(it said nothing)"

    def stop(self) -> None:
        """End the process: politely, then by force; what it started by force."""
        # some of them may have left the process group, as sshd's sessions do
        started = list(_with_descendants([self]))[1:]
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(command: Sequence[str], output: Path) -> Iterator[Child]:
    """Run ``command`` for as long as the block lasts."""
    child = Child(command, output)
    try:
        yield child
    finally:
        child.stop()


def listens(port: int) -> bool:
    """Tell whether someone listens on this TCP port, without connecting to it.

    A connection would be work for the daemon, and would end a one-off server.
    Beside SO_REUSEADDR only a listening socket makes a bind fail.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def wait_until(
    done: Callable[[], bool], what: str, seconds: float, children: Sequence[Child]
) -> None:
    """Return as soon as ``done``.

    Raises:
        MeasurementError: one of ``children`` ended, or the time is over.
    """
    end = time.monotonic() + seconds
    while not done():
        for child in children:
            child.check()
        if time.monotonic() > end:
            words = "; ".join(f"{child.name}: {child.last_words()}" for child in children)
            raise MeasurementError(f"{what} did not happen in {seconds:g} s: {words}")
        time.sleep(_POLL_SECONDS)


def free_ports(count: int) -> list[int]:
    """Return so many neighbouring ports that nobody uses, below the ephemeral ones."""
    bases = range(20000, 32000, count)
    start = os.getpid() % len(bases)
    for base in (*bases[start:], *bases[:start]):
        ports = list(range(base, base + count))
        if all(_is_free(port) for port in ports):
            return ports
    raise MeasurementError("no free ports between 20000 and 32000")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _with_descendants(children: Sequence[Child]) -> Iterator[psutil.Process]:
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(child.process.pid)
            yield process
            yield from process.children(recursive=True)


def cpu_seconds(children: Sequence[Child]) -> float:
    """Return user and system time so far of these and of all their descendants."""
    total = 0.0
    for process in _with_descendants(children):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def pss_kib(children: Sequence[Child]) -> float:
    """Return resident memory, shared pages counted by share; the kernel's is not in it."""
    total = 0
    for process in _with_descendants(children):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 1024
