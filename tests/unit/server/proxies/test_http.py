"""The http proxy itself: what its client is told, and what its visitors' work is like."""

from __future__ import annotations

from frpd.proto.message.types import StartWorkConn
from tests.helpers.world import World
from tests.unit.server.conftest import world
from tests.unit.server.house import House
from tests.unit.server.vhost.web import GET, HOST, Web, passed_on

__all__ = ["world"]


def test_there_is_none_without_a_port(world: World) -> None:
    client = House(world).client()
    answer = client.new_proxy("p", 0, "http", custom_domains=["a.example.com"])
    assert answer.error == "type [http] not support when vhost_http_port is not set"


def test_the_client_is_told_each_domain_once_per_location(world: World) -> None:
    web = Web(world)
    fields = {"custom_domains": ["b.example.com", "c.example.com"], "locations": ["/x", "/y"]}
    answer = web.client.new_proxy("p", 0, "http", **fields)
    port = web.port
    b, c = f"b.example.com:{port}", f"c.example.com:{port}"
    assert answer.remote_addr == f"{b},{b},{c},{c}"


def test_work_connections_name_the_visitor_and_no_destination(world: World) -> None:
    web = Web(world)
    visitor = web.visit(GET)
    start = web.client.work().receive(StartWorkConn)
    assert (start.proxy_name, start.src_addr, start.src_port) == ("web", *visitor.address)
    assert (start.dst_addr, start.dst_port) == ("", 0)
    web.leaves_nothing()


def test_requests_are_rewritten_as_configured(world: World) -> None:
    web = Web(
        world, proxy={"host_header_rewrite": "inner", "headers": {"X-From-Where": "frp", "A": "b"}}
    )
    web.visit(GET)
    told = passed_on(GET).replace(b"Host: a.example.com", b"Host: inner", 1)
    web.hears(web.work(), told[:-2] + b"X-From-Where: frp\r\nA: b\r\n\r\n")
    web.leaves_nothing()


def test_rules_are_kept_for_a_bounded_number_of_visitors(world: World) -> None:
    web = Web(world)
    proxy = web.house.service.proxies["web"]
    for index in range(1000):
        proxy.rules_for(f"10.0.{index // 256}.{index % 256}")  # type: ignore[attr-defined] # HttpProxy
    assert len(proxy._rules) <= 256  # type: ignore[attr-defined] # HttpProxy
    assert proxy.rules_for("::1") is proxy.rules_for("::1")  # type: ignore[attr-defined] # HttpProxy


def test_close_is_idempotent(world: World) -> None:
    web = Web(world)
    proxy = web.house.service.proxies["web"]
    proxy.close()
    proxy.close()
    assert web.add("again", custom_domains=[HOST]) == ""
