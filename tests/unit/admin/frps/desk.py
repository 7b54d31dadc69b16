"""A whole server and its API, asked on the test's thread."""

from __future__ import annotations

from typing import Any

from frpd.admin.access import ControlGate
from frpd.admin.frps.desk import ServerDesk
from frpd.admin.frps_api import frps_app
from frpd.admin.reload import Reload
from tests.helpers.world import World
from tests.unit.admin.wsgi import Caller, InlineCalls
from tests.unit.server.house import House


class Desk:
    """A House, and ``call`` to ask its API."""

    def __init__(self, world: World, *, reload: Reload | None = None, **keys: Any) -> None:
        self.world = world
        self.house = House(world, **keys)
        self.desk = ServerDesk(self.house.service, world.loop, InlineCalls(world.loop), reload)
        self.call = Caller(frps_app(self.desk, lambda _environ: ControlGate()))

    def get(self, url: str) -> Any:
        answer = self.call.get(url)
        assert answer.status == 200, answer.body
        return answer.json
