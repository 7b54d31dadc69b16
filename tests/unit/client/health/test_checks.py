"""One check of a service: what counts as well, and what is said of the rest."""

from __future__ import annotations

import pytest

from frpd.client.health.checks import MAX_REDIRECTS, Check
from frpd.net.connector import Connector
from frpd.net.resolver import Resolver
from tests.helpers.peers import Wire
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.home import Door

__all__ = ["world"]

SECONDS = 3.0


class Scene:
    """A service that the test plays, and a check of it."""

    def __init__(self, world: World, path: str = "") -> None:
        self.world = world
        self.door = Door(world)
        self.results: list[str] = []
        self.check = self.begin(self.door.port, path)

    def begin(self, port: int, path: str) -> Check:
        return Check(
            self.world.loop,
            Connector(self.world.loop, Resolver(self.world.pool)),
            "127.0.0.1",
            port,
            path=path,
            timeout_seconds=SECONDS,
            on_result=self.results.append,
        )

    def asked(self) -> tuple[Wire, bytes]:
        wire = self.door.next()
        self.world.until(lambda: wire.received.endswith(b"\r\n\r\n"), "a request")
        return wire, bytes(wire.received)

    def result(self) -> str:
        self.world.until(lambda: self.results, "a result")
        self.world.settle()
        (result,) = self.results
        return result


def test_a_connection_is_enough(world: World) -> None:
    scene = Scene(world)
    wire = scene.door.next()
    assert scene.result() == ""
    world.until(lambda: wire.end)


def test_where_nobody_listens_the_reason_is_the_system_s(world: World) -> None:
    scene = Scene(world)
    scene.result()
    scene.results.clear()
    port = free_port()
    scene.begin(port, "")
    assert scene.result() == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""),
        (b"HTTP/1.0 204 No Content\r\n\r\n", ""),
        (
            b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
            "GET /status is answered with 503",
        ),
        (b"SSH-2.0-x\r\n\r\n", "answers something that is not HTTP"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n",
            "GET /status is answered with 302, and leads away",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://[x/\r\n\r\n",
            "GET /status is answered with 302, and leads away",
        ),
    ],
)
def test_an_answer_of_2xx_is_asked_for(world: World, answer: bytes, result: str) -> None:
    scene = Scene(world, "/status")
    wire, request = scene.asked()
    host = f"127.0.0.1:{scene.door.port}"
    assert request.startswith(f"GET /status HTTP/1.1\r\nHost: {host}\r\n".encode())
    for part in (answer[:9], answer[9:]):
        wire.write(part)
        world.settle()
    assert scene.result().startswith(result)
    assert bool(scene.results[0]) == bool(result)


def test_a_redirect_within_the_service_is_followed(world: World) -> None:
    scene = Scene(world, "/a")
    wire, _ = scene.asked()
    wire.write(b"HTTP/1.1 301 Moved\r\nLocation: b/?c\r\n\r\n")
    wire, request = scene.asked()
    assert request.startswith(b"GET /b/?c HTTP/1.1\r\n")
    wire.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert scene.result() == ""


def test_redirects_have_an_end(world: World) -> None:
    scene = Scene(world, "/a")
    for _ in range(MAX_REDIRECTS + 1):
        wire, _ = scene.asked()
        wire.write(b"HTTP/1.1 301 Moved\r\nLocation: /a\r\n\r\n")
    assert "leads away" in scene.result()


def test_silence_has_an_end(world: World) -> None:
    scene = Scene(world, "/a")
    scene.asked()
    world.pass_time(SECONDS)
    assert scene.result() == "no answer within 3 s"


def test_an_end_without_an_answer_is_a_failure(world: World) -> None:
    scene = Scene(world, "/a")
    wire, _ = scene.asked()
    wire.close()
    assert scene.result() == "closed before an answer"


def test_a_cancelled_check_says_nothing_and_leaves_nothing(world: World) -> None:
    scene = Scene(world, "/a")
    wire, _ = scene.asked()
    scene.check.cancel()
    scene.check.cancel()
    world.until(lambda: wire.end)
    world.pass_time(SECONDS + 1)
    assert scene.results == []
