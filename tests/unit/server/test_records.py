"""frpd.server.records: what is written down, and what each kind of visit says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frpd.config.server import ServerConfig
from frpd.errors import ConfigError
from frpd.metrics.access import Visit
from frpd.server.access_log import tell_in_log
from frpd.server.records import Records
from tests.unit.server.house import House
from tests.unit.server.vhost.web import HOST, Web

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.world import World


def records(world: World, **keys: str) -> Records:
    made = Records(ServerConfig(**keys), world.loop, world.pool)  # type: ignore[arg-type]
    world.owners.callback(made.close)
    return made


def test_visits_are_told_where_the_file_says(world: World, tmp_path: Path) -> None:
    assert records(world).tell is None
    assert records(world, access_log="").tell is None
    assert records(world, access_log="log").tell is tell_in_log
    path = tmp_path / "access.log"
    made = records(world, access_log=str(path))
    assert made.tell is not None
    made.tell(Visit(when=0.0, type="tcp", visitor="192.0.2.7:1", ended="closed"))
    made.close()
    made.close()
    assert "visitor=192.0.2.7:1 " in path.read_text()


@pytest.mark.parametrize("path", ["/nowhere/at/all", "a\0b"])
def test_a_file_that_cannot_be_opened_is_named(world: World, path: str) -> None:
    with pytest.raises(ConfigError, match="cannot open access log"):
        records(world, access_log=path)


@pytest.mark.parametrize("first", ["visitor", "service"])
def test_a_connection_says_who_ended_it(world: World, first: str) -> None:
    told: list[Visit] = []
    house = House(world, told=told)
    client = house.client(run_id="me")
    port = house.proxy(client)
    visitor = house.visit(port)
    work = house.serve(client)
    visitor.write(b"12345")
    work.write(b"123")
    world.until(lambda: work.payload == b"12345" and visitor.received == b"123")
    if first == "visitor":
        visitor.close()
        work.until_end()
    work.stream.close()
    if first == "service":
        world.until(lambda: visitor.end)
        visitor.close()
    world.until(lambda: told)
    (visit,) = told
    assert (visit.type, visit.proxy, visit.run_id) == ("tcp", "web", "me")
    assert visit.local == f"127.0.0.1:{port}"
    assert visit.visitor.startswith("127.0.0.1:")
    assert (visit.bytes_in, visit.bytes_out) == (5, 3)
    assert (visit.ended, visit.by) == ("closed", first)


def test_a_connection_that_is_cut_was_ended_by_the_server(world: World) -> None:
    told: list[Visit] = []
    house = House(world, told=told)
    client = house.client()
    house.visit(house.proxy(client))
    house.serve(client)
    world.until(lambda: house.service.relays)
    house.service.cut_visitors("web")
    (visit,) = told
    assert (visit.ended, visit.by, visit.reason) == ("aborted", "server", "cut by the operator")


def test_a_visitor_for_whom_nobody_comes_was_refused(world: World) -> None:
    told: list[Visit] = []
    house = House(world, told=told)
    house.visit(house.proxy(house.client()))
    world.settle()
    world.advance(house.service.config.user_conn_timeout)
    world.until(lambda: told)
    assert (told[0].ended, told[0].by, told[0].bytes_in) == ("refused", "server", 0)
    assert told[0].reason


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_request_is_told_without_its_secrets(world: World) -> None:
    told: list[Visit] = []
    web = Web(world, told=told, proxy={"http_user": "guest", "http_pwd": "s3cret"})
    head = b"GET /a?token=x HTTP/1.1\r\nHost: %b\r\n" % HOST.encode()
    visitor = web.visit(head + b"Authorization: Basic Z3Vlc3Q6czNjcmV0\r\n\r\n")
    web.work().write(ANSWER)
    web.gets(visitor, ANSWER)
    (visit,) = told
    assert (visit.method, visit.host, visit.path) == ("GET", HOST, "/a")
    assert (visit.status, visit.user, visit.proxy) == (200, "guest", "web")
    assert (visit.ended, visit.by) == ("answered", "")
    assert visit.bytes_out == len(ANSWER)
    assert visit.local == f"127.0.0.1:{web.port}"
    assert "s3cret" not in repr(told)
    assert "token" not in repr(told)


def test_requests_that_reach_no_proxy_are_told_too(world: World) -> None:
    told: list[Visit] = []
    web = Web(world, told=told, proxy={"http_user": "guest", "http_pwd": "s3cret"})
    web.gets_page(web.visit(b"GET /a HTTP/1.1\r\nHost: %b\r\n\r\n" % HOST.encode()), 401)
    web.gets_page(web.visit(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n"), 404)
    web.gets_page(web.visit(b"nonsense\r\n\r\n"), 400, closed=True)
    assert [(visit.status, visit.host, visit.ended) for visit in told] == [
        (401, HOST, "refused"),
        (404, "other.example", "refused"),
        (400, "", "refused"),
    ]
    assert {(visit.proxy, visit.user, visit.by) for visit in told} == {("", "", "server")}
