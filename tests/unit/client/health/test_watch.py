"""A proxy whose service is watched: asked for while it is well, withdrawn while it is ill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from frpd.client.proxy_table import Phase
from frpd.config.client import ClientSetup
from frpd.config.proxies import TcpProxyConfig
from frpd.proto.message.types import CloseProxy, NewProxy, NewProxyResp
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.home import Door, Home

__all__ = ["world"]

INTERVAL = 5


class Scene(Home):
    """A client with one proxy whose service is watched, logged in."""

    def __init__(self, world: World, **fields: Any) -> None:
        self.service_port = free_port()
        checked: dict[str, Any] = {
            "local_port": self.service_port,
            "health_check_type": "tcp",
            "health_check_interval_s": INTERVAL,
        }
        super().__init__(world, proxy=checked | fields)
        self.entered = self.session().accept()
        world.settle()

    @property
    def phase(self) -> Phase:
        return self.service.table.entries["web"].phase

    @property
    def error(self) -> str:
        return self.service.table.entries["web"].error

    def start_service(self) -> Door:
        return Door(self.world, self.service_port)

    def pass_interval(self) -> None:
        self.world.pass_time(INTERVAL + 0.1)
        self.world.settle()

    def register(self) -> None:
        self.entered.accept_proxies()
        assert self.phase is Phase.RUNNING

    def withdrawn(self) -> None:
        assert self.entered.control.receive(CloseProxy).proxy_name == "web"


def test_nothing_is_asked_for_before_the_first_good_check(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    scene = Scene(world, health_check_max_failed=2)
    assert scene.phase is Phase.NEW
    scene.start_service()
    scene.pass_interval()
    scene.register()
    assert "health check success" in caplog.text


def test_a_service_that_is_ill_from_the_start_is_told(world: World) -> None:
    scene = Scene(world)
    world.pass_time(0.5)
    world.until(lambda: scene.phase is Phase.CHECK_FAILED)
    assert "connection refused" in scene.error
    assert not scene.entered.control.count(NewProxy)


def test_an_ill_service_is_withdrawn_and_comes_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    scene = Scene(world)
    door = scene.start_service()
    scene.pass_interval()
    scene.register()
    door.close()
    scene.pass_interval()
    scene.withdrawn()
    assert scene.phase is Phase.CHECK_FAILED
    assert "health check failed" in caplog.text
    scene.start_service()
    scene.pass_interval()
    scene.register()
    assert scene.error == ""


def test_failures_count_in_a_row(world: World) -> None:
    scene = Scene(world, health_check_max_failed=2)
    door = scene.start_service()
    scene.pass_interval()
    scene.register()
    for _ in range(3):
        door.close()
        scene.pass_interval()
        door = scene.start_service()
        scene.pass_interval()
    assert scene.phase is Phase.RUNNING
    door.close()
    scene.pass_interval()
    scene.pass_interval()
    scene.withdrawn()


def test_an_answer_to_what_was_withdrawn_is_not_taken_for_a_later_one(world: World) -> None:
    scene = Scene(world)
    door = scene.start_service()
    scene.pass_interval()
    scene.entered.control.receive(NewProxy)
    door.close()
    scene.pass_interval()
    scene.withdrawn()
    scene.start_service()
    scene.pass_interval()
    scene.entered.control.receive(NewProxy)
    scene.entered.control.send(NewProxyResp("web", ":1"))
    world.settle()
    assert scene.phase is Phase.WAIT_START
    scene.entered.control.send(NewProxyResp("web", ":2"))
    world.until(lambda: scene.phase is Phase.RUNNING)
    assert scene.service.table.entries["web"].remote_addr == ":2"


def test_a_new_session_gets_who_is_well(world: World) -> None:
    scene = Scene(world)
    door = scene.start_service()
    scene.pass_interval()
    scene.register()
    scene.entered.wire.close()
    world.until(lambda: scene.phase is Phase.CLOSED)
    door.close()
    scene.pass_interval()
    session = scene.session().accept()
    world.until(lambda: scene.phase is Phase.CHECK_FAILED)
    scene.start_service()
    scene.pass_interval()
    session.accept_proxies()
    assert scene.phase is Phase.RUNNING


def test_without_a_port_there_is_nothing_to_check(world: World) -> None:
    scene = Scene(world, local_port=0, plugin="http_proxy")
    scene.register()


def test_a_reload_watches_the_new_and_forgets_the_old(world: World) -> None:
    scene = Scene(world)
    door = scene.start_service()
    scene.pass_interval()
    scene.register()
    other = Door(world)
    config = TcpProxyConfig(
        name="other",
        section="other",
        local_port=other.port,
        health_check_type="tcp",
        health_check_interval_s=INTERVAL,
    )
    setup = ClientSetup(common=scene.service.config, proxies=(config,), visitors=())
    scene.service.reload(replace(setup, proxies=(config,)))
    scene.pass_interval()
    assert scene.entered.control.receive(NewProxy).proxy_name == "other"
    before = door.connections
    scene.pass_interval()
    assert (door.connections, other.connections > 1) == (before, True)


def test_closing_leaves_nothing(world: World) -> None:
    scene = Scene(world)
    door = scene.start_service()
    scene.pass_interval()
    door.close()
    scene.service.close()
    scene.entered.wire.close()
    world.until(scene.empty.timers_are_back)
