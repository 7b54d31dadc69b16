from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import ProxyError
from frpd.server.vhost.router import Router

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "data" / "http" / "vhost_routing_v070.json").read_text("utf-8")
)


def golden_router() -> Router[str]:
    router: Router[str] = Router()
    for route in GOLDEN["routes_in_order_added"]:
        domain, location, user = route["domain"], route["location"], route["http_user"]
        router.add(domain.lower(), location, user, f"{domain}|{location}|{user}")
    return router


@pytest.mark.parametrize(
    "lookup",
    GOLDEN["lookups"],
    ids=lambda each: f"{each['host']}-{each['path']}-{each['http_user']}",
)
def test_lookups_go_where_frp_0_70_sends_them(lookup: dict[str, Any]) -> None:
    found = golden_router().find(lookup["host"].lower(), lookup["path"], lookup["http_user"])
    assert (found or "") == lookup["route"]
    assert (found is not None) == lookup["found"]


def router_of(*routes: str) -> Router[str]:
    """Return a router of ``domain location user`` texts, each its own value."""
    router: Router[str] = Router()
    for route in routes:
        domain, location, user = route.split("|")
        router.add(domain, location, user, route)
    return router


@pytest.mark.parametrize(
    ("routes", "request_", "route"),
    [
        # the longest location wins in whatever order they were added
        (["a.b|/|", "a.b|/x/y|", "a.b|/x|"], ("a.b", "/x/y/z", ""), "a.b|/x/y|"),
        (["a.b|/x|", "a.b|/x/y|", "a.b|/|"], ("a.b", "/x/y/z", ""), "a.b|/x/y|"),
        (["a.b|/x|", "a.b|/x/y|", "a.b|/|"], ("a.b", "/z", ""), "a.b|/|"),
        # a location is a plain prefix and its case counts
        (["a.b|/api|"], ("a.b", "/apix", ""), "a.b|/api|"),
        (["a.b|/api|"], ("a.b", "/API", ""), None),
        (["a.b|/api|"], ("a.b", "/ap", ""), None),
        # no location is every path, also that of OPTIONS and CONNECT
        (["a.b||"], ("a.b", "*", ""), "a.b||"),
        (["a.b|/|"], ("a.b", "*", ""), None),
        # wildcards: the most specific first, any number of labels, never the bare domain
        (["*.c.d||", "*.b.c.d||"], ("a.b.c.d", "/", ""), "*.b.c.d||"),
        (["*.c.d||", "*.b.c.d||"], ("x.c.d", "/", ""), "*.c.d||"),
        (["*.c.d||", "*.b.c.d||"], ("b.c.d", "/", ""), "*.c.d||"),
        (["*.c.d||"], ("z.y.x.c.d", "/", ""), "*.c.d||"),
        (["*.c.d||"], ("c.d", "/", ""), None),
        (["*.c.d||"], ("xc.d", "/", ""), None),
        (["*.d||"], ("c.d", "/", ""), None),
        (["*.d||"], ("b.c.d", "/", ""), None),
        # a name comes before every wildcard, unless its locations do not match
        (["*.c.d||", "a.c.d||", "*||"], ("a.c.d", "/", ""), "a.c.d||"),
        (["*.c.d||", "a.c.d|/x|", "*||"], ("a.c.d", "/y", ""), "*.c.d||"),
        (["*.c.d|/z|", "a.c.d|/x|", "*||"], ("a.c.d", "/y", ""), "*||"),
        # the star takes all, also nothing
        (["*||"], ("", "/", ""), "*||"),
        (["*||"], ("localhost", "/", ""), "*||"),
        (["*||"], ("::1", "/", ""), "*||"),
        (["*.c.d||"], ("", "/", ""), None),
        # routes of the http user before those of everybody, whatever their locations
        (["a.b|/x|", "a.b||eve"], ("a.b", "/x", "eve"), "a.b||eve"),
        (["a.b|/x|", "a.b||eve"], ("a.b", "/x", "bob"), "a.b|/x|"),
        (["a.b|/x|", "a.b||eve"], ("a.b", "/x", ""), "a.b|/x|"),
        (["a.b||", "a.b|/y|eve"], ("a.b", "/x", "eve"), "a.b||"),
        # but a domain for everybody before a wildcard of the user
        (["a.c.d||", "*.c.d||eve"], ("a.c.d", "/", "eve"), "a.c.d||"),
        (["a.c.d||bob", "*.c.d||eve"], ("a.c.d", "/", "eve"), "*.c.d||eve"),
        (["a.b||eve"], ("a.b", "/", ""), None),
        # addresses are names like others
        (["127.0.0.1||"], ("127.0.0.1", "/", ""), "127.0.0.1||"),
        (["2001:db8::1||"], ("2001:db8::1", "/", ""), "2001:db8::1||"),
        # https: no path, no user
        (["a.b||", "*.c.d||"], ("x.c.d", "", ""), "*.c.d||"),
    ],
)
def test_where_a_request_goes(
    routes: list[str], request_: tuple[str, str, str], route: str | None
) -> None:
    assert router_of(*routes).find(*request_) == route
    assert router_of(*reversed(routes)).find(*request_) == route


