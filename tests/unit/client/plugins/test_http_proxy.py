"""Visitors of the http_proxy plugin: tunnels, requests passed on, and refusals."""

from __future__ import annotations

from base64 import b64encode

import pytest

from frpd.client.plugins import http_guest
from frpd.client.plugins.http_guest import LIMITS
from frpd.client.plugins.http_proxy import CONNECTED
from frpd.http.limits import HttpLimits
from frpd.http.pages import error_response
from tests.helpers.peers import Talker
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.plugins.stage import FRPD, Stage

__all__ = ["world"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ALICE = {"http_user": "alice", "http_passwd": "secret"}
answers = pytest.mark.parametrize("answer", [{}, FRPD], ids=["go", "frpd"])


def basic(user: str, password: str) -> str:
    return f"Proxy-Authorization: Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def head(line: str, *fields: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", *fields, "", ""]).encode()


class Scene(Stage):
    """A stage for this plugin."""

    def __init__(
        self,
        world: World,
        params: dict[str, str] | None = None,
        *,
        answer: dict[str, object] | None = None,
    ) -> None:
        super().__init__(world, "http_proxy", params, answer=answer)
        self.authority = f"127.0.0.1:{self.port}"

    def get(self, *fields: str, path: str = "/", method: str = "GET") -> bytes:
        return head(f"{method} http://{self.authority}{path}", "Host: ignored", *fields)

    def asked(self, *fields: str, path: str = "/", method: str = "GET") -> bytes:
        """Return what the service hears of get()."""
        return head(f"{method} {path}", f"Host: {self.authority}", *fields)

    def connect(self, *fields: str) -> bytes:
        return head(f"CONNECT {self.authority}", f"Host: {self.authority}", *fields)

    def gets_page(self, visitor: Talker, status: int, *, ends: bool = True) -> bytes:
        """Wait for a page; return its head."""
        self.world.until(lambda: b"\r\n\r\n" in visitor.payload, "a page")
        self.world.settle()
        page = bytes(visitor.payload)
        visitor.payload.clear()
        assert page.startswith(b"HTTP/1.1 %d " % status)
        assert (b"Connection: close" in page) == ends
        if ends:
            visitor.until_end("eof")
        return page.partition(b"\r\n\r\n")[0]


@answers
def test_a_tunnel_carries_both_directions(world: World, answer: dict[str, object]) -> None:
    scene = Scene(world, answer=answer)
    visitor = scene.visit(scene.connect() + b"early")
    service = scene.home.local.next()
    scene.hears(visitor, CONNECTED)
    world.until(lambda: service.received == b"early")
    service.write(b"answer")
    scene.hears(visitor, b"answer")
    world.pass_time(80)  # no deadline is left
    service.write(b"later")
    scene.hears(visitor, b"later")
    service.close()
    visitor.until_end("eof")
    visitor.stream.close()
    world.until(lambda: not scene.home.service.relays)
    assert scene.server.counters.bytes_out == 11
    scene.leaves_nothing()


@answers
def test_requests_of_a_connection_share_a_connection_to_the_origin(
    world: World, answer: dict[str, object]
) -> None:
    scene = Scene(world, answer=answer)
    visitor = scene.visit(scene.get("Proxy-Connection: keep-alive", "Cookie: x"))
    service = scene.home.local.next()
    for path in ("/", "/next"):
        world.until(lambda: b"\r\n\r\n" in service.received)
        assert service.received == scene.asked("Cookie: x", path=path)
        service.received.clear()
        service.write(OK)
        scene.hears(visitor, OK)
        if path == "/":
            visitor.write(scene.get("Cookie: x", path="/next"))
    assert scene.home.local.connections == 1
    visitor.stream.close()
    world.until(lambda: service.end)
    service.close()
    counters = scene.server.counters
    world.until(lambda: not counters.connections_open)
    assert (counters.connections_total, counters.bytes_out) == (1, 2 * len(OK))
    scene.leaves_nothing()


def test_requests_for_two_origins_go_to_each(world: World) -> None:
    scene = Scene(world)
    other = f"localhost:{scene.port}"
    both = scene.get() + head(f"GET http://{other}/b", f"Host: {other}")
    visitor = scene.visit(both)
    first = scene.home.local.next()
    world.until(lambda: first.received == scene.asked())
    first.write(OK)
    second = scene.home.local.next()
    world.until(lambda: second.received == head("GET /b", f"Host: {other}"))
    second.write(OK)
    scene.hears(visitor, OK + OK)
    assert first.received == scene.asked()


def test_bodies_pass_both_ways(world: World) -> None:
    scene = Scene(world)
    visitor = scene.visit(scene.get("Content-Length: 6", method="PUT") + b"abc")
    service = scene.home.local.next()
    visitor.write(b"def" + scene.get(path="/next"))
    put = scene.asked("Content-Length: 6", method="PUT") + b"abcdef"
    world.until(lambda: service.received == put)
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n"
    service.write(chunks)
    scene.hears(visitor, chunks)
    service.write(b"0\r\n\r\n")
    scene.hears(visitor, b"0\r\n\r\n")
    world.until(lambda: service.received == put + scene.asked(path="/next"))


