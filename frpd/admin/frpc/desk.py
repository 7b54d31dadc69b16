"""ClientDesk: what the endpoints of frpc may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frpd.admin.loop_calls import LoopCalls
from frpd.admin.reload import Plan, Reload
from frpd.client.service import Service
from frpd.client.snapshot import ClientSnapshot, take_snapshot
from frpd.selector_loop import SelectorLoop


@dataclass(frozen=True, slots=True)
class ClientDesk:
    """The client, which is the loop's, and the way to ask for it. Any thread.

    Attributes:
        service: touched by what ``calls`` runs on the loop, and by nothing else.
        stop: ends the program gracefully; loop thread only.
        reload: None where the program runs without a file.
        plan: what a reload would change; None as well.
        config_file: absolute path; "" where there is none.
        dialect: how it is read: ``old`` or ``new``.
        check: raises ConfigError if the file at a path cannot be used; any thread.
    """

    service: Service
    loop: SelectorLoop
    calls: LoopCalls
    stop: Callable[[], None]
    reload: Reload | None = None
    plan: Plan | None = None
    config_file: str = ""
    dialect: str = "new"
    check: Callable[[str], object] | None = None

    def snapshot(self) -> ClientSnapshot:
        """Return a copy of what is known now.

        Raises:
            LoopBusyError: there is no answer in time.
        """
        return self.calls.ask_steps(lambda: take_snapshot(self.service, self.loop))
