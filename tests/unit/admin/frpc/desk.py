"""A whole client and its API, asked on the test's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frpd.admin.access import ControlGate
from frpd.admin.frpc.desk import ClientDesk
from frpd.admin.frpc_api import frpc_app
from frpd.admin.reload import Reload
from tests.helpers.world import World
from tests.unit.admin.wsgi import Caller, InlineCalls
from tests.unit.client.home import Home


class Desk:
    """A Home, and ``call`` to ask its API."""

    def __init__(
        self,
        world: World,
        *,
        reload: Reload | None = None,
        config_file: str = "",
        check: Callable[[str], object] | None = None,
        **keys: Any,
    ) -> None:
        self.world = world
        self.home = Home(world, **keys)
        self.stopped = 0
        self.desk = ClientDesk(
            self.home.service,
            world.loop,
            InlineCalls(world.loop),
            self._stop,
            reload=reload,
            config_file=config_file,
            check=check,
        )
        self.call = Caller(frpc_app(self.desk, lambda _environ: ControlGate()))

    def get(self, url: str) -> Any:
        answer = self.call.get(url)
        assert answer.status == 200, answer.body
        return answer.json

    def _stop(self) -> None:
        self.stopped += 1
