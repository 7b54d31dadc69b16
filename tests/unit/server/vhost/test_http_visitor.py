"""A visitor's connection: heads, credentials, routes, pages, and how long it may take."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.vhost.web import GET, HOST, OK, Web, passed_on, request

__all__ = ["world"]


def basic(user: str, password: str, name: str = "Authorization") -> str:
    return f"{name}: Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def test_a_head_may_come_byte_by_byte(world: World) -> None:
    web = Web(world)
    visitor = web.visit()
    for byte in GET:
        visitor.write(bytes([byte]))
        world.turn(2)
    work = web.work()
    web.hears(work, passed_on(GET))
    work.write(OK)
    web.gets(visitor, OK)
    web.leaves_nothing()


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40000, 431),
        (b"GET /" + b"y" * 9000, 414),
        (request("POST", "/", "Transfer-Encoding: chunked") + b"x\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(
    world: World, asked: bytes, status: int
) -> None:
    web = Web(world)
    visitor = web.visit(asked)
    web.gets_page(visitor, status, closed=True)
    visitor.write(GET)
    assert web.is_quiet(visitor)
    web.leaves_nothing()


def test_bounds_of_a_head_are_settings(world: World) -> None:
    web = Web(world, vhost_http_max_head_bytes=1024, vhost_http_max_headers=10)
    web.gets_page(web.visit(request("GET", "/", "X: " + "y" * 1000)), 431, closed=True)
    web.gets_page(web.visit(request("GET", "/", *["X: y"] * 10)), 431, closed=True)
    visitor = web.visit(request("GET", "/", *["X: y"] * 9))
    web.work().write(OK)
    web.gets(visitor, OK)
    web.leaves_nothing()


# Routes


def test_each_request_is_routed_by_itself(world: World) -> None:
    web = Web(world)
    assert web.add("other", custom_domains=["b.example.com"]) == ""
    visitor = web.visit(GET)
    first = web.work()
    first.write(OK)
    web.gets(visitor, OK)
    second_head = request(host="b.example.com")
    visitor.write(second_head)
    second = web.work()
    web.hears(second, passed_on(second_head))
    second.write(OK)
    web.gets(visitor, OK)
    first.payload.clear()
    visitor.write(GET)  # and the first is still there
    web.hears(first, passed_on(GET))
    web.leaves_nothing()


def test_work_connections_are_kept_for_a_few_proxies(world: World) -> None:
    web = Web(world)
    visitor = web.visit()
    works = []
    for index in range(5):
        assert web.add(f"p{index}", custom_domains=[f"{index}.example.com"]) == ""
        visitor.write(request(host=f"{index}.example.com"))
        works.append(web.work())
        works[-1].write(OK)
        web.gets(visitor, OK)
    works[0].until_end("eof")
    assert not any(work.stream.end for work in works[1:])
    web.leaves_nothing()


@pytest.mark.parametrize("host", [HOST, "A.Example.COM", f"{HOST}:8080", f"{HOST}."])
def test_spellings_of_a_host_are_one(world: World, host: str) -> None:
    web = Web(world)
    web.visit(request(host=host))
    web.hears(web.work(), passed_on(request(host=host)))
    web.leaves_nothing()


def test_an_unknown_host_is_a_404_and_the_connection_goes_on(world: World) -> None:
    web = Web(world)
    visitor = web.visit(request(host="nobody.example.com") + GET)
    web.world.until(lambda: visitor.received)
    work = web.work()
    web.hears(work, passed_on(GET))
    web.gets_page(visitor, 404)
    work.write(OK)
    web.gets(visitor, OK)
    web.leaves_nothing()


def test_head_is_refused_without_a_body(world: World) -> None:
    web = Web(world)
    page = web.gets_page(web.visit(request("HEAD", host="x.example.com")), 404)
    assert page.endswith(b"\r\n\r\n")
    web.leaves_nothing()


def test_a_body_nobody_wants_is_heard_out(world: World) -> None:
    web = Web(world)
    visitor = web.visit(request("POST", "/", "Content-Length: 100000", host="x.example.com"))
    web.gets_page(visitor, 404, closed=True)
    visitor.write(b"x" * 100_000 + GET)
    assert web.is_quiet(visitor)
    world.advance(1.1)
    assert visitor.end == "eof"
    web.leaves_nothing()


def test_requests_without_a_host_are_for_who_takes_all(world: World) -> None:
    web = Web(world)
    old = b"GET / HTTP/1.0\r\n\r\n"
    web.gets_page(web.visit(old), 404, closed=True)
    assert web.add("all", custom_domains=["*"]) == ""
    web.visit(old)
    work = web.work()
    world.until(lambda: work.payload)
    assert bytes(work.payload).startswith(b"GET / HTTP/1.1\r\nHost: \r\n")
    web.leaves_nothing()


def test_the_operators_page_is_shown(world: World, tmp_path: object) -> None:
    path = f"{tmp_path}/404.html"
    with open(path, "w") as file:
        file.write("<p>gone fishing")
    web = Web(world, custom_404_page=path)
    visitor = web.visit(request(host="x.example.com"))
    assert web.gets_page(visitor, 404).endswith(b"\r\n\r\n<p>gone fishing")
    web.leaves_nothing()


def test_a_large_page_waits_until_the_visitor_takes_it(world: World, tmp_path: object) -> None:
    path = f"{tmp_path}/404.html"
    with open(path, "w") as file:
        file.write("x" * 1_000_000)
    web = Web(world, custom_404_page=path)
    visitor = web.visit()
    visitor.reads = False
    for _ in range(20):
        visitor.write(request(host="x.example.com"))
    world.settle()
    visitor.reads = True
    world.until(lambda: visitor.heard_bytes > 20_000_000)
    assert visitor.received.count(b"HTTP/1.1 404 ") == 20
    web.leaves_nothing()


# Credentials


def test_a_guarded_site_asks_for_user_and_password(world: World) -> None:
    web = Web(world, proxy={"http_user": "u", "http_pwd": "p"})
    visitor = web.visit(GET)
    page = web.gets_page(visitor, 401)
    assert b'WWW-Authenticate: Basic realm="Restricted"\r\n' in page
    wrong = ("u", "x"), ("x", "p"), ("", ""), ("u", "")
    for user, password in wrong:
        visitor.write(request("GET", "/", basic(user, password)))
        web.gets_page(visitor, 401)
    for line in (
        "Authorization: Bearer dTpw",
        "Authorization: Basic !",
        f"{basic('u', 'p')}\r\n{basic('u', 'p')}",
    ):
        visitor.write(request("GET", "/", line))
        web.gets_page(visitor, 401)
    right = request("GET", "/", basic("u", "p"))
    visitor.write(right)
    web.hears(web.work(), passed_on(right))
    web.leaves_nothing()


def test_a_user_alone_goes_with_an_empty_password(world: World) -> None:
    web = Web(world, proxy={"http_user": "test"})
    visitor = web.visit(request("GET", "/", basic("test", "test")))
    web.gets_page(visitor, 401)
    right = request("GET", "/", basic("test", ""))
    visitor.write(right)
    web.hears(web.work(), passed_on(right))
    web.leaves_nothing()


def test_requests_are_routed_by_their_http_user(world: World) -> None:
    web = Web(world)
    assert web.add("alice", custom_domains=[HOST], route_by_http_user="alice") == ""
    alice = request("GET", "/", basic("alice", "any"))
    web.visit(alice)
    work = web.client.work()
    world.until(lambda: work.started)
    assert work.inbox[0].proxy_name == "alice"  # type: ignore[attr-defined] # StartWorkConn
    web.visit(request("GET", "/", basic("bob", "any")))
    work = web.client.work()
    world.until(lambda: work.started)
    assert work.inbox[0].proxy_name == "web"  # type: ignore[attr-defined] # StartWorkConn
    web.leaves_nothing()


GUARDED = {
    "custom_domains": [HOST],
    "route_by_http_user": "alice",
    "http_user": "alice",
    "http_pwd": "secret",
}


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((), 404),
        ((basic("alice", "secret"),), 200),
        ((basic("alice", "wrong"),), 401),
        ((basic("alice", "secret", "Proxy-Authorization"),), 404),
    ],
)
def test_a_users_own_site_asked_directly(world: World, lines: tuple[str, ...], status: int) -> None:
    web = Web(world, proxy=GUARDED)
    visitor = web.visit(request("GET", "/", *lines))
    if status == 200:
        web.work().write(OK)
        web.gets(visitor, OK)
    else:
        web.gets_page(visitor, status)
    web.leaves_nothing()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((), 407),
        ((basic("alice", "secret", "Proxy-Authorization"),), 200),
        ((basic("alice", "wrong", "Proxy-Authorization"),), 407),
        ((basic("bob", "secret", "Proxy-Authorization"),), 407),
        ((basic("alice", "secret"),), 407),
        ((basic("alice", "secret"), basic("alice", "no", "Proxy-Authorization")), 407),
    ],
)
def test_a_users_own_site_asked_as_by_a_proxy(
    world: World, lines: tuple[str, ...], status: int
) -> None:
    web = Web(world, proxy=GUARDED)
    visitor = web.visit(request("GET", f"http://{HOST}/x", *lines))
    if status == 200:
        work = web.work()
        world.until(lambda: work.payload)
        assert bytes(work.payload).startswith(b"GET /x HTTP/1.1\r\n")
        assert b"Proxy-Authorization" not in work.payload
        work.write(OK)
        web.gets(visitor, OK)
    else:
        page = web.gets_page(visitor, status)
        assert b'Proxy-Authenticate: Basic realm="Restricted"\r\n' in page
    web.leaves_nothing()


def test_an_unknown_host_asked_as_by_a_proxy_is_a_404(world: World) -> None:
    web = Web(world, proxy=GUARDED)
    web.gets_page(web.visit(request("GET", "http://x.example.com/", host="x")), 404)
    web.leaves_nothing()


# Time


def test_who_says_nothing_is_closed_without_a_word(world: World) -> None:
    web = Web(world, vhost_http_head_timeout=20.0)
    visitor = web.visit()
    world.settle()
    world.advance(20.1)
    world.until(lambda: visitor.end)
    assert (visitor.end, visitor.heard_bytes) == ("eof", 0)
    web.leaves_nothing()


@pytest.mark.parametrize("before", [0, 1], ids=["first head", "later head"])
def test_a_head_that_takes_too_long_is_a_408(world: World, before: int) -> None:
    web = Web(world, vhost_http_head_timeout=20.0)
    visitor = web.visit()
    for _ in range(before):
        visitor.write(GET)
        web.work().write(OK)
        web.gets(visitor, OK)
    world.advance(5.0)
    for byte in GET[:19]:
        visitor.write(bytes([byte]))
        world.settle()
        world.clock.advance(1.0)
    world.settle()
    world.advance(2.0)
    web.gets_page(visitor, 408, closed=True)
    web.leaves_nothing()


def test_an_idle_connection_is_closed_without_a_word(world: World) -> None:
    web = Web(world, vhost_http_idle_timeout=75.0)
    visitor = web.visit(GET)
    work = web.work()
    for _ in range(3):
        work.write(OK)
        web.gets(visitor, OK)
        world.advance(70.0)
        assert not visitor.end
        visitor.write(GET)
        world.settle()
    work.write(OK)
    web.gets(visitor, OK)
    world.advance(75.1)
    assert (visitor.end, bytes(visitor.received)) == ("eof", b"")
    work.until_end("eof")
    web.leaves_nothing()


def test_a_connection_costs_one_timer(world: World) -> None:
    web = Web(world)
    before = world.loop.timer_count
    visitor = web.visit(GET)
    work = web.work()
    for _ in range(5):
        work.write(OK)
        web.gets(visitor, OK)
        visitor.write(GET)
        world.settle()
    assert world.loop.timer_count <= before + 2  # and one of the door
    web.leaves_nothing()


def test_silent_connections_push_out_the_oldest_of_their_source(world: World) -> None:
    web = Web(world, max_pending_per_source=3)
    silent = [web.visit() for _ in range(4)]
    world.until(lambda: silent[0].end)
    world.settle()
    assert not any(visitor.end for visitor in silent[1:])
    web.leaves_nothing()


# Leaving


def test_at_shutdown_idle_visitors_go_and_running_exchanges_end(world: World) -> None:
    web = Web(world)
    idle, busy = web.visit(), web.visit(GET)
    work = web.work()
    world.settle()
    idled: list[bool] = []
    web.house.service.shut_down(lambda: idled.append(True))
    world.until(lambda: idle.end)
    assert not busy.end
    assert not idled
    work.write(OK)
    web.gets(busy, OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    world.until(lambda: busy.end)
    world.until(lambda: idled)


def test_closing_the_server_resets_running_exchanges(world: World) -> None:
    web = Web(world)
    busy = web.visit(GET)
    web.work()
    world.settle()
    web.house.service.close()
    world.until(lambda: busy.end)
    assert busy.end == "reset"


def test_answers_get_the_proxy_s_own_fields(world: World) -> None:
    web = Web(world)
    fields = {"X-Frame-Options": "DENY"}
    assert web.add("p", custom_domains=["p.example.com"], response_headers=fields) == ""
    visitor = web.visit(request(host="p.example.com"))
    web.work().write(OK.replace(b"\r\n\r\n", b"\r\nx-frame-options: none\r\n\r\n"))
    web.gets(visitor, OK.replace(b"\r\n\r\n", b"\r\nX-Frame-Options: DENY\r\n\r\n"))
    web.leaves_nothing()
