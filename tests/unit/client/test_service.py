"""The client's Service: reaching the server, logging in, coming back."""

from __future__ import annotations

import pytest

from frpd.auth.token import privilege_key
from frpd.client.proxies.xtcp import XtcpProxy
from frpd.client.proxy_table import Phase
from frpd.config.params import Params
from frpd.config.proxies import XtcpProxyConfig
from frpd.proto import deflate
from frpd.proto.message.types import EMULATED_VERSION, LoginResp, NewProxy, Ping, Pong
from frpd.proto.native import offer, read_public_key, willing
from tests.helpers.peers import TOKEN, Wire
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.home import Door, Home

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


@both_kinds
def test_a_login_says_who_we_are(world: World, mux: bool) -> None:
    home = Home(world, mux=mux, user="me", pool_count=3, metas=Params({"a": "b"}))
    login = home.session().login
    assert login.version == EMULATED_VERSION
    assert login.privilege_key == privilege_key(TOKEN, login.timestamp)
    assert (login.user, login.pool_count, login.metas) == ("me", 3, {"a": "b"})
    assert (login.os, login.run_id) == ("linux", "")
    features = willing("auto", mux=mux, deflates=deflate.IS_WORTH_IT, seals=True)
    key = read_public_key(login.frpd)
    assert key is not None
    assert login.frpd == offer(features, key)


def test_with_native_off_a_login_offers_nothing(world: World) -> None:
    assert Home(world, native="off").session().login.frpd is None


