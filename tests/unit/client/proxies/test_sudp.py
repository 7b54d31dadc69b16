"""sudp proxies at the client: a work stream for each visitor, and each goes alone."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.client.proxies import sudp
from frpd.client.proxies.sudp import SudpProxy
from frpd.config.proxies import SudpProxyConfig
from frpd.udp.go_packets import GoPackets
from tests.helpers.peers import Talker
from tests.helpers.world import World, world
from tests.unit.client.home import Home
from tests.unit.client.proxies.test_udp import FRPD, Local

__all__ = ["world"]


class Scene:
    """A client with one sudp proxy, its scripted server and a local service that echoes."""

    def __init__(self, world: World, *, frpd: bool = True, mux: bool = True) -> None:
        self.world = world
        self.local = Local(world)
        self.local.echoes = True
        fields: dict[str, Any] = {"name": "dns", "section": "dns", "local_ip": "127.0.0.1"}
        proxy = SudpProxyConfig(**fields, local_port=self.local.port)
        self.home = Home(world, mux=mux, proxies=[proxy])
        self.session = self.home.running(**(FRPD if frpd else {}))

    @property
    def proxy(self) -> SudpProxy:
        server = self.home.service.table.entries["dns"].server
        assert isinstance(server, SudpProxy)
        return server

    def visitor(self) -> Talker:
        work = self.session.start_work("dns")
        self.world.settle()
        return work

    def ask(self, work: Talker, data: bytes) -> list[bytes]:
        """Send a datagram of the one user that all visitors have, and return what comes back."""
        out = bytearray()
        GoPackets.append(out, GoPackets.name_visitor("192.0.2.7", 1), data)
        work.stream.write(bytes(out))
        self.world.until(lambda: work.payload, "an answer")
        self.world.settle()
        found = GoPackets().receive_data(bytes(work.payload))
        work.payload.clear()
        return [bytes(one) for some in found.values() for one in some]


@pytest.mark.parametrize("frpd", [True, False], ids=["frpd", "go"])
@pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])
def test_users_of_the_same_address_at_two_visitors_are_two(
    world: World, frpd: bool, mux: bool
) -> None:
    scene = Scene(world, frpd=frpd, mux=mux)
    one, other = scene.visitor(), scene.visitor()
    assert scene.ask(one, b"from one") == [b"from one"]
    assert scene.ask(other, b"from the other") == [b"from the other"]
    ports = {port for _, port in scene.local.heard}
    assert len(ports) == 2
    assert scene.proxy.counters.connections_open == 2


def test_a_visitor_that_goes_takes_its_users_along_and_nobody_else_s(world: World) -> None:
    scene = Scene(world)
    one, other = scene.visitor(), scene.visitor()
    scene.ask(one, b"a")
    scene.ask(other, b"b")
    one.stream.close()
    world.until(lambda: scene.proxy.counters.connections_open == 1)
    assert scene.ask(other, b"c") == [b"c"]


def test_the_visitor_hears_that_we_live(world: World) -> None:
    scene = Scene(world)
    work = scene.visitor()
    world.pass_time(31.0)
    world.until(lambda: work.payload == GoPackets.keepalive)


def test_visitors_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sudp, "MAX_VISITORS", 1)
    scene = Scene(world)
    scene.ask(scene.visitor(), b"a")
    scene.visitor().until_end()


def test_close_leaves_nothing(world: World) -> None:
    scene = Scene(world)
    work = scene.visitor()
    scene.ask(work, b"a")
    scene.proxy.close()
    scene.proxy.close()
    work.until_end()
    assert scene.proxy.counters.connections_open == 0