def test_a_body_may_name_no_second_request_while_we_dial(world: World) -> None:
    hidden = b"GET http://other.test/ HTTP/1.1\r\nHost: x\r\n\r\n"
    scene = Scene(world)
    length = f"Content-Length: {len(hidden)}"
    visitor = scene.visit(scene.get(length, method="POST"))
    visitor.write(hidden)
    service = scene.home.local.next()
    world.until(lambda: service.received == scene.asked(length, method="POST") + hidden)


@pytest.mark.parametrize(
    "fields",
    [(), (basic("alice", "wrong"),), (basic("eve", "secret"),), ("Proxy-Authorization: Basic x",)],
    ids=["none", "password", "user", "rubbish"],
)
@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_without_the_login_there_is_a_challenge(
    world: World, method: str, fields: tuple[str, ...]
) -> None:
    scene = Scene(world, ALICE)
    asks = scene.connect if method == "CONNECT" else scene.get
    visitor = scene.visit(asks(*fields))
    page = scene.gets_page(visitor, 407, ends=False)
    assert b'\r\nProxy-Authenticate: Basic realm="' in page
    assert not scene.home.local.connections
    visitor.write(asks(basic("alice", "secret")))  # as curl does: on the same connection
    service = scene.home.local.next()
    if method == "CONNECT":
        scene.hears(visitor, CONNECTED)
    else:
        world.until(lambda: service.received == scene.asked())


def test_two_logins_are_none(world: World) -> None:
    scene = Scene(world, ALICE)
    login = basic("alice", "secret")
    scene.gets_page(scene.visit(scene.get(login, login)), 407, ends=False)


def test_a_login_for_the_service_is_no_login_here_and_goes_on(world: World) -> None:
    scene = Scene(world, ALICE)
    theirs = basic("alice", "secret").removeprefix("Proxy-")
    scene.gets_page(scene.visit(scene.get(theirs)), 407, ends=False)
    scene.visit(scene.get(theirs, basic("alice", "secret")))
    service = scene.home.local.next()
    world.until(lambda: service.received == scene.asked(theirs))


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 501),
        (b"GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        (b"CONNECT a.test HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        (b"GET http://a.test/ HTTP/3.0\r\nHost: a.test\r\n\r\n", 505),
        (b"GET http://a.test/" + b"y" * 9000, 414),
        (b"\x05\x01\x00", 400),
    ],
)
def test_what_is_not_for_a_proxy_is_refused(world: World, asked: bytes, status: int) -> None:
    scene = Scene(world)
    visitor = scene.visit(asked)
    scene.gets_page(visitor, status)
    world.advance(2.0)
    scene.leaves_nothing()


@pytest.mark.parametrize("method", ["GET", "HEAD", "CONNECT"])
def test_an_origin_that_refuses_is_a_bad_gateway_that_tells_nothing(
    world: World, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    scene = Scene(world)
    port = free_port()
    scene.authority = f"127.0.0.1:{port}"
    asks = scene.connect() if method == "CONNECT" else scene.get(method=method)
    visitor = scene.visit(asks)
    page = scene.gets_page(visitor, 502, ends=method == "CONNECT")
    assert str(port).encode() not in page
    why = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert any(why in record.getMessage() for record in caplog.records)


def test_a_name_that_does_not_exist_is_a_bad_gateway(world: World) -> None:
    scene = Scene(world)
    scene.authority = "xn--.invalid"
    scene.gets_page(scene.visit(scene.get()), 502, ends=False)


def test_an_origin_that_says_nothing_is_a_gateway_time_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_guest, "LIMITS", HttpLimits(answer_seconds=5.0))
    scene = Scene(world)
    visitor = scene.visit(scene.get())
    service = scene.home.local.next()
    world.until(lambda: service.received)
    world.advance(6.0)
    scene.gets_page(visitor, 504, ends=False)


def test_an_origin_that_speaks_nonsense_is_a_bad_gateway(world: World) -> None:
    scene = Scene(world)
    visitor = scene.visit(scene.get())
    service = scene.home.local.next()
    service.write(b"SSH-2.0-x\r\n\r\n")
    scene.gets_page(visitor, 502, ends=False)


def test_an_answer_that_is_cut_ends_its_connection_badly(world: World) -> None:
    scene = Scene(world)
    visitor = scene.visit(scene.get())
    service = scene.home.local.next()
    service.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    world.until(lambda: visitor.payload.endswith(b"half"))
    service.close()
    visitor.until_end("reset")


