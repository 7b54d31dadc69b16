"""Groups of http proxies: request by request."""

from __future__ import annotations

from typing import Any

from frpd.proto.message.types import CloseProxy, StartWorkConn
from tests.helpers.peers import Talker, Wire
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.vhost.web import GET, HOST, OK, Web, request

__all__ = ["world"]

GROUP: dict[str, Any] = {"custom_domains": [HOST], "group": "g", "group_key": "k"}


def group_of(world: World, *names: str) -> Web:
    """Return a server with these members, of one client."""
    web = Web(world, proxy={"custom_domains": ["else.example.com"]})
    for name in names:
        assert web.add(name, **GROUP) == ""
    return web


def asked(web: Web) -> tuple[str, Talker]:
    """Bring a work connection; return who is asked on it."""
    talker = web.client.work()
    return talker.receive(StartWorkConn).proxy_name, talker


def served(web: Web, visitor: Wire) -> str:
    """Answer a request; return who did."""
    name, work = asked(web)
    work.write(OK)
    web.gets(visitor, OK)
    return name


def test_requests_go_round_from_the_second_member_on(world: World) -> None:
    web = group_of(world, "a", "b", "c")
    names = [served(web, web.visit(GET)) for _ in range(5)]
    assert names == ["b", "c", "a", "b", "c"]


def test_requests_of_one_connection_go_round_too_and_lines_are_kept(world: World) -> None:
    web = group_of(world, "a", "b")
    visitor, lines = web.visit(), {}
    for _ in range(2):
        visitor.write(GET)
        name, lines[name] = asked(web)
        lines[name].write(OK)
        web.gets(visitor, OK)
    assert list(lines) == ["b", "a"]
    for name in ("b", "a"):
        lines[name].payload.clear()
        visitor.write(GET)
        world.until(lambda work=lines[name]: work.payload)  # type: ignore[misc]
        lines[name].write(OK)
        web.gets(visitor, OK)


def test_members_ask_for_the_same_routes(world: World) -> None:
    web = group_of(world, "a")
    others = (
        {"custom_domains": ["b.example.com"]},
        {"custom_domains": [HOST, "b.example.com"]},
        {"locations": ["/b"]},
        {"route_by_http_user": "eve"},
    )
    for fields in others:
        assert web.add("b", **(GROUP | fields | {"group_key": "x"})) == "group params invalid"
    assert web.add("b", **(GROUP | {"group_key": "x"})) == "group auth failed"
    assert web.add("b", **(GROUP | {"group": "h"})) == "router config conflict"
    assert web.add("b", **GROUP) == ""


def test_routes_may_be_several_in_any_order(world: World) -> None:
    web = group_of(world)
    domains = [HOST, "b.example.com"]
    assert web.add("a", **(GROUP | {"custom_domains": domains})) == ""
    assert web.add("b", **(GROUP | {"custom_domains": domains[::-1]})) == ""
    visitor = web.visit(request(host="b.example.com"))
    assert served(web, visitor) == "b"


def test_one_route_twice_is_one_member_twice(world: World) -> None:
    web = group_of(world)
    twice = GROUP | {"custom_domains": [HOST, HOST]}
    assert web.add("a", **twice) == "group proxy repeated"
    assert web.add("a", **GROUP) == ""
    assert web.add("b", **twice) == "group proxy repeated"


def test_the_routes_are_free_when_the_last_member_has_left(world: World) -> None:
    web = group_of(world, "a", "b")
    for name in ("a", "b"):
        assert web.add("c", custom_domains=[HOST]) == "router config conflict"
        web.client.control.send(CloseProxy(proxy_name=name))
        world.settle()
    web.gets_page(web.visit(GET), 404)
    assert web.add("c", custom_domains=[HOST]) == ""


def test_a_request_goes_to_another_member_when_the_service_refuses(world: World) -> None:
    web = group_of(world, "a", "b")
    visitor = web.visit(GET)
    name, work = asked(web)
    assert name == "b"
    work.stream.reset()
    assert served(web, visitor) == "a"
    assert [served(web, web.visit(GET)) for _ in range(2)] == ["a", "a"]


def test_so_does_one_for_a_websocket(world: World) -> None:
    web = group_of(world, "a", "b")
    visitor = web.visit(request("GET", "/", "Connection: Upgrade", "Upgrade: websocket"))
    asked(web)[1].stream.reset()
    name, work = asked(web)
    assert name == "a"
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    work.write(switched + b"\r\nhello")
    world.until(lambda: visitor.received.endswith(b"hello"))
    work.payload.clear()
    visitor.write(b"frame")
    world.until(lambda: work.payload == b"frame")


def test_it_is_rewritten_for_each_member(world: World) -> None:
    web = group_of(world)
    for name in ("a", "b"):
        assert web.add(name, **GROUP, host_header_rewrite=f"{name}.local") == ""
    web.visit(GET)
    for name in ("b", "a"):
        asked_one, work = asked(web)
        world.until(lambda work=work: work.payload)  # type: ignore[misc]
        assert (asked_one, b"Host: %b.local" % name.encode() in work.payload) == (name, True)
        work.stream.reset()


def test_what_must_not_be_asked_twice_is_not(world: World) -> None:
    web = group_of(world, "a", "b")
    visitor = web.visit(request("POST", "/", "Content-Length: 3") + b"pay")
    name, work = asked(web)
    assert name == "b"
    work.stream.reset()
    web.gets_page(visitor, 404)
    assert served(web, web.visit(GET)) == "a"  # b is spared for a while


def test_what_nobody_has_heard_goes_to_another_member(world: World) -> None:
    web = group_of(world)
    other = web.house.client()
    assert web.add("a", **GROUP) == ""
    assert web.add("b", other, **GROUP) == ""
    visitor = web.visit(request("POST", "/", "Content-Length: 3") + b"pay")
    world.settle()
    other.close()
    assert served(web, visitor) == "a"


def test_when_all_refuse_the_visitor_is_told_once(world: World) -> None:
    web = group_of(world, "a", "b")
    visitor = web.visit(GET)
    asked(web)[1].stream.reset()
    asked(web)[1].stream.reset()
    web.gets_page(visitor, 404)
    visitor.write(GET)
    assert served(web, visitor) in ("a", "b")


def test_half_an_answer_is_no_refusal(world: World) -> None:
    web = group_of(world, "a", "b")
    visitor = web.visit(GET)
    _, work = asked(web)
    work.write(b"HTTP/1.1 200 O")
    world.settle()
    work.stream.reset()
    web.gets_page(visitor, 404)


def test_every_member_s_password_counts(world: World) -> None:
    web = group_of(world, "open")
    assert web.add("guarded", **GROUP, http_user="me", http_pwd="secret") == ""
    for _ in range(3):
        web.gets_page(web.visit(GET), 401)
    right = request("GET", "/", "Authorization: Basic bWU6c2VjcmV0")
    assert served(web, web.visit(right)) in ("open", "guarded")


def test_nothing_is_left(world: World) -> None:
    web = group_of(world, "a", "b")
    visitor = web.visit(GET)
    asked(web)[1].stream.reset()
    served(web, visitor)
    web.visit(GET)
    asked(web)
    web.leaves_nothing()
