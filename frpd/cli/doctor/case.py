"""Case: what is examined, and what earlier checks have learned of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from frpd.cli.config_file import ConfigFile
from frpd.cli.ctl.daemons import CtlError, Daemon, ask, greet
from frpd.clock import Clock, MonotonicClock, unix_now
from frpd.config.client import ClientSetup
from frpd.config.server import ServerConfig

API_SECONDS: Final = 3.0
WHOLE_SECONDS: Final = 20.0
"""So long may all checks take together, even if everything hangs."""
LEAST_SECONDS: Final = 0.1


@dataclass(slots=True)
class Case:
    """One frps or frpc.

    Attributes:
        program: ``frps`` or ``frpc``.
        file: None where the daemon that runs does not say which one it has.
        daemon: that runs, or why it is not known to.
        now_unix: the clock that is on trial.
        clock: the one that steps are timed by.
        server: of frps.ini; None before it was read, or if it cannot be.
        client: of frpc.ini; likewise.
        can_reach: whether the way to the server is open, as far as is known.
        deadline: of all checks together, by that clock; WHOLE_SECONDS from now if it is 0.
    """

    program: str
    file: ConfigFile | None = None
    daemon: Daemon | str = ""
    now_unix: Callable[[], int] = unix_now
    clock: Clock = field(default_factory=MonotonicClock)
    server: ServerConfig | None = None
    client: ClientSetup | None = None
    can_reach: bool = True
    deadline: float = 0.0

    def __post_init__(self) -> None:
        if not self.deadline:
            self.deadline = self.clock.now() + WHOLE_SECONDS

    def seconds(self, at_most: float) -> float:
        """Return how long a step may take."""
        return max(min(at_most, self.deadline - self.clock.now()), LEAST_SECONDS)

    @property
    def status(self) -> Mapping[str, Any]:
        """What the daemon that runs has said of itself; empty if none runs."""
        return self.daemon.about if isinstance(self.daemon, Daemon) else {}

    @property
    def pid(self) -> int:
        """Of the daemon that runs; 0 for none."""
        pid = self.status.get("pid", 0)
        return pid if isinstance(pid, int) else 0

    def look_again(self) -> None:
        """Have the daemon say anew how things are; if it does not, what it said before stays."""
        if isinstance(self.daemon, Daemon):
            with contextlib.suppress(CtlError):
                target, file = self.daemon.target, self.daemon.file
                self.daemon = greet(target, file, seconds=self.seconds(API_SECONDS))

    def get(self, path: str) -> Any:
        """Return what the daemon answers to a GET.

        Raises:
            CtlError: nothing, or not what was asked for.
        """
        if not isinstance(self.daemon, Daemon):
            raise CtlError("it does not run")
        answer = ask(self.daemon.target, "GET", path, seconds=self.seconds(API_SECONDS))
        if not answer.is_ok:
            raise CtlError(answer.message() or f"status {answer.status}")
        return answer.json()