@both_kinds
def test_after_the_login_the_proxies_are_registered(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    home = Home(world, mux=mux)
    [request] = home.session().accept().accept_proxies()
    assert request == NewProxy(proxy_name="web", proxy_type="tcp", remote_port=6000)
    assert home.service.table.entries["web"].phase is Phase.RUNNING
    assert "login to server success, get run id [abc], server udp port [0]" in caplog.text
    assert "start proxy success" in caplog.text


@both_kinds
def test_a_refused_first_login_is_fatal_with_login_fail_exit(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    home.session().control.send(LoginResp(error="authorization failed"))
    world.until(lambda: home.fatal)
    world.advance(60)
    assert home.fatal == ["authorization failed"]
    assert home.door.connections == 1


@both_kinds
def test_a_refused_login_is_tried_again_in_growing_steps_without_it(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(world, mux=mux, login_fail_exit=False)
    for pause in (1, 2, 4):
        session = home.session()
        session.control.send(LoginResp(error="authorization failed"))
        world.until(lambda wire=session.wire: wire.end)  # type: ignore[misc]
        session.wire.close()
        world.advance(pause - 0.1)
        assert home.door.wires == []
        world.advance(0.1)
    home.session()
    assert home.fatal == []
    assert caplog.text.count("login to server failed: authorization failed") == 3


def test_an_unreachable_server_is_fatal_at_first_with_login_fail_exit(world: World) -> None:
    home = Home(world, server_port=free_port())
    world.until(lambda: home.fatal)
    assert "connection refused" in home.fatal[0]


@both_kinds
def test_an_unreachable_server_is_tried_every_second_without_it(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    home = Home(world, mux=mux, login_fail_exit=False, server_port=port)
    for _ in range(5):
        world.advance(1.01)
    assert caplog.text.count("login to server failed") >= 5
    home.door = Door(world, port)
    world.advance(1.01)
    home.running()
    assert home.fatal == []


@both_kinds
def test_a_lost_session_comes_back_with_its_run_id(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    first = home.running(run_id="kept")
    world.advance(10)
    first.wire.close()
    again = home.session()
    assert again.login.run_id == "kept"
    again.accept("kept").accept_proxies()
    assert home.service.table.entries["web"].phase is Phase.RUNNING


@both_kinds
def test_login_fail_exit_is_for_the_first_login_only(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    home.running().wire.close()
    world.settle()
    world.advance(1.01)
    session = home.session()
    session.control.send(LoginResp(error="authorization failed"))
    world.until(lambda: session.wire.end)
    session.wire.close()
    world.advance(1.01)
    home.running()
    assert home.fatal == []


@both_kinds
def test_a_server_that_drops_every_session_is_not_hammered(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    for _ in range(3):
        session = home.session().accept()
        world.settle()
        session.wire.close()
        world.settle()
        assert home.door.wires == []
        world.advance(1.01)
    assert home.door.connections == 4


@both_kinds
def test_no_answer_to_the_login_within_ten_seconds_is_a_failure(world: World, mux: bool) -> None:
    home = Home(world, mux=mux, login_fail_exit=False)
    session = home.session()
    world.pass_time(9.9)
    assert session.wire.end == ""
    world.pass_time(0.2)
    world.until(lambda: session.wire.end)
    world.advance(1.01)
    home.running()


@both_kinds
@pytest.mark.parametrize("data", [b"garbage \xff\xff", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_an_answer_that_is_none_is_a_failure(world: World, mux: bool, data: bytes) -> None:
    home = Home(world, mux=mux)
    home.session().control.stream.write(data)
    world.until(lambda: home.fatal)
    assert "unknown message type" in home.fatal[0]


@both_kinds
def test_another_message_as_answer_is_a_failure(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    home.session().control.send(Pong())
    world.until(lambda: home.fatal)
    assert home.fatal == ["unexpected Pong as answer to login"]


@both_kinds
def test_a_server_that_just_closes_is_a_failure(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    home.session().wire.close()
    world.until(lambda: home.fatal)
    assert len(home.fatal) == 1


def test_a_server_without_mux_is_told_from_the_bytes(world: World) -> None:
    home = Home(world, mux=True)
    wire = home.door.next()
    wire.write(b"1" + bytes(11))
    world.until(lambda: home.fatal)
    assert "yamux" in home.fatal[0]


@both_kinds
def test_close_frees_everything(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    work = session.start_work(glued=b"hello")
    service = home.local.next()
    idle = session.ask_work()
    world.until(lambda: service.received == b"hello")
    home.service.close()
    home.service.close()
    world.until(lambda: service.end)
    world.until(lambda: session.wire.end)
    for stream in (work.stream, idle.stream) if not mux else ():
        world.until(lambda stream=stream: stream.end)  # type: ignore[misc]
        stream.close()
    session.wire.close()
    service.close()
    world.until(home.empty.is_back, "nothing is left")
    world.advance(30)
    assert home.empty.timers_are_back()
    assert home.door.wires == []


@both_kinds
@pytest.mark.parametrize("when", ["before connecting", "connecting", "logging in", "waiting"])
def test_close_while_it_tries_frees_everything(world: World, mux: bool, when: str) -> None:
    home = Home(world, mux=mux, login_fail_exit=False, start=False)
    if when != "before connecting":
        home.service.start()
    if when == "logging in":
        home.session()
    if when == "waiting":
        home.session().control.send(LoginResp(error="no"))
        world.settle()
    home.service.close()
    world.settle()
    for peer in [*home.door.wires, *world.peers]:
        if isinstance(peer, Wire):
            peer.close()
    world.until(home.empty.is_back, "nothing is left")
    world.advance(60)
    assert home.empty.timers_are_back()
    assert home.fatal == []


def test_shut_down_waits_for_relays_and_reports_once(world: World) -> None:
    home = Home(world)
    session = home.running()
    work = session.start_work(glued=b"x")
    service = home.local.next()
    world.until(lambda: service.received)
    idle: list[str] = []
    home.service.shut_down(lambda: idle.append("idle"))
    world.settle()
    assert idle == []
    work.stream.close()
    service.close()
    world.until(lambda: idle)
    world.settle()
    assert idle == ["idle"]


def test_shut_down_takes_no_more_users_of_tunnels(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    retired: list[object] = []

    def note(proxy: XtcpProxy) -> None:
        retired.append(proxy)

    monkeypatch.setattr(XtcpProxy, "retire", note)
    home = Home(world, proxies=[XtcpProxyConfig(name="vault", section="vault")])
    home.service.shut_down(lambda: None)
    assert retired == [home.service.table.entries["vault"].server]


def test_shut_down_without_relays_is_idle_at_once(world: World) -> None:
    home = Home(world)
    idle: list[str] = []
    home.service.shut_down(lambda: idle.append("idle"))
    world.settle()
    assert idle == ["idle"]


@both_kinds
def test_a_session_lasts_while_pongs_come(world: World, mux: bool) -> None:
    home = Home(world, mux=mux)
    session = home.running()
    for _ in range(10):
        world.pass_time(30, step=5)
        session.control.receive(Ping)
        session.control.send(Pong())
    assert session.wire.end == ""
    assert home.door.connections == 1
