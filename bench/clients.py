"""Many clients in one process: python -m bench.clients INI COUNT.

Each is a service of frpd's of its own, as one frpc has one, with the [common] of the file and
its one proxy under another name, and on the next port. A line is printed whenever the number of
proxies that run has changed; what tried to reach the server in vain is counted in it too. Ends
with its stdin.

The token is stretched once for all: a frpc that logs in again has done that long before.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import resource
import sys
import time
from dataclasses import replace
from typing import Final

from frpd import log
from frpd.client.login import Backoff
from frpd.client.proxy_table import Phase
from frpd.client.service import Service
from frpd.config.load_client import load_client
from frpd.config.proxies import TcpProxyConfig
from frpd.entropy import SystemEntropy
from frpd.net.connector import Connector
from frpd.net.resolver import Resolver
from frpd.proto import seal_keys
from frpd.selector_loop import SelectorLoop
from frpd.workers import WorkerPool

LOOK_SECONDS: Final = 0.02


class Crowd:
    """The services, and what became of them."""

    def __init__(self, loop: SelectorLoop, pool: WorkerPool, path: str, count: int) -> None:
        self._loop = loop
        setup = load_client(path).value
        [proxy] = setup.proxies
        assert isinstance(proxy, TcpProxyConfig)
        connector = Connector(loop, Resolver(pool, ""))
        self._told = -1
        self.attempts = 0
        self.services = []
        for number in range(count):
            name = f"{proxy.name}{number}"
            port = proxy.remote_port + number
            own_proxy = replace(proxy, name=name, section=name, remote_port=port)
            own = replace(setup, proxies=(own_proxy,))
            self.services.append(
                Service(loop, pool, connector, own, SystemEntropy(), on_fatal=sys.exit)
            )

    def start(self) -> None:
        """Have them all log in, and look after them."""
        for service in self.services:
            service.start()
        self.look()

    def look(self) -> None:
        """Say how many run, if it has changed."""
        running = sum(
            entry.phase is Phase.RUNNING
            for service in self.services
            for entry in service.table.entries.values()
        )
        if running != self._told:
            self._told = running
            said = {"at": time.monotonic(), "running": running, "attempts": self.attempts}
            print(json.dumps(said), flush=True)
        self._loop.call_later(LOOK_SECONDS, self.look)


def main(path: str, count: int) -> int:
    """Run them until stdin ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    seal_keys.stretch = functools.cache(seal_keys.stretch)
    log.setup(target=f"{path}.log", level="info", max_days=1, color=False, line_format="text")
    with contextlib.ExitStack() as owners:
        loop = SelectorLoop()
        pool = WorkerPool(loop)
        for owner in (loop, pool):
            owners.callback(owner.close)
        crowd = Crowd(loop, pool, path, count)
        count_failures(crowd)

        def at_the_end() -> None:
            if not os.read(0, 4096):
                loop.stop()

        loop.watch(0, lambda _error: loop.stop()).set(at_the_end, None)
        loop.call_soon(crowd.start)
        loop.run()
        for service in crowd.services:
            service.close()
    return 0


def count_failures(crowd: Crowd) -> None:
    """Count what was in vain."""
    pauses = Backoff.unreachable

    def unreachable(self: Backoff) -> float:
        crowd.attempts += 1
        return pauses(self)

    Backoff.unreachable = unreachable  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
