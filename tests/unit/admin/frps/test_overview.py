"""frpd.admin.frps.overview: what the server is and how it does."""

from __future__ import annotations

from frpd.server.books import SAMPLE_SECONDS
from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk


def test_server_info_has_the_names_of_all_eras(world: World) -> None:
    desk = Desk(
        world,
        subdomain_host="x.example",
        max_pool_count=9,
        allow_ports="100-110,1024-65535",
        heartbeat_timeout=77,
    )
    desk.house.proxy(desk.house.client())
    info = desk.get("/api/serverinfo")
    assert (info["version"], info["frpd_version"]) == ("0.51.3", "0.1.0")
    for old, new, value in (
        ("subdomain_host", "subdomainHost", "x.example"),
        ("max_pool_count", "maxPoolCount", 9),
        ("allow_ports_str", "allowPortsStr", "100-110,1024-65535"),
        ("heart_beat_timeout", "heartbeatTimeout", 77),
        ("client_counts", "clientCounts", 1),
        ("cur_conns", "curConns", 0),
        ("proxy_type_count", "proxyTypeCount", {"tcp": 1}),
        ("total_traffic_in", "totalTrafficIn", 0),
        ("bind_port", "bindPort", 0),
        ("vhost_http_port", "vhostHTTPPort", 0),
    ):
        assert (info[old], info[new]) == (value, value)
    for seed_only in ("bind_udp_port", "auth_timeout", "kcp_bind_port", "max_ports_per_client"):
        assert seed_only in info


def test_our_status_is_under_two_names(world: World) -> None:
    desk = Desk(world)
    client = desk.house.client()
    desk.house.visit(desk.house.proxy(client))
    desk.house.serve(client)
    for path in ("/api/status", "/api/frpd/status"):
        status = desk.get(path)
        assert (status["program"], status["clients"], status["connections"]) == ("frps", 1, 1)
        assert status["proxies"] == {"tcp": 1}
        assert status["traffic_today"] == {"in": 0, "out": 0}
        assert len(status["traffic_days"]["in"]) == 7
        assert status["loop"]["turns"] > 0


def test_the_overview_has_all_of_the_status_and_more(world: World) -> None:
    desk = Desk(world)
    desk.house.visit(desk.house.proxy(desk.house.client()))
    world.advance(SAMPLE_SECONDS)
    overview = desk.get("/api/frpd/overview")
    assert set(desk.get("/api/status")) < set(overview)
    assert [row["what"] for row in overview["ports"]].count("clients") == 1
    assert overview["host"]["memory_total"] > 0
    assert overview["process"]["fds"] > 0
    history = overview["history"]
    assert (history["interval_seconds"], history["in"], history["out"]) == (60.0, [0], [0])
    assert history["connections"] == [1]
