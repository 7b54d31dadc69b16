"""Routes of http proxies come and go while requests run."""

from __future__ import annotations

from frpd.proto.message.types import CloseProxy
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.vhost.web import GET, HOST, OK, Web, request

__all__ = ["world"]


def test_a_route_belongs_to_who_came_first(world: World) -> None:
    web = Web(world)
    other = web.house.client()
    assert web.add("other", other, custom_domains=[HOST.upper()]) == "router config conflict"
    assert "other" not in web.house.service.proxies
    web.leaves_nothing()


def test_routes_are_had_all_or_none(world: World) -> None:
    web = Web(world)
    domains = ["b.example.com", HOST, "c.example.com"]
    assert web.add("some", custom_domains=domains) == "router config conflict"
    assert web.add("more", custom_domains=["b.example.com", "c.example.com"]) == ""
    web.leaves_nothing()


def test_a_withdrawn_proxy_gets_no_request_and_ends_those_under_way(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    work = web.work()
    web.client.control.send(CloseProxy(proxy_name="web"))
    world.settle()
    work.write(OK)
    web.gets(visitor, OK)
    visitor.write(GET)
    web.gets_page(visitor, 404)
    assert web.add("again", custom_domains=[HOST]) == ""
    visitor.write(GET)
    web.work().write(OK)
    web.gets(visitor, OK)
    web.leaves_nothing()


def test_locations_share_a_domain(world: World) -> None:
    web = Web(world, proxy={"locations": ["/", "/foo"]})
    assert web.add("bar", custom_domains=[HOST], locations=["/bar"]) == ""
    counts = {name: web.house.service.proxies[name].counters for name in ("web", "bar")}
    for path, name in (("/foo", "web"), ("/bar/x", "bar"), ("/", "web"), ("/barx", "bar")):
        before = counts[name].connections_total
        web.visit(request("GET", path))
        web.work()
        assert counts[name].connections_total == before + 1, path
    web.leaves_nothing()


def test_the_client_hears_what_is_wrong(world: World) -> None:
    web = Web(world, subdomain_host="frps.example.net")
    prefix = "proxy [p] domain conf check error: "
    assert web.add("p").startswith(f"{prefix}custom_domains and subdomain")
    assert web.add("p", subdomain="a.b").startswith(f"{prefix}'.' and '*'")
    assert "should not belong" in web.add("p", custom_domains=["x.frps.example.net"])
    assert "cannot be set" in web.add(
        "p", custom_domains=["p.example.com"], headers={"Connection": "close"}
    )
    assert "control characters" in web.add(
        "p", custom_domains=["p.example.com"], headers={"X": "a\r\nb: c"}
    )
    assert "cannot be set" in web.add(
        "p", custom_domains=["p.example.com"], response_headers={"Transfer-Encoding": "x"}
    )
    assert web.add("p", subdomain="ok") == ""
    web.visit(request(host="ok.frps.example.net"))
    web.work()
    web.leaves_nothing()
