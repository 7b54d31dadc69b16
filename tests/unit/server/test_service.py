"""Service: run ids, take-over, shutting down."""

from __future__ import annotations

import re
import socket

import pytest

from frpd.errors import TransportError
from frpd.proto.message.types import (
    EMULATED_VERSION,
    NewWorkConn,
    Ping,
    Pong,
    ReqWorkConn,
    StartWorkConn,
)
from frpd.proto.native import FEATURES, offer
from tests.helpers.peers import ScriptedClient, Talker
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.house import House

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


def test_with_native_off_an_offer_gets_no_answer(world: World) -> None:
    house = House(world, native="off")
    client = ScriptedClient(world, house.port, mux=True)
    assert client.login(frpd=offer(FEATURES)).frpd is None
    assert house.service.controls[client.run_id].features == frozenset()


@both_kinds
def test_login_answers_version_and_a_run_id_of_sixteen_hex_digits(world: World, mux: bool) -> None:
    house = House(world)
    client = house.client(mux=mux)
    assert re.fullmatch("[0-9a-f]{16}", client.run_id)
    control = house.service.controls[client.run_id]
    assert control.login.version == "0.51.3"
    assert house.service._door.pending == 0
    other = house.client(mux=mux)
    assert other.run_id != client.run_id
    assert EMULATED_VERSION


def test_a_run_id_that_the_client_brings_is_kept(world: World) -> None:
    house = House(world)
    assert house.client(run_id="my-own-id").run_id == "my-own-id"


@both_kinds
def test_a_live_run_id_is_taken_over_with_ports_and_names_free(world: World, mux: bool) -> None:
    house = House(world)
    old = house.client(mux=mux, run_id="me")
    port = house.proxy(old, "web")
    spare = old.work()
    world.settle()
    new = house.client(mux=mux, run_id="me")
    assert new.new_proxy("web", port).error == ""
    old.control.until_end()
    spare.until_end()
    assert house.service.proxies["web"] is house.service.controls["me"].proxies["web"]
    visitor = house.visit(port)
    house.serve(new)
    visitor.close()
    new.close()
    old.close()
    world.until(lambda: not house.service.controls)


def test_the_end_of_a_replaced_client_does_not_touch_its_successor(world: World) -> None:
    house = House(world)
    old = house.client(run_id="me")
    new = house.client(run_id="me")
    old.close()
    world.settle()
    new.control.send(Ping())
    assert new.control.receive(Pong) == Pong()
    assert house.service.controls["me"].login is not None


def test_relays_of_a_replaced_client_without_mux_go_on(world: World) -> None:
    house = House(world)
    old = house.client(mux=False, run_id="me")
    port = house.proxy(old)
    visitor = house.visit(port)
    work = house.serve(old)
    house.client(mux=False, run_id="me")
    visitor.write(b"on")
    world.until(lambda: work.payload == b"on")


def test_a_port_that_cannot_be_bound_stops_listen(world: World) -> None:
    house = House(world)
    with pytest.raises(TransportError, match=r"listen tcp 127\.0\.0\.1:"):
        House(world, bind_port=house.port)


def test_shut_down_frees_every_port_at_once_and_waits_for_relays(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client)
    visitor = house.visit(port)
    work = house.serve(client)
    idle: list[str] = []
    house.service.shut_down(lambda: idle.append("idle"))
    for closed in (port, house.port):
        with pytest.raises(ConnectionRefusedError):
            house.visit(closed)
    visitor.write(b"last words")
    world.until(lambda: work.payload == b"last words")
    assert idle == []
    assert client.mux is not None
    world.settle()
    assert not client.mux.session.may_open  # a go-away has come
    visitor.close()
    work.stream.close()
    world.until(lambda: idle)
    house.service.close()
    world.settle()
    assert idle == ["idle"]


def test_shut_down_is_idle_at_once_without_relays(world: World) -> None:
    house = House(world)
    house.client()
    idle: list[str] = []
    house.service.shut_down(lambda: idle.append("idle"))
    assert idle == []
    world.settle()
    assert idle == ["idle"]


def test_idle_is_reported_once_and_after_a_late_visitor_that_still_got_its_relay(
    world: World,
) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client)
    visitor = house.visit(port)
    client.control.receive(ReqWorkConn)
    work = Talker(world, client.new_stream())
    world.settle()
    idle: list[str] = []
    house.service.shut_down(lambda: idle.append("idle"))
    world.advance(1.0)
    assert not idle
    work.send(NewWorkConn(run_id=client.run_id))
    work.receive(StartWorkConn)
    assert house.service.relays
    visitor.close()
    world.until(lambda: work.stream.end)
    work.stream.close()
    world.until(lambda: not house.service.relays)
    world.until(lambda: idle)
    world.advance(1.0)
    assert idle == ["idle"]


def test_while_shutting_down_no_proxy_is_registered(world: World) -> None:
    house = House(world)
    client = house.client()
    house.service.shut_down(lambda: None)
    port = free_port()
    assert client.new_proxy("late", port).error == "the server is shutting down"
    with pytest.raises(ConnectionRefusedError):
        house.visit(port)


@both_kinds
def test_close_drops_everything(world: World, mux: bool) -> None:
    house = House(world)
    client = house.client(mux=mux)
    port = house.proxy(client)
    visitor = house.visit(port)
    work = house.serve(client)
    waiting = house.visit(port)
    silent = house.connect()
    house.service.close()
    house.service.close()
    for wire in (visitor, waiting, silent, client.wire):
        world.until(lambda wire=wire: wire.end)  # type: ignore[misc]
        wire.close()
    if not mux:
        work.stream.close()
    world.until(lambda: world.loop.watch_count == 0)
    world.advance(30)
    assert world.loop.timer_count == 0
    assert not any((house.service.controls, house.service.proxies, house.service.relays))


def test_start_work_conn_names_visitor_and_port(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client, "user.web")
    visitor = house.visit(port)
    start = client.work().receive(StartWorkConn)
    assert start == StartWorkConn(
        proxy_name="user.web",
        src_addr="127.0.0.1",
        src_port=visitor.address[1],
        dst_addr="127.0.0.1",
        dst_port=port,
    )


def test_a_name_that_no_message_could_carry_is_refused(world: World) -> None:
    house = House(world)
    client = house.client()
    assert client.new_proxy("n" * 1024, 0).error == ""
    assert client.new_proxy("n" * 1025, 0).error == "proxy name is longer than 1024 bytes"


def test_a_kicked_client_is_gone_and_its_ports_are_free(world: World) -> None:
    house = House(world)
    client = house.client(run_id="me")
    port = house.proxy(client)
    assert house.service.kick_client("me")
    client.control.until_end()
    house.proxy(house.client(run_id="other"))
    with socket.create_server(("127.0.0.1", port)):
        assert not house.service.kick_client("me")


def test_visitors_of_one_proxy_can_be_cut(world: World) -> None:
    house = House(world)
    client = house.client()
    visitors = {}
    for name in ("a", "b"):
        visitors[name] = house.visit(house.proxy(client, name))
        house.serve(client)
    assert house.service.cut_visitors("a") == 1
    world.until(lambda: visitors["a"].end)
    assert not visitors["b"].end
    assert len(house.service.relays) == 1
    assert house.service.cut_visitors("nobody's") == 0
