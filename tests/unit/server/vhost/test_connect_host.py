"""Visitors of the CONNECT port: whom they name, who may, and what the service hears."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from frpd.proto.message.types import CloseProxy, StartWorkConn
from frpd.server.vhost.connect_host import CONNECTED
from tests.helpers.peers import Talker, Wire
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House
from tests.unit.server.vhost.web import reserved_port

__all__ = ["world"]

NAME = "a.example.com"
MUX: dict[str, Any] = {"multiplexer": "httpconnect", "custom_domains": [NAME]}


class Front:
    """A server with one tcpmux proxy."""

    def __init__(self, world: World, proxy: dict[str, Any] | None = None, **keys: Any) -> None:
        self.world = world
        self.port = reserved_port(world)
        self.house = House(world, tcpmux_httpconnect_port=self.port, **keys)
        self.client = self.house.client()
        self.remote_addr = self.add("p", **(proxy or {}))

    def add(self, name: str, **fields: Any) -> str:
        answer = self.client.new_proxy(name, 0, "tcpmux", **(MUX | fields))
        assert answer.error == ""
        return answer.remote_addr

    def visit(self, data: bytes) -> Wire:
        wire = self.house.visit(self.port)
        wire.write(data)
        return wire

    def work(self) -> tuple[StartWorkConn, Talker]:
        work = self.client.work()
        return work.receive(StartWorkConn), work


def connect(host: str = NAME, user: str = "") -> bytes:
    login = f"Proxy-Authorization: Basic {b64encode(user.encode()).decode()}\r\n" if user else ""
    return f"CONNECT {host}:22 HTTP/1.1\r\nHost: {host}:22\r\n{login}\r\n".encode()


@pytest.mark.parametrize("name", [NAME, "A.Example.com"])
def test_what_follows_reaches_the_service_and_comes_back(world: World, name: str) -> None:
    front = Front(world)
    visitor = front.visit(connect(name) + b"sent ahead")
    start, work = front.work()
    assert start.src_addr == "127.0.0.1"
    world.until(lambda: bytes(work.payload) == b"sent ahead")
    work.write(b"answer")
    world.until(lambda: bytes(visitor.received) == CONNECTED + b"answer")


def test_the_proxy_s_address_names_host_and_port(world: World) -> None:
    front = Front(world)
    assert front.remote_addr == f"{NAME}:{front.port}"


def test_with_passthrough_the_service_hears_the_request_and_answers_itself(world: World) -> None:
    front = Front(world, tcpmux_passthrough=True)
    visitor = front.visit(connect() + b"more")
    _, work = front.work()
    world.until(lambda: bytes(work.payload) == connect() + b"more")
    work.write(b"HTTP/1.1 200 Fine\r\n\r\n")
    world.until(lambda: bytes(visitor.received) == b"HTTP/1.1 200 Fine\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (connect("other.example.com"), b"404"),
        (b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n", b"400"),
        (b"CONNECT a.example.com HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT a.example.com:22 HTTP/1.1\r\nHost: a\nb\r\n\r\n", b"400"),
        (b"\x16\x03\x01 not http\r\n\r\n", b"400"),
    ],
)
def test_what_cannot_be_served_is_answered_and_closed(
    world: World, request_: bytes, status: bytes
) -> None:
    front = Front(world)
    visitor = front.visit(request_)
    world.until(lambda: visitor.end)
    assert bytes(visitor.received).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(("user", "admitted"), [("", False), ("ann:no", False), ("ann:pw", True)])
def test_user_and_password_are_asked_for(world: World, user: str, admitted: bool) -> None:
    front = Front(world, {"http_user": "ann", "http_pwd": "pw"})
    visitor = front.visit(connect(user=user))
    if admitted:
        front.work()
        world.until(lambda: bytes(visitor.received) == CONNECTED)
    else:
        world.until(lambda: visitor.end)
        assert bytes(visitor.received).startswith(b"HTTP/1.1 407 ")
        assert b'Proxy-Authenticate: Basic realm="Restricted"' in visitor.received


def test_the_user_that_is_named_decides_where_to(world: World) -> None:
    front = Front(world, {"route_by_http_user": "ann"})
    assert front.client.new_proxy("q", 0, "tcpmux", **MUX, route_by_http_user="bob").error == ""
    for user, name in (("ann:any", "p"), ("bob:any", "q")):
        front.visit(connect(user=user))
        assert front.work()[0].proxy_name == name
    for user, status in (("eve:any", b"404"), ("", b"407")):
        visitor = front.visit(connect(user=user))
        world.until(lambda one=visitor: one.end)  # type: ignore[misc] # each its own
        assert bytes(visitor.received).startswith(b"HTTP/1.1 " + status)


def test_a_closed_proxy_leaves_the_name_to_others(world: World) -> None:
    front = Front(world)
    assert front.client.new_proxy("q", 0, "tcpmux", **MUX).error == "router config conflict"
    front.client.control.send(CloseProxy("p"))
    assert front.client.new_proxy("q", 0, "tcpmux", **MUX).error == ""


def test_who_says_nothing_is_closed(world: World) -> None:
    front = Front(world, vhost_http_head_timeout=5.0)
    visitor = front.visit(b"CONNECT a.exam")
    world.settle()
    world.pass_time(6.0)
    world.until(lambda: visitor.end)
    assert not visitor.received


def test_who_comes_and_goes_leaves_nothing(world: World) -> None:
    front = Front(world)
    visitor = front.visit(b"CONN")
    world.settle()
    visitor.close()
    world.until(lambda: not front.house.service._vhosts.connect.door.pending)
