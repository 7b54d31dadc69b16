"""kcp_bind_port: clients over KCP against the whole service, and what is left of them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from frpd.config.server import ServerConfig
from frpd.net.listener import ListenError
from frpd.net.socket_store import SocketStore
from frpd.proto.message.types import LoginResp, NewProxy, NewProxyResp
from frpd.proto.yamux.frames import HEADER_BYTES
from frpd.server.entrances import still_wanted
from frpd.server.snapshot import take_snapshot
from frpd.udp.datagram_socket import bind_udp
from tests.helpers.kcp import KcpPeer, udp_socket
from tests.helpers.peers import ScriptedClient, Talker, login_message
from tests.helpers.ports import free_port
from tests.helpers.socket_keeper import SocketKeeper
from tests.helpers.steps import outcome
from tests.helpers.world import World
from tests.unit.server.house import House

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


def open_house(world: World, **keys: Any) -> House:
    return House(world, **({"kcp_bind_port": free_port()} | keys))


def kcp_client(house: House, *, mux: bool = True, **fields: Any) -> ScriptedClient:
    """Return a client that has logged in over KCP."""
    client = guest(house, mux=mux)
    assert client.login(**fields).error == ""
    return client


def guest(house: House, *, mux: bool) -> ScriptedClient:
    port = house.service.config.kcp_bind_port
    return ScriptedClient(house.world, port, mux=mux, dial=KcpPeer)


def conversations(house: House) -> int:
    entrance = house.service._kcp.entrance
    assert entrance is not None
    return entrance.conversations


def vanish(client: ScriptedClient) -> None:
    """Be gone, as a machine that has lost its power: nobody refuses what comes for it."""
    assert isinstance(client.wire, KcpPeer)
    client.wire.answers = False
    if client.mux is not None:
        client.mux.answers = False


@both_kinds
def test_a_visitor_is_served_over_kcp(world: World, mux: bool) -> None:
    house = open_house(world)
    client = kcp_client(house, mux=mux)
    port = house.proxy(client)
    visitor = house.visit(port)
    work = house.serve(client)
    visitor.write(b"hello")
    world.until(lambda: work.payload == b"hello")
    work.write(b"answer")
    world.until(lambda: visitor.received == b"answer")
    visitor.close()
    work.until_end("eof")
    work.stream.close()
    world.pass_time(120)  # without mux it is asked whether it is there
    house.service.kick_client(client.run_id)
    client.close()
    world.pass_time(11, step=0.5)
    house.until_empty()


def test_a_client_that_came_by_kcp_is_shown_so(world: World) -> None:
    house = open_house(world)
    client = kcp_client(house)
    [row] = outcome(take_snapshot(house.service, world.loop)).clients
    assert row.session is not None
    assert row.session.layers == ("kcp",)
    assert row.session.socket is not None
    assert row.session.socket.tcp is None
    assert row.session.address == "127.0.0.1:%d" % client.wire.address[1]  # noqa: UP031 # short


@both_kinds
def test_a_client_that_vanishes_leaves_nothing(world: World, mux: bool) -> None:
    house = open_house(world)
    client = kcp_client(house, mux=mux)
    house.proxy(client)
    vanish(client)
    world.pass_time(100)  # keepalive on mux, else the heartbeat
    world.until(lambda: not house.service.controls)
    assert house.service.proxies == {}
    world.pass_time(15)
    client.close()
    house.until_empty()
    assert conversations(house) == 0


@both_kinds
def test_one_that_vanishes_before_its_login_leaves_nothing(world: World, mux: bool) -> None:
    house = open_house(world)
    client = guest(house, mux=mux)
    client.control.write(b"o\0\0")
    world.settle()
    assert (conversations(house), house.service._door.pending) == (1, 1)
    vanish(client)
    world.pass_time(11)
    client.close()
    house.until_empty()
    assert conversations(house) == 0


def test_a_crowd_pushes_out_only_itself(world: World) -> None:
    house = open_house(world, max_pending_per_source=5)
    crowd = [guest(house, mux=False) for _ in range(12)]
    for one in crowd:
        one.control.write(b"o")
        world.settle()
    assert (conversations(house), house.service._door.pending) == (5, 5)
    client = kcp_client(house)
    assert house.proxy(client)


def test_before_login_three_times_what_was_sent_comes_back_at_most(world: World) -> None:
    house = open_house(world)
    for mux in (True, False):
        client = guest(house, mux=mux)
        assert isinstance(client.wire, KcpPeer)
        client.control.send(login_message(privilege_key="wrong"))
        client.wire.answers = False
        world.pass_time(25, step=0.2)
        assert 0 < client.wire.heard_bytes <= 3 * client.wire.sent_bytes
        client.close()
    world.pass_time(20)
    house.until_empty()


@both_kinds
def test_nobody_is_accused_before_it_is_known_that_he_is_there(
    world: World, caplog: pytest.LogCaptureFixture, mux: bool
) -> None:
    house = open_house(world)
    forged = guest(house, mux=mux)
    assert isinstance(forged.wire, KcpPeer)
    forged.control.send(login_message(privilege_key="wrong"))
    forged.wire.is_deaf = True
    world.pass_time(25)
    assert "login" not in caplog.text
    real = guest(house, mux=mux)
    assert real.login(privilege_key="wrong").error == "authorization failed"
    world.settle()
    assert "login refused: authorization failed" in caplog.text


def test_a_login_that_is_played_again_replaces_nobody(world: World) -> None:
    house = open_house(world)
    client = kcp_client(house, run_id="owner")
    port = house.proxy(client)
    session = house.service.controls["owner"]
    assert isinstance(client.wire, KcpPeer)
    thief = udp_socket(world, house.service.config.kcp_bind_port)
    for datagram in [*client.wire.sent, *client.wire.heard]:
        thief.send(datagram)
        client.wire.say(datagram) if datagram in client.wire.sent else None
    world.settle()
    assert house.service.controls == {"owner": session}
    assert house.service._door.pending == 0
    visitor = house.visit(port)
    work = house.serve(client)
    visitor.write(b"still here")
    world.until(lambda: work.payload == b"still here")


def test_rubbish_on_the_port_changes_nothing(world: World) -> None:
    house = open_house(world)
    client = kcp_client(house)
    census = world.census()
    sock = udp_socket(world, house.service.config.kcp_bind_port)
    seeds = random.Random(3)
    assert isinstance(client.wire, KcpPeer)
    for datagram in client.wire.sent:
        sock.send(datagram[: seeds.randrange(len(datagram))])
        changed = bytearray(datagram)
        changed[seeds.randrange(8, len(changed))] ^= 0x55
        sock.send(changed if changed[8:12] == datagram[8:12] else datagram[:20])
    for _ in range(50):
        sock.send(seeds.randbytes(seeds.randrange(1400)))
    world.settle()
    assert (conversations(house), house.service._door.pending) == (1, 0)
    sock.close()
    assert world.census().timers <= census.timers
    client.control.send(NewProxy(proxy_name="web", proxy_type="tcp", remote_port=free_port()))
    assert client.control.receive(NewProxyResp).error == ""


def test_a_mux_that_is_closed_hears_it(world: World) -> None:
    house = open_house(world)
    client = kcp_client(house)
    house.service.kick_client(client.run_id)
    world.until(lambda: client.wire.end)
    assert client.wire.heard_bytes > HEADER_BYTES


# The port itself.


def test_another_port_is_for_newcomers_and_who_is_there_stays(world: World) -> None:
    house = open_house(world)
    old, first = kcp_client(house), house.service.config.kcp_bind_port
    house.reload(kcp_bind_port=free_port())
    new = kcp_client(house)
    assert set(house.service.controls) == {old.run_id, new.run_id}
    late = KcpPeer(world, first)
    late.write(b"o")
    world.settle()
    assert house.service._door.pending == 0
    with pytest.raises(ListenError):
        bind_udp("127.0.0.1", first)
    assert house.proxy(old)
    house.service.kick_client(old.run_id)
    world.pass_time(2, step=0.1)
    bind_udp("127.0.0.1", first).close()


def test_back_to_the_first_port_while_somebody_is_there(world: World) -> None:
    house = open_house(world)
    old, first = kcp_client(house), house.service.config.kcp_bind_port
    house.reload(kcp_bind_port=0)
    assert house.service._kcp.entrance is None
    house.reload(kcp_bind_port=first)
    new = kcp_client(house)
    assert set(house.service.controls) == {old.run_id, new.run_id}
    assert conversations(house) == 2


def test_a_port_that_cannot_be_had_changes_nothing(world: World) -> None:
    house = open_house(world)
    with bind_udp("127.0.0.1", 0) as taken, pytest.raises(ListenError):
        house.reload(kcp_bind_port=taken.getsockname()[1])
    assert kcp_client(house).run_id


def test_a_tcp_port_that_cannot_be_had_frees_the_new_one_again(world: World) -> None:
    house, port = open_house(world), free_port()
    with pytest.raises(ListenError):
        house.reload(kcp_bind_port=port, vhost_http_port=house.port, proxy_bind_addr="203.0.113.9")
    bind_udp("127.0.0.1", port).close()


def test_who_is_there_hears_that_the_server_stops(world: World) -> None:
    house = open_house(world)
    client = kcp_client(house, mux=False)
    house.service.shut_down(lambda: None)
    late = guest(house, mux=False)
    late.control.send(login_message())
    world.settle()
    assert late.control.count(LoginResp) == 0
    house.service.close()
    world.until(lambda: client.wire.end)
    bind_udp("127.0.0.1", house.service.config.kcp_bind_port).close()


def test_a_restart_keeps_the_port_and_old_clients_hear_of_it(world: World) -> None:
    keeper = SocketKeeper()
    world.owners.callback(keeper.close)

    def start(**keys: Any) -> House:
        sockets = SocketStore(keeper.tell, keeper.pass_on())
        sockets.attach(world.loop)
        sockets.sift(still_wanted(ServerConfig(bind_addr="127.0.0.1", **keys), []))
        world.owners.callback(sockets.close)
        return House(world, sockets=sockets, **keys)

    keys = {"bind_port": free_port(), "kcp_bind_port": free_port()}
    first = start(**keys)
    client = kcp_client(first)
    assert isinstance(client.wire, KcpPeer)
    assert f"udp/127.0.0.1/{keys['kcp_bind_port']}" in keeper.names
    client.wire.is_deaf = True  # it sleeps, and misses what it is told
    first.service._sockets.freeze()
    first.service.shut_down(lambda: None)
    first.service.close()
    first.service._sockets.close()
    waiting = udp_socket(world, keys["kcp_bind_port"])
    waiting.send(b"nobody reads this yet")
    second = start(**keys)
    client.wire.is_deaf = False
    client.control.send(NewProxy(proxy_name="web", proxy_type="tcp"))
    world.until(lambda: client.wire.end == "reset")
    assert kcp_client(second).run_id


def test_a_work_connection_has_its_own_conversation_without_mux(world: World) -> None:
    house = open_house(world)
    client = kcp_client(house, mux=False)
    before = conversations(house)
    work = client.work()
    world.settle()
    assert conversations(house) == before + 1
    assert isinstance(work, Talker)
    work.stream.reset()
    world.pass_time(11)
