"""The bridge to a local web server: how requests change, and what cannot be served.

With TLS on either side: tests/e2e/test_web_plugins.
"""

from __future__ import annotations

import pytest

from frpd.client.plugins.web_bridge import local_address
from frpd.client.proxy_table import Phase
from frpd.config.params import Params
from frpd.errors import ProxyError
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.home import Door, Home
from tests.unit.client.plugins.stage import FRPD, Stage

__all__ = ["world"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /a HTTP/1.1\r\nHost: www.example.com\r\nX-Forwarded-For: 192.0.2.1\r\nX: y\r\n\r\n"


class Scene(Stage):
    """A stage for http2http, in front of ``site``."""

    def __init__(self, world: World, **params: str) -> None:
        self.site = Door(world)
        where = {"local_addr": f"127.0.0.1:{self.site.port}"}
        super().__init__(world, "http2http", where | params, answer=FRPD)


def test_a_request_goes_to_the_service_as_it_is(world: World) -> None:
    stage = Scene(world)
    visitor = stage.visit(GET)
    service = stage.site.next()
    world.until(lambda: service.received.endswith(b"\r\n\r\n"))
    assert bytes(service.received) == GET
    service.write(OK)
    stage.hears(visitor, OK)


def test_host_and_headers_are_rewritten_as_configured(world: World) -> None:
    stage = Scene(world, host_header_rewrite="inner.example.com", **{"header_X-From-Where": "frp"})
    stage.visit(GET)
    service = stage.site.next()
    world.until(lambda: service.received.endswith(b"\r\n\r\n"))
    assert b"Host: inner.example.com\r\n" in service.received
    assert b"X-From-Where: frp\r\n" in service.received


def test_requests_of_a_visitor_share_a_connection(world: World) -> None:
    stage = Scene(world)
    visitor = stage.visit(GET)
    service = stage.site.next()
    for _ in range(2):
        world.until(lambda: service.received.endswith(b"\r\n\r\n"))
        service.received.clear()
        service.write(OK)
        stage.hears(visitor, OK)
        visitor.write(GET)


def test_a_service_that_is_not_there_is_502(world: World) -> None:
    stage = Stage(world, "http2http", {"local_addr": f"127.0.0.1:{free_port()}"})
    visitor = stage.visit(GET)
    world.until(lambda: bytes(visitor.payload).startswith(b"HTTP/1.1 502 "))


@pytest.mark.parametrize(
    ("plugin", "params", "error"),
    [
        ("http2http", {}, "plugin_local_addr is required"),
        ("http2https", {"local_addr": "nowhere"}, "plugin_local_addr 'nowhere' is not host:port"),
        (
            "https2http",
            {"local_addr": "127.0.0.1:1", "crt_path": "/nowhere/x.crt", "key_path": "/nowhere/x"},
            "plugin_crt_path",
        ),
        ("http2http", {"local_addr": ":80", "header_Content-Length": "1"}, "Content-Length"),
    ],
)
def test_what_cannot_be_served_is_told_at_start(
    world: World, plugin: str, params: dict[str, str], error: str
) -> None:
    keys = Params({f"plugin_{name}": value for name, value in params.items()})
    home = Home(world, proxy={"plugin": plugin, "plugin_params": keys})
    home.session().accept()
    world.settle()
    entry = home.service.table.entries["web"]
    assert entry.phase is Phase.START_ERROR
    assert error in entry.error


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        (":80", ("127.0.0.1", 80)),
        ("[::1]:8080", ("::1", 8080)),
        ("db.lan:1", ("db.lan", 1)),
    ],
)
def test_addresses_have_a_port_and_maybe_a_host(text: str, address: tuple[str, int]) -> None:
    assert local_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "a", "a:", "a:x", "a:70000", "http://a:80", "a:80/x", "u@a:8"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ProxyError):
        local_address(text)
