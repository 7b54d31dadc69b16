"""WorkDesk: whose a work connection is, also while a server plugin is asked about it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from frpd.config.server import ServerPluginConfig
from frpd.proto.message.types import StartWorkConn
from tests.helpers.hook_server import HookServer
from tests.helpers.peers import ScriptedClient
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House

__all__ = ["world"]


@pytest.fixture
def plugin() -> Iterator[HookServer]:
    server = HookServer()
    yield server
    server.close()


def test_an_unknown_run_id_is_sent_away(world: World) -> None:
    client = ScriptedClient(world, House(world).port, mux=False)
    client.work("nobody").until_end()


def test_a_work_connection_whose_client_leaves_meanwhile_is_closed(
    world: World, plugin: HookServer
) -> None:
    config = ServerPluginConfig(name="p", addr=plugin.address, ops=("NewWorkConn",))
    house = House(world, plugins=(config,))
    plugin.gate.clear()
    client = house.client(mux=False)
    work = client.work()
    world.until(lambda: plugin.ops() == ["NewWorkConn"])
    client.close()
    world.until(lambda: not house.service.controls)
    plugin.gate.set()
    work.until_end()


def test_a_plugin_may_bring_the_key_that_is_checked(world: World, plugin: HookServer) -> None:
    config = ServerPluginConfig(name="p", addr=plugin.address, ops=("NewWorkConn",))
    house = House(world, plugins=(config,), authenticate_new_work_conns=True)
    plugin.answer = lambda question: {"content": question.content | {"privilege_key": "no"}}
    text = "token in NewWorkConn doesn't match token from configuration"
    assert house.client().work().receive(StartWorkConn).error == text
