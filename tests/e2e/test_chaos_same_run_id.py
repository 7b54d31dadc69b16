"""Chaos of clients: one that dies without a word and logs in again with its run id, many times.

frp's issue 5391: its server came to hold sessions, ports and memory of clients long dead.
"""

from __future__ import annotations

import json
import time
import urllib.request
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from frpd.net.connector import Connector
from frpd.net.resolver import Resolver
from tests.helpers.chaos import Census
from tests.helpers.mortal_client import MortalClient
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, wait_until, want_descriptors
from tests.helpers.stage import TOKEN, tcp
from tests.helpers.visitors import visit, wait_for_echo
from tests.helpers.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.helpers.stage import Stage

    Record = Callable[[str, object], None]

LOCAL = "127.0.0.1"
DEATHS = 1000
WARM_UP = 20
MAX_GROWTH_BYTES = 4 << 20
KINDS = [("mux", "sealed"), ("mux", "legacy"), ("direct", "sealed"), ("direct", "legacy")]


class Graveyard:
    """A real frps, and clients that die.

    Args:
        stage: for frps.
        world: where the clients live.
        mux: of the clients.
        sealed: whether they are ours or frp's.
    """

    def __init__(self, stage: Stage, world: World, *, mux: bool, sealed: bool) -> None:
        self.bind_port, self.dashboard_port, self.port = (free_port() for _ in range(3))
        self.temporary = stage.folder / "tmp"
        self.temporary.mkdir()
        settings = {"bind_addr": LOCAL, "bind_port": self.bind_port, "token": TOKEN}
        board = {"dashboard_addr": LOCAL, "dashboard_port": self.dashboard_port}
        file = stage.write({"common": {**settings, **board, "log_level": "warn"}})
        env = {"TMPDIR": str(self.temporary)}
        self.frps = stage.start("frps", str(BIN / "frps"), "-c", str(file), env=env)
        wait_until(lambda: self.sessions() == 0, "frps answers")
        self._stage, self._world = stage, world
        self._connector = Connector(world.loop, Resolver(world.pool, ""))
        self._mux, self._sealed = mux, sealed
        self._dead: list[MortalClient] = []
        self._run_id = ""

    def live(self) -> MortalClient:
        """Return a client that has the run id of all before, and the proxy of all before."""
        client = MortalClient(
            self._world,
            self._connector,
            self.bind_port,
            TOKEN,
            mux=self._mux,
            sealed=self._sealed,
            run_id=self._run_id,
        )
        assert self._run_id in {"", client.run_id}
        self._run_id = client.run_id
        client.open_proxy("echo", self.port)
        return client

    def deaths(self, count: int) -> None:
        """Let so many die."""
        for _ in range(count):
            client = self.live()
            client.die()
            self._dead.append(client)

    def sessions(self) -> int:
        """Return how many clients frps says that it has; -1 if it says nothing."""
        request = urllib.request.Request(f"http://{LOCAL}:{self.dashboard_port}/api/serverinfo")
        request.add_header("Authorization", f"Basic {b64encode(b'admin:admin').decode()}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=15) as answer:
                return int(json.load(answer)["client_counts"])
        except OSError:
            return -1

    def census(self) -> Census:
        return Census.of(self.frps, self.temporary)

    def come_back_for_real(self, echo_port: int) -> None:
        """Start an frpc with the same proxy, and wait until it serves."""
        common = {"server_addr": LOCAL, "server_port": self.bind_port, "token": TOKEN}
        proxies = {"echo": tcp(echo_port, self.port)}
        self._stage.frpc({**common, "tcp_mux": self._mux}, proxies)
        wait_for_echo(self.port)

    def close(self) -> None:
        for client in self._dead:
            client.close()


@pytest.fixture(
    params=[KINDS[0], *(pytest.param(kind, marks=pytest.mark.full) for kind in KINDS[1:])],
    ids="-".join,
)
def yard(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Graveyard]:
    """frps, and no client yet."""
    carried, spoken = request.param
    world = World()
    made = Graveyard(stage, world, mux=carried == "mux", sealed=spoken == "sealed")
    yield made
    made.close()
    world.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("deaths", [50, pytest.param(DEATHS, marks=pytest.mark.full)])
def test_of_silent_deaths_with_one_run_id_nothing_is_left(
    yard: Graveyard, echo_port: int, deaths: int, record_property: Record
) -> None:
    want_descriptors(DEATHS + 500)
    yard.deaths(WARM_UP)
    before = yard.census()
    begun = time.monotonic()
    yard.deaths(deaths)
    seconds = time.monotonic() - begun
    assert yard.sessions() == 1
    yard.frps.wait_for_descriptors(len(before.files))
    after = yard.census()
    grown = after.memory - before.memory
    record_property("figures", {"seconds": round(seconds, 1), "grown_kib": grown // 1024})
    assert after.listens == before.listens
    assert after.threads <= before.threads
    assert after.temporary == 0
    assert grown < MAX_GROWTH_BYTES
    last = yard.live()
    with visit(yard.port):
        last.wait_for_visitor()  # the living one is asked
    last.close()
    wait_until(lambda: yard.sessions() == 0, "frps has nobody")
    yard.come_back_for_real(echo_port)
