"""ServerDesk: what the endpoints of frps may use."""

from __future__ import annotations

from dataclasses import dataclass

from frpd.admin.loop_calls import LoopCalls
from frpd.admin.reload import Plan, Reload
from frpd.selector_loop import SelectorLoop
from frpd.server.service import Service
from frpd.server.snapshot import ServerSnapshot, take_snapshot


@dataclass(frozen=True, slots=True)
class ServerDesk:
    """The server, which is the loop's, and the way to ask for it. Any thread.

    Attributes:
        service: touched by what ``calls`` runs on the loop, and by nothing else.
        reload: None where the program runs without a file.
        plan: what a reload would change; None as well.
        config_file: absolute path; "" where there is none.
        dialect: how it is read: ``old`` or ``new``.
    """

    service: Service
    loop: SelectorLoop
    calls: LoopCalls
    reload: Reload | None = None
    plan: Plan | None = None
    config_file: str = ""
    dialect: str = "new"

    def snapshot(self) -> ServerSnapshot:
        """Return a copy of what is known now.

        Raises:
            LoopBusyError: there is no answer in time.
        """
        return self.calls.ask_steps(lambda: take_snapshot(self.service, self.loop))
