"""tls2raw: who does not speak TLS is sent away. Who does: tests/e2e/test_web_plugins."""

from __future__ import annotations

from frpd.client.plugins.web_bridge import HANDSHAKE_SECONDS
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.plugins.stage import Stage

__all__ = ["world"]


def test_what_is_not_tls_is_answered_by_no_service(world: World) -> None:
    stage = Stage(world, "tls2raw", {"local_addr": "127.0.0.1:1"})
    stage.visit(b"GET / HTTP/1.1\r\n\r\n").until_end()
    stage.leaves_nothing()


def test_a_handshake_has_an_end(world: World) -> None:
    stage = Stage(world, "tls2raw", {"local_addr": "127.0.0.1:1"})
    visitor = stage.visit(b"\x16\x03")
    world.settle()
    world.pass_time(HANDSHAKE_SECONDS + 1)
    visitor.until_end()


def test_closing_leaves_nothing_of_a_handshake(world: World) -> None:
    stage = Stage(world, "tls2raw", {"local_addr": "127.0.0.1:1"})
    stage.visit(b"\x16\x03")
    world.settle()
    stage.leaves_nothing()