def test_a_head_has_its_time_and_so_has_the_pause_before_it(world: World) -> None:
    scene = Scene(world)
    silent, slow = scene.visit(), scene.visit(b"GET http://")
    world.pass_time(LIMITS.head_seconds + 1)
    silent.until_end()
    assert not silent.payload
    scene.gets_page(slow, 408)
    world.advance(2.0)
    scene.leaves_nothing()


def test_a_connection_may_idle_between_requests_but_not_for_ever(world: World) -> None:
    scene = Scene(world)
    visitor = scene.visit(scene.get())
    service = scene.home.local.next()
    service.write(OK)
    scene.hears(visitor, OK)
    world.pass_time(LIMITS.idle_seconds - 2)
    assert not visitor.stream.end
    world.pass_time(3)
    visitor.until_end("eof")
    assert not visitor.payload


def test_an_upgrade_is_passed_on(world: World) -> None:
    scene = Scene(world)
    ask = ("Upgrade: websocket", "Connection: Upgrade")
    visitor = scene.visit(scene.get(*ask))
    service = scene.home.local.next()
    world.until(lambda: service.received == scene.asked(*ask))
    switch = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    )
    service.write(switch)
    scene.hears(visitor, switch)
    visitor.write(b"frame")
    world.until(lambda: service.received.endswith(b"frame"))
    service.write(b"frame back")
    scene.hears(visitor, b"frame back")


@answers
def test_closing_drops_guests_wherever_they_are(world: World, answer: dict[str, object]) -> None:
    scene = Scene(world, answer=answer)
    visitors = [scene.visit(), scene.visit(b"GET "), scene.visit(scene.get())]
    service = scene.home.local.next()
    world.until(lambda: service.received)
    scene.server.close()
    for visitor in visitors:
        visitor.until_end("reset")
    world.until(lambda: service.end)
    assert scene.server.counters.connections_open == 0
    assert not scene.home.service.relays
    service.close()
    scene.leaves_nothing()


def test_a_visitor_that_is_lost_in_the_middle_takes_its_request_along(world: World) -> None:
    scene = Scene(world)
    visitor = scene.visit(scene.get())
    service = scene.home.local.next()
    world.until(lambda: service.received)
    visitor.stream.reset()
    world.until(lambda: service.end)
    service.close()
    world.until(lambda: not scene.home.service.relays)
    assert scene.server.counters.connections_open == 0
    scene.leaves_nothing()


@answers
@pytest.mark.parametrize("said", [b"", b"GET http://"])
def test_after_a_change_no_request_is_taken(
    world: World, answer: dict[str, object], said: bytes
) -> None:
    scene = Scene(world, ALICE, answer=answer)
    login = basic("alice", "secret")
    visitor = scene.visit(scene.get(login))
    service = scene.home.local.next()
    world.until(lambda: service.received)
    service.write(OK)
    scene.hears(visitor, OK)
    visitor.write(said)
    world.settle()
    scene.server.retire()
    visitor.write(scene.get(login))
    visitor.until_end("eof")
    assert not visitor.payload
    assert service.received == scene.asked()
    visitor.stream.close()
    world.until(lambda: not scene.server.counters.connections_open)


@pytest.mark.parametrize("begun", [False, True], ids=["asked", "answering"])
def test_after_a_change_what_was_asked_is_answered_and_that_is_all(
    world: World, begun: bool
) -> None:
    scene = Scene(world)
    visitor = scene.visit(scene.get() + scene.get(path="/more"))
    service = scene.home.local.next()
    world.until(lambda: service.received == scene.asked())
    if begun:
        service.write(OK[:-1])
        world.until(lambda: visitor.payload)
    scene.server.retire()
    service.write(OK[-1:] if begun else OK)
    visitor.until_end("eof")
    assert visitor.payload.endswith(b"\r\n\r\nok")
    assert (b"Connection: close" in visitor.payload) != begun
    assert service.received == scene.asked()


def test_after_a_change_a_tunnel_that_was_asked_for_opens_and_stays(world: World) -> None:
    scene = Scene(world)
    visitor = scene.visit(scene.connect())
    world.until(lambda: scene.home.local.connections)
    scene.server.retire()
    scene.hears(visitor, CONNECTED)
    scene.home.local.next().write(b"answer")
    scene.hears(visitor, b"answer")


def test_after_a_change_a_page_that_is_being_said_is_the_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(world, ALICE)

    def change(status: int, *, close: bool, head_only: bool) -> bytes:
        scene.server.retire()
        return error_response(status, close=close, head_only=head_only)

    monkeypatch.setattr(http_guest, "error_response", change)
    visitor = scene.visit(scene.get() + scene.get(basic("alice", "secret")))
    visitor.until_end("eof")
    assert visitor.payload.startswith(b"HTTP/1.1 407 ")
    assert visitor.payload.count(b"HTTP/1.1 ") == 1
    assert scene.home.local.connections == 0
