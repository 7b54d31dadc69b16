"""ControlSession: proxies, pings and work connections of one client, through its sockets."""

from __future__ import annotations

import struct

import pytest

from frpd.auth.token import privilege_key
from frpd.clock import unix_now
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import (
    CloseProxy,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    Ping,
    Pong,
    ReqWorkConn,
    StartWorkConn,
    UdpPacket,
)
from tests.helpers.peers import TOKEN, ScriptedClient
from tests.helpers.world import World
from tests.unit.server.house import House

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


@both_kinds
def test_every_ping_gets_its_pong(world: World, mux: bool) -> None:
    house = House(world)
    client = house.client(mux=mux)
    client.control.send(Ping(), Ping())
    assert client.control.take_all(Pong) == [Pong(), Pong()]


def test_silence_ends_a_session_without_mux(world: World) -> None:
    house = House(world)
    client = house.client(mux=False)
    world.advance(89)
    client.control.send(Ping())
    world.settle()
    world.advance(89)
    assert client.wire.end == ""
    world.advance(1.1)
    world.until(lambda: client.wire.end)
    client.close()
    house.until_empty()


def test_silence_does_not_end_a_session_on_mux(world: World) -> None:
    house = House(world)
    client = house.client(mux=True)
    world.pass_time(200, step=5)
    assert client.control.stream.end == ""


def test_silence_ends_a_session_on_mux_when_the_key_is_set(world: World) -> None:
    house = House(world, heartbeat_timeout=40, heartbeat_timeout_set=True)
    client = house.client(mux=True)
    world.pass_time(39, step=3)
    assert client.control.stream.end == ""
    world.pass_time(2)
    assert client.wire.end
    client.close()
    house.until_empty()


def test_a_heartbeat_timeout_of_zero_never_comes(world: World) -> None:
    house = House(world, heartbeat_timeout=-1, heartbeat_timeout_set=True)
    client = house.client(mux=False)
    world.advance(10_000)
    assert client.wire.end == ""


def test_a_ping_of_the_heartbeat_scope_needs_the_key(world: World) -> None:
    house = House(world, authenticate_heartbeats=True, heartbeat_timeout=10)
    client = house.client(mux=False)
    now = unix_now()
    client.control.send(Ping(privilege_key(TOKEN, now), now))
    assert client.control.receive(Pong).error == ""
    world.advance(9)
    client.control.send(Ping())
    text = "token in heartbeat doesn't match token from configuration"
    assert client.control.receive(Pong).error == text
    world.advance(1.1)  # and it was no sign of life
    world.until(lambda: client.wire.end)


@both_kinds
def test_a_work_connection_of_its_scope_needs_the_key(world: World, mux: bool) -> None:
    house = House(world, authenticate_new_work_conns=True)
    client = house.client(mux=mux)
    refused = client.work()
    text = "token in NewWorkConn doesn't match token from configuration"
    assert refused.receive(StartWorkConn).error == text
    refused.until_end()
    now = unix_now()
    taken = client.work(privilege_key=privilege_key(TOKEN, now), timestamp=now)
    world.settle()
    assert taken.stream.end == ""
    assert house.service.controls[client.run_id].work_conns.ready == 1


def test_without_details_a_client_hears_summaries(world: World) -> None:
    house = House(
        world,
        detailed_errors_to_client=False,
        authenticate_heartbeats=True,
        authenticate_new_work_conns=True,
    )
    silent = house.client(mux=False)
    silent.control.send(Ping())
    assert silent.control.receive(Pong).error == "invalid ping"
    world.until(lambda: not house.service.controls)
    client = house.client(mux=False)
    assert client.work().receive(StartWorkConn).error == "invalid NewWorkConn"
    assert client.new_proxy("p", 70_000).error == "new proxy [p] error"
    client.close()
    assert house.connect().end == ""
    stranger = ScriptedClient(world, house.port, mux=True)
    assert stranger.login(privilege_key="wrong").error == "register control error"


