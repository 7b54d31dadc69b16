"""Life of a process around one service: limits, signals, a clean end."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Final, NoReturn, Protocol

from frpd.log import get_logger
from frpd.selector_loop import SelectorLoop

RESERVE_BYTES: Final = 4 << 20
"""Set aside for the last words; address space, which no page stands behind."""

# Whoever has to debug a crash sets this to 1 in the environment of the program.
COREDUMP_VARIABLE: Final = "FRPD_COREDUMP"
# Stops dumps to files, being less than a page, and also those to a program: to Linux 0 is no limit
# for what core_pattern pipes to (fs/coredump.c), but 1 is.
NO_CORE_BYTES: Final = 1

_log = get_logger("frpd.cli.daemon")


class Runnable(Protocol):
    """A service that can be asked to end."""

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """Take nothing new; call ``on_idle`` when nothing runs any more."""

    def close(self) -> None:
        """Drop everything."""


class Daemon:
    """Runs a loop until a signal or the service ends it.

    Args:
        loop: the loop, not yet running.
        drain_seconds: how long relays may finish after SIGTERM.
    """

    def __init__(self, loop: SelectorLoop, drain_seconds: float) -> None:
        self._loop = loop
        self._drain_seconds = drain_seconds
        self._service: Runnable | None = None
        self._on_hangup: Callable[[], None] = lambda: None
        self._exit_status = 0
        self._ending = False
        self._reserve = bytearray(RESERVE_BYTES)

    def run(self, service: Runnable, on_hangup: Callable[[], None] | None = None) -> int:
        """Serve until told to stop; return the exit status.

        Args:
            service: closed at the end.
            on_hangup: called on the loop for each SIGHUP, until we are told to stop; None to
                leave that signal alone.
        """
        self._service = service
        for signum in (signal.SIGTERM, signal.SIGINT):
            self._loop.on_signal(signum, self._terminate)
        if on_hangup is not None:
            self._on_hangup = on_hangup
            self._loop.on_signal(signal.SIGHUP, self._hang_up)
        # What start-up made stays for ever: do not walk it in each collection.
        gc.collect()
        gc.freeze()
        try:
            self._loop.run()
            service.close()
            # What closing has queued, such as a go-away, leaves in one more turn.
            self._loop.run_turn(0.0)
        except MemoryError:
            self._out_of_memory(service)
        return self._exit_status

    def fail(self) -> None:
        """End now, with exit status 1."""
        self._exit_status = 1
        self._loop.stop()

    def stop(self) -> None:
        """End as after SIGTERM; loop thread only."""
        if not self._ending:
            self._terminate()

    def _hang_up(self) -> None:
        if not self._ending:
            self._on_hangup()

    def _out_of_memory(self, service: Runnable) -> None:
        """End: where the books may be half kept, whoever is served may get wrong bytes.

        Who restarts us gives everybody a fresh start.
        """
        self._exit_status = 1
        del self._reserve
        _log.exception("out of memory: ending, with status 1")
        try:
            service.close()  # or visitors see a clean end where there was none
        except Exception:
            _log.exception("closing failed")

    def _terminate(self) -> None:
        if self._ending:
            self._loop.stop()  # asked twice: do not wait
            return
        self._ending = True
        _log.info("stopping")
        assert self._service is not None
        self._loop.call_later(self._drain_seconds, self._loop.stop)
        self._service.shut_down(self._loop.stop)


def raise_descriptor_limit() -> None:
    """Use as many descriptors as the system lets us have, as Go programs do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            _log.debug("RLIMIT_NOFILE stays at %d: %s", soft, error)


def forbid_core_dumps(environ: Mapping[str, str]) -> None:
    """Let no crash write our memory, with tokens and keys in it, to a disk.

    We stay dumpable (PR_SET_DUMPABLE): else /proc/PID would be root's, and the doctor of the user
    who runs us could see neither our descriptors nor whose process we are.
    """
    if environ.get(COREDUMP_VARIABLE) == "1":
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    most = NO_CORE_BYTES if hard == resource.RLIM_INFINITY else min(hard, NO_CORE_BYTES)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def leave(status: int) -> NoReturn:
    """End the process with this exit status, without taking the interpreter down first.

    A worker may be inside C code (a name look-up, the stretching of the token); when it
    comes back into an interpreter that is being finalised, the process dies of it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
