"""Who may visit through a server that does not keep a proxy's gate itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from frpd.client.proxies.gated import GatedProxy
from frpd.client.proxies.udp import UdpProxy
from frpd.client.proxies.xtcp import XtcpProxy
from frpd.client.servers import make_server
from frpd.config.proxies import (
    HttpProxyConfig,
    ProxyConfig,
    SudpProxyConfig,
    TcpProxyConfig,
    XtcpProxyConfig,
)
from frpd.config.secret import Secret
from frpd.metrics.counters import ProxyCounters
from frpd.net.endpoint import Endpoint
from frpd.proto.message.types import StartWorkConn
from frpd.transports.work import WorkStream
from tests.helpers.duplex import Duplex
from tests.helpers.world import World, world
from tests.unit.client.home import Home
from tests.unit.client.nathole.stage import hole_context
from tests.unit.client.plugins.stage import context_of
from tests.unit.client.proxies.test_udp import FRPD, Scene
from tests.unit.client.visitors.guest import Guest, asked

__all__ = ["world"]

HERE = StartWorkConn(proxy_name="a", src_addr="192.0.2.1", src_port=1)
THERE = StartWorkConn(proxy_name="a", src_addr="198.51.100.1", src_port=1)
UNTOLD = StartWorkConn(proxy_name="a")
LIST: dict[str, Any] = {"allow_cidrs": ("192.0.2.0/24",)}


class Service:
    """Who takes those that may come in."""

    def __init__(self) -> None:
        self.counters = ProxyCounters()
        self.taken: list[Endpoint] = []
        self.retired = self.closed = 0

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        assert start.proxy_name == "a"
        self.counters.opened()
        self.taken.append(work.endpoint)

    def retire(self) -> None:
        self.retired += 1

    def close(self) -> None:
        self.closed += 1


class Gate:
    """A gate with a service behind it."""

    def __init__(
        self,
        world: World,
        kind: type[ProxyConfig] = TcpProxyConfig,
        *,
        version: str = "0.51.3",
        features: frozenset[str] = frozenset(),
        **keys: Any,
    ) -> None:
        self.world = world
        self.service = Service()
        context = replace(context_of(world, features), server_version=lambda: version)
        self.proxy = GatedProxy(context, kind(name="a", section="a", **keys), self.service)

    def lets_in(self, start: StartWorkConn) -> bool:
        """Whether a visitor is passed on; else its work connection is over."""
        before = len(self.service.taken)
        near, far = self.world.endpoints()
        self.proxy.on_work(WorkStream(near), start)
        if len(self.service.taken) > before:
            return True
        duplex = Duplex(far)
        self.world.until(lambda: duplex.end, "it is closed")
        return False


def test_a_server_of_ours_has_decided_already(world: World) -> None:
    gate = Gate(world, features=frozenset({"half-close"}), max_connections=1, **LIST)
    assert all(gate.lets_in(start) for start in (HERE, THERE, UNTOLD))


def test_where_a_list_is_set_nobody_comes_in_whose_address_is_not_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(world, **LIST)
    assert [gate.lets_in(start) for start in (HERE, THERE, UNTOLD)] == [True, False, False]
    assert "the server does not tell where visitors come from" in caplog.text
    assert Gate(world, max_connections=1).lets_in(UNTOLD)


@pytest.mark.parametrize(
    ("version", "may"), [("0.34.3", True), ("0.35.0", False), ("0.70.1", False), ("new", False)]
)
def test_requests_that_share_a_connection_tell_the_address_of_the_first(
    world: World, version: str, may: bool
) -> None:
    assert Gate(world, HttpProxyConfig, version=version, **LIST).lets_in(HERE) is may
    assert Gate(world, HttpProxyConfig, version=version, max_connections=1).lets_in(HERE)


def test_who_is_here_counts_until_it_has_left(world: World) -> None:
    gate = Gate(world, max_connections=2)
    assert [gate.lets_in(HERE) for _ in range(3)] == [True, True, False]
    gate.service.counters.closed(0, 0)
    assert gate.lets_in(HERE)


def test_new_visitors_come_in_slowly(world: World) -> None:
    gate = Gate(world, max_connection_rate=1.0)
    assert [gate.lets_in(HERE) for _ in range(2)] == [True, False]
    world.advance(1.1)
    assert gate.lets_in(HERE)


def test_the_rest_is_the_service_s(world: World) -> None:
    gate = Gate(world, max_connections=1)
    gate.proxy.retire()
    gate.proxy.close()
    assert (gate.service.retired, gate.service.closed) == (1, 1)
    assert gate.proxy.counters is gate.service.counters


def test_a_refused_visitor_never_reaches_the_local_service(world: World) -> None:
    home = Home(world, proxy={"deny_cidrs": ("9.0.0.0/8",)})
    session = home.running()
    session.start_work().until_end()
    world.settle()
    assert home.local.connections == 0


def test_frps_is_told_what_to_keep(world: World) -> None:
    home = Home(world, proxy={"max_connection_rate": 0.5, "max_connections": 3, **LIST})
    [request] = home.session().accept(frpd=FRPD["frpd"]).accept_proxies()
    assert (request.allow_cidrs, request.deny_cidrs) == (["192.0.2.0/24"], [])
    assert (request.max_connections, request.max_connection_rate) == (3, "0.5")


@pytest.mark.parametrize("frpd", [True, False], ids=["frpd", "go"])
def test_datagrams_are_dropped_by_the_address_that_they_name(world: World, frpd: bool) -> None:
    scene = Scene(world, frpd=frpd, proxy={"deny_cidrs": ("198.51.100.0/24",)})
    assert isinstance(scene.proxy, UdpProxy)
    far, near = (scene.format.name_visitor(host, 5) for host in ("198.51.100.9", "192.0.2.9"))
    scene.say((far, b"far"), (near, b"near"))
    wanted = [b"far", b"near"] if frpd else [b"near"]
    world.until(lambda: len(scene.local.heard) >= len(wanted))
    world.settle()
    assert [data for data, _ in scene.local.heard] == wanted
    assert scene.proxy.traffic.dropped_refused == (0 if frpd else 1)


def test_of_sudp_visitors_count_and_not_their_users(world: World) -> None:
    fields: dict[str, Any] = {"name": "web", "section": "web", "local_port": 9}
    home = Home(world, proxies=[SudpProxyConfig(**fields, max_connections=1)])
    session = home.running()
    first = session.start_work()
    world.settle()
    session.start_work().until_end()
    assert first.stream.end == ""


def test_an_xtcp_owner_counts_its_users_itself(world: World) -> None:
    context = replace(context_of(world, frozenset({"half-close"})), holes=hole_context(world))
    fields: dict[str, Any] = {"name": "a", "section": "a", "sk": Secret("sk")}
    owner = make_server(context, XtcpProxyConfig(**fields, max_connections=1))
    assert isinstance(owner, XtcpProxy)
    assert isinstance(owner._users, GatedProxy)
    listed = make_server(context, XtcpProxyConfig(**fields, **LIST))
    assert isinstance(listed, GatedProxy)
    assert isinstance(listed._server, XtcpProxy)
    assert not isinstance(listed._server._users, GatedProxy)


# Users of visitors' ports.


def test_a_visitor_s_port_takes_so_many_users(world: World) -> None:
    guest = Guest(world, max_connections=1)
    session = guest.enter()
    first = guest.user()
    asked(session)
    second = guest.user()
    world.until(lambda: second.end)
    assert second.end == "reset"
    assert first.end == ""
    first.reset()
    session.wire.close()
    world.until(lambda: guest.visitor.counters.connections_open == 0)