def test_the_second_of_one_route_is_refused_and_the_first_stays() -> None:
    router = router_of("a.b|/x|eve")
    with pytest.raises(ProxyError, match=r"^router config conflict$"):
        router.add("a.b", "/x", "eve", "second")
    assert router.find("a.b", "/x", "eve") == "a.b|/x|eve"
    for domain, location, user in [("a.b", "/x", ""), ("a.b", "/", "eve"), ("b.b", "/x", "eve")]:
        router.add(domain, location, user, "other")


def test_a_removed_route_can_be_added_again_and_leaves_nothing() -> None:
    router = router_of("a.b||", "a.b|/x|", "a.b|/x|eve")
    for route in [("a.b", "/x", "eve"), ("a.b", "", ""), ("a.b", "/x", "")]:
        router.remove(*route)
        router.add(*route, "again")
        assert router.find("a.b", route[1], route[2]) == "again"
    for route in [("a.b", "/x", "eve"), ("a.b", "", ""), ("a.b", "/x", "")]:
        router.remove(*route)
    assert router._domains == {}


@pytest.mark.parametrize("route", [("a.b", "/y", ""), ("a.b", "/x", "eve"), ("b", "/x", "")])
def test_what_is_not_there_cannot_be_removed(route: tuple[str, str, str]) -> None:
    router = router_of("a.b|/x|")
    with pytest.raises(KeyError):
        router.remove(*route)
    assert router.find("a.b", "/x", "") == "a.b|/x|"


Route = tuple[str, str, str]

labels = st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(".".join)
domains = st.one_of(labels, labels.map("*.{}".format), st.just("*"))
locations = st.text("/xX", max_size=4)
users = st.sampled_from(["", "eve", "bob"])


def naive(routes: list[Route], host: str, path: str, user: str) -> Route | None:
    """Say it the slow way: take all that match, and the best of them."""

    def rank(route: Route) -> tuple[int, bool, int]:
        domain, location, whose = route
        closeness = 1000 if domain == host else domain.count(".")
        return closeness, whose != "", len(location)

    def matches(route: Route) -> bool:
        domain, location, whose = route
        named = domain in (host, "*") or (
            domain.startswith("*.") and domain.count(".") >= 2 and host.endswith(domain[1:])
        )
        return named and path.startswith(location) and whose in ("", user)

    return max(filter(matches, routes), key=rank, default=None)


@given(
    st.lists(st.tuples(st.booleans(), st.tuples(domains, locations, users)), max_size=30),
    st.lists(st.tuples(labels | st.just(""), locations, users), min_size=1, max_size=10),
)
def test_it_finds_what_a_search_of_all_routes_finds(
    steps: list[tuple[bool, Route]], requests: list[Route]
) -> None:
    router: Router[Route] = Router()
    routes: list[Route] = []
    for adding, route in steps:
        if adding and route not in routes:
            router.add(*route, route)
            routes.append(route)
        elif adding:
            with pytest.raises(ProxyError):
                router.add(*route, route)
        elif routes:
            router.remove(*routes.pop(len(routes) // 2))
    for host, path, user in requests:
        assert router.find(host, path, user) == naive(routes, host, path, user)


def test_it_knows_whether_another_user_would_be_served() -> None:
    router: Router[str] = Router()
    router.add("*.example.com", "/a", "alice", "hers")
    assert router.knows_users("b.example.com", "/a/x")
    assert not router.knows_users("b.example.com", "/b")
    assert not router.knows_users("example.com", "/a")
