"""frpd.server.snapshot: copies of what a server knows, and nothing secret in them."""

from __future__ import annotations

from frpd.proto.message.types import StartWorkConn
from frpd.server.snapshot import GONE, take_connections, take_snapshot
from tests.helpers.peers import Talker
from tests.helpers.ports import free_port
from tests.helpers.steps import outcome
from tests.helpers.world import World
from tests.unit.server.house import House


def test_a_proxy_is_described_as_it_was_asked_for(world: World) -> None:
    house = House(world)
    client = house.client(run_id="me", user="ann")
    port = free_port()
    client.new_proxy(
        "web",
        port,
        use_compression=True,
        group_key="hidden",
        sk="hidden",
        bandwidth_limit="1MB",
        bandwidth_limit_mode="server",
    )
    (proxy,) = outcome(take_snapshot(house.service, world.loop)).proxies
    assert (proxy.figures.name, proxy.figures.run_id, proxy.user) == ("web", "me", "ann")
    assert proxy.remote_addr == f":{port}"
    assert proxy.settings is not None
    assert (proxy.settings.remote_port, proxy.settings.use_compression) == (port, True)
    limit = proxy.settings.bandwidth_limit, proxy.settings.bandwidth_limit_mode
    assert limit == ("1MB", "server")
    assert "hidden" not in repr(proxy)


def test_a_client_is_described_by_its_session(world: World) -> None:
    house = House(world)
    client = house.client(run_id="me", os="linux", arch="arm64")
    house.proxy(client, "b")
    house.proxy(client, "a")
    snapshot = outcome(take_snapshot(house.service, world.loop))
    (one,) = snapshot.clients
    assert one.session is not None
    assert (one.session.os, one.session.arch) == ("linux", "arm64")
    assert one.session.proxies == ("a", "b")
    assert one.session.address.startswith("127.0.0.1:")
    assert (one.session.is_mux, one.session.is_sealed, one.session.layers) == (True, False, ())
    assert abs(one.session.since - snapshot.taken_at) < 0.1
    assert (snapshot.clients_online, snapshot.connections_open) == (1, 0)
    assert snapshot.count_by_type() == {"tcp": 2}


def test_who_is_gone_stays_listed(world: World) -> None:
    house = House(world)
    client = house.client()
    house.proxy(client)
    client.close()
    world.until(lambda: not house.service.controls)
    snapshot = outcome(take_snapshot(house.service, world.loop))
    assert (snapshot.clients_online, snapshot.count_by_type()) == (0, {"tcp": 0})
    assert snapshot.clients[0].session is None
    assert (snapshot.proxies[0].settings, snapshot.proxies[0].remote_addr) == (None, "")


def test_what_runs_is_listed_oldest_first_and_up_to_a_limit(world: World) -> None:
    house = House(world)
    client = house.client(run_id="me")
    port = house.proxy(client)
    visitors, works = [], []
    for _ in range(3):
        visitors.append(house.visit(port))
        works.append(house.serve(client))
        world.advance(10.0)
    visitors[0].write(b"12345")
    world.until(lambda: bytes(works[0].payload) == b"12345")
    found = outcome(take_connections(house.service, world.loop, limit=2))
    assert (found.total, len(found.listed)) == (3, 2)
    first, second = found.listed
    assert (first.proxy, first.proxy_type, first.run_id) == ("web", "tcp", "me")
    assert first.visitor == f"127.0.0.1:{visitors[0].address[1]}"
    assert (first.bytes_in, first.bytes_out, first.age_seconds) == (5, 0, 30.0)
    assert second.age_seconds == 20.0


def test_what_runs_can_be_asked_for_by_proxy_and_by_client(world: World) -> None:
    house = House(world)
    for name in ("ann", "bob"):
        client = house.client(run_id=name)
        house.visit(house.proxy(client, f"{name}.web"))
        house.serve(client)

    def found(**which: str) -> list[str]:
        listed = outcome(take_connections(house.service, world.loop, limit=9, **which)).listed
        return [one.proxy for one in listed]

    assert found(proxy="ann.web") == ["ann.web"]
    assert found(run_id="bob") == ["bob.web"]
    assert found(proxy="ann.web", run_id="bob") == []
    assert sorted(found()) == ["ann.web", "bob.web"]


def test_what_outlives_its_proxy_is_still_listed(world: World) -> None:
    house = House(world)
    client = house.client(mux=False, run_id="me")
    house.visit(house.proxy(client))
    work: Talker = client.work()
    assert work.receive(StartWorkConn).error == ""
    house.client(mux=False, run_id="me")
    (one,) = outcome(take_connections(house.service, world.loop, limit=9)).listed
    assert (one.proxy, one.proxy_type) == ("web", GONE)
    assert one.socket is not None
