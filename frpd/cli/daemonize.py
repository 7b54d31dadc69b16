"""``--daemon``: start in the foreground, serve in the background, report to whoever waits.

What can fail and needs rights happens first, in the foreground: the pid file is locked, ports
are bound, root is given up, the log file is tried. Then the process forks. The parent waits
on a pipe until the daemon serves (status 0) or says why it does not (printed, status 1). The
daemon detaches by python-daemon's DaemonContext and only then builds loop and workers, since
neither threads nor epoll survive a fork.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Collection
from socket import socket
from typing import Any, Protocol, TypeAlias

from frpd import log
from frpd.cli.account import become, find_account
from frpd.cli.flags import DaemonOptions
from frpd.cli.late_modules import load_late_modules
from frpd.cli.pid_file import PidFile
from frpd.errors import ConfigError, FrpError

READY = b"\0"
INTERRUPTED = 128 + signal.SIGINT
UMASK = 0o027
# Detached, there is no terminal job to stop; the loop installs what ends a program.
SIGNALS = {
    signal.SIGTSTP: None,
    signal.SIGTTIN: None,
    signal.SIGTTOU: None,
    signal.SIGTERM: "terminate",
}

_log = log.get_logger("frpd.cli.daemonize")


class Report(Protocol):
    """Where a start reports its outcome."""

    def ready(self) -> None:
        """Tell that the program serves. Idempotent."""

    def failed(self, reason: str) -> None:
        """Tell why it will not."""


Serve: TypeAlias = Callable[[list[socket], Report], int]


class ParentReport:
    """The report of a daemon to the process that was typed.

    Args:
        fd: the writing end of the parent's pipe, owned from now on.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def ready(self) -> None:
        """See Report.ready; a start that nobody waits for any more is called off."""
        try:
            self._write(READY)
        except BrokenPipeError:
            _log.warning("the start was interrupted")
            signal.raise_signal(signal.SIGTERM)
        self.close()

    def failed(self, reason: str) -> None:
        """See Report.failed; nothing once it was ready. The parent prints it after close()."""
        with contextlib.suppress(BrokenPipeError):
            self._write(reason.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Let the parent go. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def _write(self, data: bytes) -> None:
        if self._fd >= 0:
            os.write(self._fd, data)


def daemon_log_file(name: str) -> str:
    """Return the absolute path of a log file.

    Raises:
        ConfigError: the log goes to the console, which a daemon has not.
    """
    if name in {"", "console"}:
        raise ConfigError(
            "--daemon has no console, all lines would be lost; accepted: the path of a file",
            section="common",
            key="log_file",
        )
    return os.path.abspath(name)


def run_in_background(
    options: DaemonOptions,
    *,
    bind: Callable[[], list[socket]],
    try_log: Callable[[], None],
    serve: Serve,
) -> int:
    """Start a daemon; return the exit status, in the parent as in the daemon.

    Args:
        options: of the command line.
        bind: binds what must be bound before root is given up.
        try_log: opens and closes the log file, as the daemon will do.
        serve: opens the log and runs until told to stop; in the daemon only.

    Raises:
        FrpError: a step in the foreground failed; everything is undone.
    """
    _fill_standard_descriptors()
    account = None if options.user is None else find_account(options.user)
    context_class = _load_context_class()
    pid_file = None if options.pid_file is None else PidFile(options.pid_file)
    with contextlib.ExitStack() as undo:
        if pid_file is not None:
            pid_file.lock()
            undo.callback(pid_file.remove)
        listeners = bind()
        for listener in listeners:
            undo.callback(listener.close)
        if account is not None:
            load_late_modules()
            become(account)
        try_log()
        reading, writing = os.pipe()
        child = _fork()
        undo.pop_all()
    if child:
        for held in (pid_file, *listeners):
            if held is not None:
                held.close()
        os.close(writing)
        return wait_for_report(reading, child)
    report = ParentReport(writing)
    held_open = [held.fileno() for held in (pid_file, *listeners, report) if held is not None]
    context = context_class(
        working_directory="/",
        umask=UMASK,
        # Left to itself it stays attached where the parent is process 1, as in a container.
        detach_process=True,
        files_preserve=held_open,
        pidfile=pid_file,
        signal_map=SIGNALS,
    )
    return _live(context, report, lambda: serve(listeners, report))


def wait_for_report(reading: int, child: int) -> int:
    """Return 0 once the daemon serves; else print why it does not, and return 1.

    Args:
        reading: the reading end of its pipe; will be closed.
        child: the first fork, which ends as soon as it has forked again.
    """
    try:
        with open(reading, "rb") as pipe:
            told = pipe.read()
        with contextlib.suppress(ChildProcessError):  # SIGCHLD may be ignored, as we inherited it
            os.waitpid(child, 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    if told == READY:
        return 0
    print(told.decode() or "the daemon ended before it was ready; its log may say why", flush=True)
    return 1


def _live(context: Any, report: ParentReport, serve: Callable[[], int]) -> int:
    try:
        _detach(context)
        return serve()
    except FrpError as error:
        report.failed(str(error))
    except Exception as error:
        _log.exception("the daemon failed")
        report.failed(f"the daemon failed: {type(error).__name__}: {error}")
    finally:
        # In this order: when the parent has returned, no pid file of a failed start is left.
        context.close()
        report.close()
    return 1


def _detach(context: Any) -> None:
    """Become a daemon: returns in the last of three forks."""
    with open(os.devnull, "r+b", buffering=0) as null:
        # Not None: then the library opens the file three times, and leaves all three open.
        context.stdin = context.stdout = context.stderr = null
        _close_descriptors({0, 1, 2, null.fileno(), *context.files_preserve})
        context.open()


def _load_context_class() -> Callable[..., Any]:
    """Return DaemonContext.

    python-daemon 2.3 makes, on import, a set of all numbers up to the hard limit of open files:
    70 MiB where that is 2**20, more than there is where it is 2**30. So it is told of no limit,
    for which it takes 2048; that the others are closed is up to us.
    """
    getrlimit = resource.getrlimit
    resource.getrlimit = lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    try:
        from daemon import DaemonContext  # noqa: PLC0415 - only --daemon needs it
    except ImportError as error:
        raise ConfigError(
            "needs the Python package python-daemon (Debian: python3-daemon)", key="--daemon"
        ) from error
    finally:
        resource.getrlimit = getrlimit
    context_class: Callable[..., Any] = DaemonContext
    return context_class


def _close_descriptors(except_for: Collection[int]) -> None:
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in except_for:
            with contextlib.suppress(OSError):  # listdir's own is closed already
                os.close(number)


def _fill_standard_descriptors() -> None:
    """Open what was closed of 0, 1 and 2: a port bound there would be lost when detaching."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _fork() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        return os.fork()
    except OSError as error:
        raise ConfigError(f"cannot start a process: {error.strerror}", key="--daemon") from error
