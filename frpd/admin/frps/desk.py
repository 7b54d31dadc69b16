"""ServerDesk: what the endpoints of frps may use."""

from __future__ import annotations

from dataclasses import dataclass, field

from frpd.admin.loop_calls import LoopCalls
from frpd.admin.reload import Plan, Reload
from frpd.admin.shelf import Shelf
from frpd.admin.web_app import asks_again
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
    shelf: Shelf[ServerSnapshot] = field(default_factory=Shelf)

    def snapshot(self) -> ServerSnapshot:
        """Return a copy of what is known now.

        Raises:
            LoopBusyError: there is no answer in time.
        """
        return self.shelf.fresh(self._take)

    def look(self) -> ServerSnapshot:
        """Return a copy, and to who asks again and again one that may be a second old.

        With hundreds of proxies it takes the loop some ms, and a dashboard asks for several
        things at a time.

        Raises:
            LoopBusyError: there is no answer in time.
        """
        return self.shelf.recent(self._take) if asks_again() else self.snapshot()

    def _take(self) -> ServerSnapshot:
        return self.calls.ask_steps(lambda: take_snapshot(self.service, self.loop))
