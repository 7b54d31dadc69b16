"""frpd.admin.frps.proxies: proxies and their traffic, in frp's shapes."""

from __future__ import annotations

import re
from typing import Any

from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk

FRP_TIME = re.compile(r"\d\d-\d\d \d\d:\d\d:\d\d")


def moved(desk: Desk, bytes_in: bytes, bytes_out: bytes) -> None:
    """Have a visitor of a new proxy say and hear something."""
    client = desk.house.client(run_id="me", user="ann")
    visitor = desk.house.visit(desk.house.proxy(client))
    work = desk.house.serve(client)
    visitor.write(bytes_in)
    work.stream.write(bytes_out)
    desk.world.until(
        lambda: bytes(work.payload) == bytes_in and bytes(visitor.received) == bytes_out
    )


def test_a_row_has_frp_s_fields_of_all_eras_and_ours(world: World) -> None:
    desk = Desk(world)
    moved(desk, b"12345", b"123")
    (row,) = desk.get("/api/proxy/tcp")["proxies"]
    assert desk.get("/api/frpd/proxies") == {"proxies": [row]}
    assert (row["name"], row["status"], row["cur_conns"]) == ("web", "online", 1)
    assert (row["today_traffic_in"], row["today_traffic_out"]) == (5, 3)
    assert (row["todayTrafficIn"], row["todayTrafficOut"], row["curConns"]) == (5, 3, 1)
    assert FRP_TIME.fullmatch(row["last_start_time"])
    assert row["lastStartTime"] == row["last_start_time"]
    assert row["last_close_time"] == row["lastCloseTime"] == ""
    assert (row["type"], row["run_id"], row["user"]) == ("tcp", "me", "ann")
    assert (row["bytes_in"], row["bytes_out"], row["total_conns"]) == (5, 3, 1)


def test_the_settings_of_a_tcp_proxy(world: World) -> None:
    desk = Desk(world)
    port = free_port()
    desk.house.client().new_proxy("web", port, use_encryption=True, group_key="hidden")
    conf = desk.get("/api/proxy/tcp/web")["conf"]
    assert (conf["proxy_name"], conf["proxy_type"]) == ("web", "tcp")
    assert (conf["name"], conf["type"]) == ("web", "tcp")
    assert (conf["remote_port"], conf["remotePort"]) == (port, port)
    assert (conf["use_encryption"], conf["use_compression"]) == (True, False)
    assert conf["transport"]["useEncryption"] is True
    assert (conf["group"], conf["group_key"]) == ("", "")


def test_the_settings_of_an_http_proxy(world: World) -> None:
    desk = Desk(world, vhost_http_port=free_port(), subdomain_host="x.example")
    answer = desk.house.client().new_proxy(
        "page",
        0,
        "http",
        custom_domains=["a.example"],
        subdomain="www",
        locations=["/docs"],
        host_header_rewrite="inner",
    )
    assert answer.error == ""
    conf: dict[str, Any] = desk.get("/api/proxy/http/page")["conf"]
    assert conf["custom_domains"] == conf["customDomains"] == ["a.example"]
    assert conf["sub_domain"] == conf["subdomain"] == "www"
    assert conf["locations"] == ["/docs"]
    assert conf["host_header_rewrite"] == conf["hostHeaderRewrite"] == "inner"
    assert "remote_port" not in conf


def test_a_proxy_that_is_gone_has_no_settings(world: World) -> None:
    desk = Desk(world)
    client = desk.house.client()
    desk.house.proxy(client)
    client.close()
    world.until(lambda: not desk.house.service.controls)
    row = desk.get("/api/proxies/web")
    assert (row["status"], row["conf"]) == ("offline", None)
    assert FRP_TIME.fullmatch(row["last_close_time"])


def test_a_type_that_nobody_has_is_an_empty_list(world: World) -> None:
    desk = Desk(world)
    desk.house.proxy(desk.house.client())
    assert desk.get("/api/proxy/udp") == {"code": 0, "msg": "", "proxies": []}


def test_an_unknown_proxy_is_404_with_the_fields_of_the_seed_era(world: World) -> None:
    desk = Desk(world)
    desk.house.proxy(desk.house.client())
    for path in ("/api/proxy/tcp/nope", "/api/proxy/udp/web", "/api/proxies/nope"):
        answer = desk.call.get(path)
        assert answer.status == 404
        assert answer.json["code"] == 1
        assert answer.json["msg"] == "no proxy info found"
        assert answer.json["name"] == path.rpartition("/")[2]
        assert answer.json["conf"] is None


def test_traffic_is_seven_days_with_today_first(world: World) -> None:
    desk = Desk(world)
    moved(desk, b"12345", b"123")
    traffic = desk.get("/api/traffic/web")
    assert traffic["name"] == "web"
    assert traffic["traffic_in"] == traffic["trafficIn"] == [5, 0, 0, 0, 0, 0, 0]
    assert traffic["traffic_out"] == traffic["trafficOut"] == [3, 0, 0, 0, 0, 0, 0]
    unknown = desk.call.get("/api/traffic/nope")
    assert (unknown.status, unknown.json["traffic_in"]) == (404, None)


def test_proxies_that_are_gone_can_be_dropped(world: World) -> None:
    desk = Desk(world)
    client = desk.house.client()
    desk.house.proxy(client)
    client.close()
    world.until(lambda: not desk.house.service.controls)
    refused = desk.call("DELETE", "/api/proxies")
    assert (refused.status, refused.json["msg"]) == (400, "status only support offline")
    done = desk.call("DELETE", "/api/proxies?status=offline")
    assert done.json == {"Code": 200, "Msg": "success"}
    assert desk.get("/api/proxy/tcp")["proxies"] == []


def test_names_with_slashes_are_found(world: World) -> None:
    desk = Desk(world)
    desk.house.proxy(desk.house.client(), "a/b")
    assert desk.get("/api/proxy/tcp/a%2Fb")["name"] == "a/b"
