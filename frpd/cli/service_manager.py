"""The service manager (systemd) that has started us: what it is told, and what it hands over.

Outside one of them everything here does nothing but print why a start failed. Its variables are
taken out of the environment, so that no child believes that it is meant.

Source: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3). docs/adr/0008-service-manager.md
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import socket
import sys
from collections.abc import Callable, MutableMapping
from typing import Final, Protocol

from frpd.admin.reload import Reload, ReloadReport
from frpd.log import get_logger
from frpd.net.notify_socket import NotifySocket
from frpd.net.socket_store import SocketStore, Tell
from frpd.selector_loop import SelectorLoop

STATUS_SECONDS: Final = 5.0
FIRST_FD: Final = 3
_VARIABLES: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
)

_log = get_logger("frpd.cli.service_manager")


class ServiceManager:
    """What watches over this process, or nobody. Loop thread only; fits Report.

    Args:
        notify: whom it is told; None for nobody.
        watchdog_seconds: it wants to hear of us that often; 0 for never.
        sockets: the listening sockets in its care.
    """

    def __init__(
        self,
        notify: NotifySocket | None = None,
        watchdog_seconds: float = 0.0,
        sockets: SocketStore | None = None,
    ) -> None:
        self.sockets = SocketStore() if sockets is None else sockets
        self._notify = notify
        self._watchdog_seconds = watchdog_seconds
        self._loop: SelectorLoop | None = None
        self._describe: Callable[[], str] = str
        self._said = ""
        self._complaint = ""
        self._reloads = 0
        self._ready = False
        self._stopping = False

    def attach(self, loop: SelectorLoop, describe: Callable[[], str]) -> None:
        """Go on by this loop.

        Args:
            loop: about to run.
            describe: returns the state of the program in one line; cheap.
        """
        self._loop = loop
        self._describe = describe
        self.sockets.attach(loop)
        if self._notify is not None:
            self._notify.attach(loop)

    def ready(self) -> None:
        """See Report.ready."""
        if self._notify is None or self._ready or self._stopping:
            return
        self._ready = True
        self._tell("READY=1", self._status())
        assert self._loop is not None
        self._loop.call_later(STATUS_SECONDS, self._refresh)
        if self._watchdog_seconds:
            with contextlib.suppress(AttributeError, RuntimeError, ValueError):  # no stderr
                faulthandler.enable(sys.stderr)  # it kills with SIGABRT: show where we hang
            self._ping()

    def failed(self, reason: str, number: int | None = None) -> None:
        """See Report.failed; ``number`` is the errno, if there is one."""
        print(reason, flush=True)
        details = () if number is None else (f"ERRNO={number}",)
        self._tell(f"STATUS={reason}", *details)

    def reload_begins(self) -> None:
        """The configuration is about to be read again. Every time, reload_ended follows."""
        self._reloads += 1
        if self._reloads == 1 and self._ready and not self._stopping:
            assert self._loop is not None
            now = int(self._loop.clock.now() * 1_000_000)
            self._tell("RELOADING=1", f"MONOTONIC_USEC={now}")

    def reload_ended(self, error: str) -> None:
        """It is in force, or was refused."""
        self._reloads -= 1
        first_line = error.partition("\n")[0]
        self._complaint = f"; the last reload failed: {first_line}" if error else ""
        if not self._reloads and self._ready and not self._stopping:
            self._tell("READY=1", self._status())

    def stopping(self) -> None:
        """The program begins to end; its listeners stay where they are. Idempotent."""
        self.sockets.freeze()
        if not self._stopping:
            self._stopping = True
            self._tell("STOPPING=1", "STATUS=stopping")

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        self.sockets.close()
        if self._notify is not None:
            self._notify.close()
            self._notify = None

    def _tell(self, *assignments: str) -> None:
        if self._notify is not None:
            self._notify.send(*assignments)

    def _status(self) -> str:
        self._said = self._describe() + self._complaint
        return f"STATUS={self._said}"

    def _refresh(self) -> None:
        if self._stopping:
            return
        said = self._said
        status = self._status()
        if self._said != said:
            self._tell(status)
        assert self._loop is not None
        self._loop.call_later(STATUS_SECONDS, self._refresh)

    def _ping(self) -> None:
        self._tell("WATCHDOG=1")
        assert self._loop is not None
        self._loop.call_later(self._watchdog_seconds / 2, self._ping)


def from_environment(environ: MutableMapping[str, str] = os.environ) -> ServiceManager:
    """Return who has started us, as its variables say; they are removed."""
    given = {name: environ.pop(name, "") for name in _VARIABLES}
    inherited = _inherited(given)  # first: nothing else may have their numbers
    notify = None
    if given["NOTIFY_SOCKET"]:
        try:
            notify = NotifySocket(given["NOTIFY_SOCKET"])
        except OSError as error:
            _log.warning("NOTIFY_SOCKET: nobody listens there: %s", error.strerror)
    tell: Tell | None = None if notify is None else notify.send
    if tell is None and inherited:
        tell = _tell_nobody
    return ServiceManager(notify, _watchdog_seconds(given), SocketStore(tell, inherited))


def _watchdog_seconds(given: MutableMapping[str, str]) -> float:
    if not given["WATCHDOG_USEC"].isdecimal() or not _is_us(given["WATCHDOG_PID"] or None):
        return 0.0
    return int(given["WATCHDOG_USEC"]) / 1_000_000


def _inherited(given: MutableMapping[str, str]) -> list[tuple[socket.socket, str]]:
    if not given["LISTEN_FDS"].isdecimal() or not _is_us(given["LISTEN_PID"]):
        return []
    names = given["LISTEN_FDNAMES"].split(":")
    found = []
    for number in range(int(given["LISTEN_FDS"])):
        name = names[number] if number < len(names) else "unknown"
        try:
            os.set_inheritable(FIRST_FD + number, False)
            found.append((socket.socket(fileno=FIRST_FD + number), name))
        except OSError as error:
            _log.warning("inherited [%s] cannot be used: %s", name, error.strerror)
    return found


def _is_us(pid: str | None) -> bool:
    return pid is None or pid == str(os.getpid())


def _tell_nobody(*assignments: str, fds: object = ()) -> None:
    """Stand in for a manager that hands over sockets and does not want to hear of us."""


class AnnouncedReload:
    """A reload of which the service manager knows. Loop thread only; fits frpd.admin.reload.Reload.

    Args:
        reload: does it.
        manager: is told when it begins and ends.
    """

    def __init__(self, reload: Reload, manager: ServiceManager) -> None:
        self._reload = reload
        self._manager = manager

    def __call__(self, strict: bool, on_done: Callable[[ReloadReport], None]) -> None:
        """Reload once; see frpd.admin.reload.Reload."""

        def done(report: ReloadReport) -> None:
            self._manager.reload_ended(report.error)
            on_done(report)

        self._manager.reload_begins()
        self._reload(strict, done)

    def hangup(self) -> None:
        """Reload since SIGHUP says so; what comes of it is in the log."""
        self(False, lambda _report: None)


class Runnable(Protocol):
    """A service that can be asked to end; see Daemon."""

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """Take nothing new; call ``on_idle`` when nothing runs any more."""

    def close(self) -> None:
        """Drop everything."""


class Managed:
    """A service of whose end the service manager hears before it begins."""

    def __init__(self, service: Runnable, manager: ServiceManager) -> None:
        self._service = service
        self._manager = manager

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """See Runnable.shut_down."""
        self._manager.stopping()
        self._service.shut_down(on_idle)

    def close(self) -> None:
        """See Runnable.close."""
        self._manager.stopping()
        self._service.close()
