"""Two servers one after the other, and the service manager between them: nobody is refused."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from frpd.net.socket_store import SocketStore
from frpd.proto.message.types import CloseProxy, StartWorkConn
from frpd.server.proxies.udp import HEAD_START_SECONDS
from tests.helpers.peers import ScriptedClient
from tests.helpers.ports import free_port
from tests.helpers.socket_keeper import SocketKeeper
from tests.helpers.udp import udp_socket
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]

HERE = "127.0.0.1"


@pytest.fixture
def keeper() -> Iterator[SocketKeeper]:
    made = SocketKeeper()
    yield made
    made.close()


def house(world: World, keeper: SocketKeeper, bind_port: int) -> House:
    """Start a server, with what the keeper has."""
    sockets = SocketStore(keeper.tell, keeper.pass_on())
    sockets.attach(world.loop)
    world.owners.callback(sockets.close)
    return House(world, sockets=sockets, bind_port=bind_port)


def stop(server: House) -> None:
    """End it as a stop in order does."""
    server.service._sockets.freeze()
    server.service.shut_down(lambda: None)
    server.service.close()
    server.service._sockets.close()
    server.world.settle()


def kill(server: House) -> None:
    """End it as the kernel does: nobody is told anything, everything is closed."""
    server.service._sockets.freeze()
    server.service.close()
    server.service._sockets.close()
    server.world.settle()


def hail(port: int) -> socket.socket:
    """Return a visitor that is connected, to whomever."""
    return socket.create_connection((HERE, port), timeout=10)


@pytest.mark.parametrize("end", [stop, kill])
def test_visitors_and_clients_of_the_meantime_are_served(
    world: World, keeper: SocketKeeper, end: Callable[[House], None]
) -> None:
    bind_port, port = free_port(), free_port()
    first = house(world, keeper, bind_port)
    assert first.client().new_proxy("web", port).error == ""
    assert keeper.names == [f"tcp/{HERE}/{bind_port}", f"tcp/{HERE}/{port}/proxy%20web"]
    end(first)
    with hail(port) as visitor, hail(bind_port):
        second = house(world, keeper, bind_port)
        assert second.port == bind_port
        client = second.client()
        assert client.new_proxy("other", port).error == "port already used"
        assert client.new_proxy("web", port).error == ""
        start = client.work().receive(StartWorkConn)
        assert (start.proxy_name, start.src_port) == ("web", visitor.getsockname()[1])
    assert len(keeper.names) == 2


def test_a_proxy_without_a_wish_gets_its_port_again(world: World, keeper: SocketKeeper) -> None:
    bind_port = free_port()
    first = house(world, keeper, bind_port)
    address = first.client().new_proxy("web", 0).remote_addr
    stop(first)
    second = house(world, keeper, bind_port)
    assert second.client().new_proxy("web", 0).remote_addr == address


def test_a_group_gets_its_port_again_whoever_of_it_comes_first(
    world: World, keeper: SocketKeeper
) -> None:
    bind_port, port = free_port(), free_port()
    group = {"group": "g", "group_key": "k"}
    first = house(world, keeper, bind_port)
    assert first.client().new_proxy("a", port, **group).error == ""
    stop(first)
    with hail(port):
        client = house(world, keeper, bind_port).client()
        assert client.new_proxy("a", port).error == "port already used"
        assert client.new_proxy("b", port, **group).error == ""
        assert client.work().receive(StartWorkConn).proxy_name == "b"


def test_datagrams_of_the_meantime_wait(world: World, keeper: SocketKeeper) -> None:
    bind_port = free_port()
    with udp_socket() as probe:
        port = int(probe.getsockname()[1])
    first = house(world, keeper, bind_port)
    assert first.client().new_proxy("dns", port, proxy_type="udp").error == ""
    stop(first)
    with udp_socket() as visitor:
        visitor.sendto(b"question", (HERE, port))
        client = house(world, keeper, bind_port).client()
        assert client.new_proxy("other", port, proxy_type="udp").error == "port already used"
        assert client.new_proxy("dns", port, proxy_type="udp").error == ""
        world.advance(HEAD_START_SECONDS)
        work = client.work()
        assert work.receive(StartWorkConn).proxy_name == "dns"
        world.until(lambda: b"cXVlc3Rpb24=" in work.payload)


def close_and_register(client: ScriptedClient, port: int, kind: str) -> None:
    assert client.new_proxy("p", port, proxy_type=kind).error == ""
    client.control.send(CloseProxy(proxy_name="p"))
    assert client.new_proxy("p", port, proxy_type=kind).error == ""


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_port_is_free_as_soon_as_its_proxy_is_closed(
    world: World, keeper: SocketKeeper, kind: str
) -> None:
    port = free_port()
    client = house(world, keeper, free_port()).client()
    close_and_register(client, port, kind)
    assert len(keeper.names) == 2
    client.control.send(CloseProxy(proxy_name="p"))
    world.until(lambda: len(keeper.names) == 1)


def test_connections_that_a_stop_cuts_are_counted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    server = House(world)
    client = server.client()
    port = server.proxy(client)
    server.visit(port)
    server.serve(client)
    world.until(lambda: server.service.relays)
    server.service.close()
    server.service.close()
    assert caplog.text.count("connections cut: 1") == 1


@pytest.mark.parametrize("comes", [True, False], ids=["work comes", "client leaves"])
def test_a_stop_waits_for_visitors_who_have_no_work_connection_yet(
    world: World, comes: bool
) -> None:
    server = House(world)
    client = server.client()
    visitor = server.visit(server.proxy(client))
    (control,) = server.service.controls.values()
    world.until(lambda: control.work_conns.waiting)
    idle: list[bool] = []
    server.service.shut_down(lambda: idle.append(True))
    world.advance(1.0)
    assert not idle
    if comes:
        work = client.work()
        assert work.receive(StartWorkConn).error == ""
        world.until(lambda: server.service.relays)
        world.advance(1.0)
        assert not idle
        visitor.reset()
    else:
        client.close()
    world.settle()
    world.advance(1.0)
    world.until(lambda: idle)


def test_visitors_who_wait_are_cut_like_all_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    server = House(world)
    client = server.client()
    server.visit(server.proxy(client))
    (control,) = server.service.controls.values()
    world.until(lambda: control.work_conns.waiting)
    server.service.close()
    assert caplog.text.count("connections cut: 1") == 1
