"""The client's ControlSession: heartbeats, work connections, retries."""

from __future__ import annotations

import pytest

from frpd.auth.token import privilege_key
from frpd.client import control as module
from frpd.client.proxy_table import Phase
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import (
    Login,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    Ping,
    Pong,
    ReqWorkConn,
    StartWorkConn,
)
from tests.helpers.peers import TOKEN, Talker
from tests.helpers.world import World
from tests.unit.client.home import Home, Session

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


@both_kinds
def test_pings_are_sent_at_the_interval_also_with_mux(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    world.pass_time(29, step=1)
    assert session.control.take_all(Ping) == []
    world.pass_time(1.1)
    assert session.control.take_all(Ping) == [Ping()]


def test_no_pings_with_an_interval_of_zero_and_no_timeout_either(world: World) -> None:
    home = Home(world, mux=False, heartbeat_interval=0)
    session = home.running()
    world.pass_time(300, step=10)
    assert session.control.take_all(Ping) == []
    assert session.wire.end == ""


def test_pings_of_the_heartbeat_scope_carry_the_key(world: World) -> None:
    home = Home(world, authenticate_heartbeats=True)
    session = home.running()
    world.pass_time(31)
    ping = session.control.receive(Ping)
    assert ping.privilege_key == privilege_key(TOKEN, ping.timestamp)


@both_kinds
def test_a_server_that_answers_no_ping_is_left_at_the_timeout(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(world, mux=mux, heartbeat_timeout=45)
    session = home.running()
    world.pass_time(30.5, step=0.5)
    session.control.receive(Ping)
    session.control.send(Pong())  # the last one: the timeout counts from here
    world.settle()
    world.pass_time(44)
    assert session.wire.end == ""
    world.pass_time(1.5)
    assert session.wire.end
    assert "no heartbeat from the server for 4" in caplog.text
    assert home.session().login.run_id == "abc"


@both_kinds
def test_a_refused_ping_ends_the_session(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    session.control.send(Pong(error="token in heartbeat is wrong"))
    world.until(lambda: session.wire.end)
    assert "the server refused our heartbeat: token in heartbeat is wrong" in caplog.text
    world.advance(1.01)
    home.session()


@both_kinds
def test_a_refused_proxy_is_asked_for_again_and_runs_in_the_end(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.session().accept()
    session.control.receive(NewProxy)
    session.control.send(NewProxyResp("web", error="port already used"))
    world.settle()
    assert home.service.table.entries["web"].error == "port already used"
    world.pass_time(29)
    assert session.control.count(NewProxy) == 0
    world.pass_time(1.5)
    session.accept_proxies()
    assert home.service.table.entries["web"].phase is Phase.RUNNING


@both_kinds
def test_an_unanswered_proxy_is_asked_for_again(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.session().accept()
    session.control.receive(NewProxy)
    world.pass_time(20.5)
    session.control.receive(NewProxy)


@both_kinds
def test_a_work_connection_names_us(world: World, mux: bool) -> None:
    home = Home(world, mux=mux, authenticate_new_work_conns=True)
    session = home.running(run_id="my-id")
    session.control.send(ReqWorkConn())
    hello = Talker(world, session.next_stream()).receive(NewWorkConn)
    assert hello.run_id == "my-id"
    assert hello.privilege_key == privilege_key(TOKEN, hello.timestamp)


@both_kinds
def test_a_visitor_reaches_the_service_with_what_was_glued_to_its_introduction(
    world: World, mux: bool
) -> None:
    home = Home(world, mux=mux)
    work = home.running().start_work(glued=b"GLUED-PAYLOAD")
    service = home.local.next()
    world.until(lambda: service.received == b"GLUED-PAYLOAD")
    service.write(b"echo")
    world.until(lambda: work.payload == b"echo")


@both_kinds
def test_an_error_in_start_work_conn_closes_that_connection(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    work = session.ask_work()
    work.send(StartWorkConn(error="invalid NewWorkConn"))
    work.until_end()
    assert "the server refused a work connection: invalid NewWorkConn" in caplog.text
    assert session.control.stream.end == ""


@both_kinds
def test_a_visitor_for_a_proxy_that_does_not_run_is_closed(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    session.start_work("stranger").until_end()
    assert "a visitor for [stranger], which does not run" in caplog.text
    assert session.control.stream.end == ""


@both_kinds
def test_another_message_on_a_work_connection_closes_it(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    work = session.ask_work()
    work.send(Pong())
    work.until_end("reset")
    assert session.control.stream.end == ""


@both_kinds
def test_an_unused_work_connection_may_end(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    work = session.ask_work()
    work.stream.close()
    if mux:
        work.until_end()
    world.settle()
    assert session.control.stream.end == ""
    session.ask_work()


@both_kinds
def test_more_work_connections_than_anyone_needs_are_not_opened(
    world: World, mux: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_IDLE_WORK_CONNS", 5)
    home = Home(world, mux=mux)
    session = home.running()
    session.control.send(*[ReqWorkConn()] * 20)
    world.until(lambda: "asks for too many work connections" in caplog.text)
    opened = session.mux.accepted if session.mux else home.door.wires
    world.until(lambda: len(opened) == 5)
    world.settle()
    assert len(opened) == 5
    assert session.control.stream.end == ""


def test_a_work_connection_that_cannot_be_dialled_costs_only_itself(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(world, mux=False)
    session = home.running()
    home.door.close()
    session.control.send(ReqWorkConn())
    world.until(lambda: "cannot open a work connection" in caplog.text)
    assert session.control.stream.end == ""


@both_kinds
def test_what_a_server_should_not_say_is_ignored(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    session.control.send(Login(), ReqWorkConn())
    session.next_stream()
    assert "ignored a Login on the control stream" in caplog.text


@both_kinds
def test_nonsense_on_the_control_stream_costs_the_session_and_no_more(
    world: World, mux: bool
) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    world.advance(10)
    session.control.write(b"\xff" * 20)
    world.until(lambda: session.wire.end)
    assert home.session().login.run_id == "abc"


def test_relays_without_mux_outlive_the_session(world: World) -> None:
    home = Home(world, mux=False)
    session = home.running()
    work = session.start_work(glued=b"x")
    service = home.local.next()
    world.until(lambda: service.received)
    session.wire.close()
    world.settle()
    service.write(b"still here")
    world.until(lambda: work.payload == b"still here")


def test_relays_on_mux_end_with_the_session(world: World) -> None:
    home = Home(world, mux=True)
    session = home.running()
    session.start_work(glued=b"x")
    service = home.local.next()
    world.until(lambda: service.received)
    session.wire.reset()
    world.until(lambda: service.end)
    assert not home.service.relays


DIRECT = {"frpd": {"v": 1, "chosen": ["direct-stream", "half-close"]}}


def opened_by_server(session: Session) -> Talker:
    assert session.mux is not None
    return Talker(session.world, session.mux.open())


def test_a_stream_that_the_server_opens_serves_its_visitor(world: World) -> None:
    home = Home(world)
    work = opened_by_server(home.running(**DIRECT))
    work.stream.write(encode_message(StartWorkConn(proxy_name="web")) + b"question")
    service = home.local.next()
    world.until(lambda: service.received == b"question")
    service.write(b"answer")
    work.started = True
    world.until(lambda: work.payload == b"answer")


def test_a_stream_that_the_server_opens_without_direct_stream_is_reset(world: World) -> None:
    opened_by_server(Home(world).running()).until_end("reset")


def test_a_stream_that_stays_silent_is_reset_after_ten_seconds(world: World) -> None:
    home = Home(world)
    session = home.running(**DIRECT)
    work = opened_by_server(session)
    world.settle()
    world.pass_time(9.5)
    assert work.stream.end == ""
    world.pass_time(1)
    work.until_end("reset")
    assert session.control.stream.end == ""


def test_more_silent_streams_than_allowed_are_reset(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_IDLE_WORK_CONNS", 2)
    session = Home(world).running(**DIRECT)
    first, second, third = (opened_by_server(session) for _ in range(3))
    third.until_end("reset")
    assert (first.stream.end, second.stream.end) == ("", "")


def test_a_stream_that_begins_with_another_message_is_reset(world: World) -> None:
    session = Home(world).running(**DIRECT)
    work = opened_by_server(session)
    work.send(Pong())
    work.until_end("reset")
    world.advance(30)
    assert session.control.stream.end == ""