@both_kinds
def test_the_stock_is_asked_for_right_after_login(world: World, mux: bool) -> None:
    house = House(world)
    client = house.client(mux=mux, pool_count=3)
    assert len(client.control.take_all(ReqWorkConn)) == 3


@pytest.mark.parametrize(
    ("pool_count", "most", "asked"), [(7, 5, 5), (3, 5, 3), (0, 5, 0), (-4, 5, 0), (7, 0, 0)]
)
def test_the_stock_is_clamped_to_max_pool_count(
    world: World, pool_count: int, most: int, asked: int
) -> None:
    house = House(world, max_pool_count=most)
    client = house.client(pool_count=pool_count)
    assert len(client.control.take_all(ReqWorkConn)) == asked


def test_close_proxy_frees_the_port_and_leaves_visitors_alone(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client, "web")
    visitor = house.visit(port)
    work = house.serve(client)
    client.control.send(CloseProxy("web"), CloseProxy("web"), CloseProxy("never heard of"), Ping())
    client.control.receive(Pong)
    assert house.service.proxies == {}
    with pytest.raises(ConnectionRefusedError):
        house.visit(port)
    visitor.write(b"still there")
    world.until(lambda: work.payload == b"still there")
    other = house.client()
    assert other.new_proxy("web", port).error == ""


@both_kinds
def test_messages_that_only_clients_get_are_ignored(world: World, mux: bool) -> None:
    house = House(world)
    client = house.client(mux=mux)
    client.control.send(UdpPacket(c=b"x"), Pong(), ReqWorkConn(), NewWorkConn(run_id="x"), Ping())
    assert client.control.receive(Pong) == Pong()


@both_kinds
@pytest.mark.parametrize(
    "data",
    [
        b"\xff" + bytes(20),
        b"h" + struct.pack(">q", 10_241),
        b"p" + struct.pack(">q", 4) + b"nope",
        b"p" + struct.pack(">q", 18) + b'{"remote_port":"x"',
        b"p" + struct.pack(">q", 19) + b'{"remote_port":"x"}',
    ],
)
def test_nonsense_on_the_control_stream_ends_the_client_and_frees_all_it_had(
    world: World, mux: bool, data: bytes
) -> None:
    house = House(world)
    client = house.client(mux=mux)
    port = house.proxy(client)
    client.control.write(data)
    if data.endswith(b'"x"'):
        client.close()
    world.until(lambda: not house.service.controls)
    with pytest.raises(ConnectionRefusedError):
        house.visit(port)
    client.close()
    house.until_empty()


def test_a_name_that_does_not_fit_into_the_answer_ends_its_client_without_a_traceback(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(world)
    client = house.client()
    client.control.send(NewProxy(proxy_name="x" * 6000, proxy_type="nope"))
    world.until(lambda: not house.service.controls)
    assert "Traceback" not in caplog.text
    client.close()
    house.until_empty()


@both_kinds
def test_a_client_that_goes_frees_all_it_had(world: World, mux: bool) -> None:
    house = House(world)
    client = house.client(mux=mux, pool_count=1)
    port = house.proxy(client)
    work = client.work()
    visitor = house.visit(port)
    work.receive(StartWorkConn)
    spare = client.work()
    waiting = house.visit(port)
    world.settle()
    client.wire.reset()
    if not mux:
        work.stream.close()
        spare.stream.close()
    world.until(lambda: visitor.end)
    visitor.close()
    waiting.close()
    house.until_empty()


def test_a_visitor_that_waits_is_let_go_with_the_client(world: World) -> None:
    house = House(world)
    client = house.client()
    port = house.proxy(client)
    visitor = house.visit(port)
    world.settle()
    assert visitor.end == ""
    client.close()
    world.until(lambda: visitor.end)
    visitor.close()
    house.until_empty()


def test_requests_glued_to_each_other_are_answered_in_order(world: World) -> None:
    house = House(world)
    client = house.client()
    client.control.write(
        encode_message(NewProxy(proxy_name="a", proxy_type="nope")) + encode_message(Ping())
    )
    world.settle()
    kinds = [type(message) for message in client.control.inbox]
    assert kinds == [NewProxyResp, Pong]
