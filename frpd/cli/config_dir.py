"""``frpc --config_dir FOLDER``: one frpc for each file, each in a process of its own.

A process for each, and not a loop: they share no fault, no log level and no core, and what all of
them need is in memory once, since they are forked from a parent that has loaded it. The parent
has nothing to do but to pass on signals and to count those who fail. It starts nobody again: as
with a single frpc, that is the affair of who started us.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Final, NoReturn

from frpd.cli.daemon import leave
from frpd.errors import ConfigError, FrpError

PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_HEARD: Final = (*PASSED_ON, signal.SIGCHLD)
_OF_THE_PARENT: Final = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")
"""Environment that is about the process that systemd knows."""
_PR_SET_PDEATHSIG: Final = 1


def files_in(folder: str) -> list[str]:
    """Return all files in a folder and in those beneath it, in order.

    Raises:
        ConfigError: it cannot be read, or there are none.
    """

    def fail(error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"open {error.filename}: {reason}") from error

    found = [
        os.path.join(path, name)
        for path, _, names in os.walk(folder, onerror=fail)
        for name in names
    ]
    if not found:
        raise ConfigError(f"there is no file in {folder}", key="--config_dir")
    return sorted(found)


def run_each(files: Iterable[str], run: Callable[[str], int]) -> int:
    """Run all of them until the last has ended; return 0 if none has failed.

    Args:
        files: of frpcs.
        run: serves one file, in a process of its own; returns its exit status.
    """
    gc.collect()
    gc.freeze()  # or the first collection in each child would make all of it the child's own
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored ones do not arrive
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    return _Children(files, run).wait()


class _Children:
    """The processes, by id."""

    def __init__(self, files: Iterable[str], run: Callable[[str], int]) -> None:
        self._files: dict[int, str] = {}
        self._failed = False
        self._ending = False
        for file in files:
            self._start(file, run)

    def wait(self) -> int:
        while self._files:
            number = signal.sigwait(_HEARD)
            if number == signal.SIGCHLD:
                self._collect()
                continue
            self._ending |= number != signal.SIGHUP
            for child in self._files:
                os.kill(child, number)
        return int(self._failed)

    def _start(self, file: str, run: Callable[[str], int]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        try:
            child = os.fork()
        except OSError as error:
            _tell(f"cannot start a process: {error.strerror}".lower())
            self._fail(file)
            return
        if child == 0:
            _live(parent, file, run)
        self._files[child] = file

    def _collect(self) -> None:
        for child in list(self._files):
            ended, status = os.waitpid(child, os.WNOHANG)
            if not ended:
                continue
            file = self._files.pop(child)
            code = os.waitstatus_to_exitcode(status)
            # A signal of ours may come before it is heard, and then ends it right away.
            if code > 0 or (code < 0 and not self._ending):
                self._fail(file)

    def _fail(self, file: str) -> None:
        self._failed = True
        _tell(f"frpc service error for config file [{file}]")


def _live(parent: int, file: str, run: Callable[[str], int]) -> NoReturn:
    """Be the process of one file."""
    status = 1
    try:
        _detach(parent)
        status = run(file)
    except FrpError as error:
        _tell(str(error))
    except Exception:
        traceback.print_exc()
    leave(status)


def _detach(parent: int) -> None:
    """Be told by the parent alone what a terminal says, and end when it has ended."""
    os.setpgid(0, 0)
    for name in _OF_THE_PARENT:
        os.environ.pop(name, None)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the file is about to be read in any case
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
    import ctypes  # noqa: PLC0415 - slow, and only these processes need it

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it was quicker
        os.kill(os.getpid(), signal.SIGTERM)


def _tell(text: str) -> None:
    """Print a line in one piece: others write to the same place."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
