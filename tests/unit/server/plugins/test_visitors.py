"""frpd.server.plugins.visitors, with a whole server: every question where frp asks it."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.config.server import ServerPluginConfig
from frpd.proto.message.types import CloseProxy, NewProxy, NewProxyResp, Ping, Pong, StartWorkConn
from frpd.proto.native import DIRECT_STREAM, FEATURES, offer
from frpd.server.plugins.content import OPS
from tests.helpers.hook_server import KEEP, Answer, HookServer, Question
from tests.helpers.peers import ScriptedClient, login_message
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.house import House


def house_of(world: World, plugin: HookServer, *ops: str, **keys: Any) -> House:
    config = ServerPluginConfig(name="p", addr=plugin.address, path="/h", ops=ops)
    return House(world, plugins=(config,), **keys)


def reject(*ops: str) -> Any:
    def answer(question: Question) -> Answer:
        return {"reject": True, "reject_reason": "not today"} if question.op in ops else KEEP

    return answer


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])
def test_a_session_is_asked_about_from_end_to_end(
    world: World, plugin: HookServer, mux: bool
) -> None:
    house = house_of(world, plugin, *OPS)
    client = house.client(mux=mux, user="bob", metas={"k": "v"})
    port = house.proxy(client)
    visitor = house.visit(port)
    house.serve(client)
    client.control.send(Ping())
    assert client.control.receive(Pong) == Pong()
    client.control.send(CloseProxy("web"))
    world.until(lambda: "CloseProxy" in plugin.ops())
    assert sorted(set(plugin.ops())) == sorted(OPS)
    asked = {question.op: question.content for question in plugin.questions}
    assert asked["Login"]["client_address"].startswith("127.0.0.1:")
    assert asked["Login"]["metas"] == {"k": "v"}
    user = {"user": "bob", "metas": {"k": "v"}, "run_id": client.run_id}
    for op in OPS[1:]:
        assert asked[op]["user"] == user
    assert asked["NewWorkConn"]["run_id"] == client.run_id
    assert asked["NewUserConn"] == {
        "user": user,
        "proxy_name": "web",
        "proxy_type": "tcp",
        "remote_addr": ":".join(map(str, visitor.address)),
    }


def test_a_refused_login_hears_the_reason(world: World, plugin: HookServer) -> None:
    plugin.answer = reject("Login")
    house = house_of(world, plugin, "Login")
    client = ScriptedClient(world, house.port, mux=True)
    assert client.login().error == "not today"
    world.until(lambda: not house.service.controls)


def test_a_login_is_changed_before_it_is_checked(world: World, plugin: HookServer) -> None:
    plugin.answer = lambda question: {"content": question.content | {"run_id": "mine"}}
    house = house_of(world, plugin, "Login")
    assert house.client().run_id == "mine"


def test_a_client_that_leaves_meanwhile_leaves_nothing(world: World, plugin: HookServer) -> None:
    house = house_of(world, plugin, "Login", "NewProxy")
    plugin.gate.clear()
    waiting = ScriptedClient(world, house.port, mux=False)
    waiting.control.send(login_message())
    world.until(lambda: plugin.ops() == ["Login"])
    waiting.close()
    plugin.gate.set()
    world.until(lambda: not house.service.hooks.undecided)
    client = house.client()
    plugin.gate.clear()
    client.control.send(NewProxy("web", "tcp", remote_port=free_port()))
    world.until(lambda: "NewProxy" in plugin.ops())
    client.close()
    world.until(lambda: not house.service.controls)
    plugin.gate.set()
    world.until(lambda: not house.service.hooks.undecided)
    assert house.service.proxies == {}


def test_messages_keep_their_order_while_one_is_decided(world: World, plugin: HookServer) -> None:
    house = house_of(world, plugin, "NewProxy")
    client = house.client()
    plugin.gate.clear()
    port = free_port()
    for message in (
        NewProxy("a", "tcp", remote_port=port),
        NewProxy("b", "nope"),
        CloseProxy("a"),
        NewProxy("c", "tcp", remote_port=port),
    ):
        client.control.send(message)
    world.until(lambda: plugin.ops() == ["NewProxy"])
    plugin.gate.set()
    answers = [client.control.receive(NewProxyResp) for _ in range(3)]
    assert [answer.proxy_name for answer in answers] == ["a", "b", "c"]
    assert [bool(answer.error) for answer in answers] == [False, True, False]
    assert list(house.service.proxies) == ["c"]


def test_a_proxy_is_changed_or_refused(world: World, plugin: HookServer) -> None:
    port = free_port()
    plugin.answer = lambda question: {"content": question.content | {"remote_port": port}}
    house = house_of(world, plugin, "NewProxy")
    client = house.client()
    assert client.new_proxy("web", 1).remote_addr == f":{port}"
    plugin.answer = reject("NewProxy")
    assert client.new_proxy("other", 1).error == "not today"
    plugin.answer = lambda _: 500
    assert client.new_proxy("other", 1).error == "send NewProxy request to plugin error"


def test_a_refused_ping_ends_the_session(world: World, plugin: HookServer) -> None:
    plugin.answer = reject("Ping")
    house = house_of(world, plugin, "Ping")
    client = house.client()
    client.control.send(Ping())
    assert client.control.receive(Pong) == Pong("not today")
    world.until(lambda: not house.service.controls)


def test_a_refused_work_connection_is_told_why(world: World, plugin: HookServer) -> None:
    plugin.answer = reject("NewWorkConn")
    house = house_of(world, plugin, "NewWorkConn")
    work = house.client().work()
    assert work.receive(StartWorkConn).error == "not today"


def test_a_refused_visitor_is_sent_away(world: World, plugin: HookServer) -> None:
    plugin.answer = reject("NewUserConn")
    house = house_of(world, plugin, "NewUserConn")
    client = house.client()
    visitor = house.visit(house.proxy(client))
    world.until(lambda: visitor.end)
    assert house.service.proxies["web"].counters.connections_open == 0


def test_the_end_of_a_client_is_the_end_of_its_proxies(world: World, plugin: HookServer) -> None:
    house = house_of(world, plugin, "CloseProxy")
    client = house.client()
    house.proxy(client, "a")
    house.proxy(client, "b")
    client.close()
    world.until(lambda: len(plugin.questions) == 2)
    assert sorted(asked.content["proxy_name"] for asked in plugin.questions) == ["a", "b"]


def test_plugins_come_and_go_with_a_reload(world: World, plugin: HookServer) -> None:
    house = house_of(world, plugin, "Login")
    plugins = house.service.config.plugins
    house.reload(plugins=())
    house.client()
    assert plugin.questions == []
    house.reload(plugins=plugins)
    house.client()
    assert plugin.ops() == ["Login"]


def test_with_work_connections_asked_about_no_session_goes_without(
    world: World, plugin: HookServer
) -> None:
    house = house_of(world, plugin, "NewWorkConn")
    client = ScriptedClient(world, house.port, mux=True)
    client.login(frpd=offer(FEATURES | {DIRECT_STREAM}))
    assert DIRECT_STREAM not in house.service.controls[client.run_id].features
