"""frpd.admin.frps.v2: envelopes, pages, and the shapes of frp 0.70."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk


def data(desk: Desk, path: str) -> Any:
    answer = desk.get(f"/api/v2/{path}")
    assert (answer["code"], answer["msg"]) == (200, "success")
    return answer["data"]


def crowd(world: World) -> Desk:
    desk = Desk(world)
    ann = desk.house.client(run_id="a", user="ann")
    for name in ("ann.web", "ann.ssh"):
        desk.house.proxy(ann, name)
    desk.house.proxy(desk.house.client(run_id="b", user="bob"), "bob.web")
    return desk


def test_users(world: World) -> None:
    desk = crowd(world)
    page = data(desk, "users")
    assert (page["total"], page["page"], page["pageSize"]) == (2, 1, 50)
    assert page["items"] == [
        {"user": "ann", "clientCount": 1, "proxyCount": 2},
        {"user": "bob", "clientCount": 1, "proxyCount": 1},
    ]
    assert [one["user"] for one in data(desk, "users?q=BO")["items"]] == ["bob"]


def test_clients(world: World) -> None:
    desk = crowd(world)
    assert [one["key"] for one in data(desk, "clients")["items"]] == ["a", "b"]
    assert [one["key"] for one in data(desk, "clients?runID=b")["items"]] == ["b"]
    assert [one["key"] for one in data(desk, "clients?q=ann")["items"]] == ["a"]
    one = data(desk, "clients/a")
    assert one["status"] == {"phase": "online", "curConns": 0, "proxyCount": 2}


def test_proxies(world: World) -> None:
    desk = crowd(world)
    names = [one["name"] for one in data(desk, "proxies")["items"]]
    assert names == ["ann.ssh", "ann.web", "bob.web"]
    assert data(desk, "proxies?q=WEB&user=ann")["total"] == 1
    assert data(desk, "proxies?type=udp")["total"] == 0
    assert data(desk, "proxies?clientID=b")["total"] == 1
    one = data(desk, "proxies/ann.web")
    assert (one["user"], one["clientID"], one["spec"]["type"]) == ("ann", "a", "tcp")
    assert one["spec"]["tcp"]["remotePort"] > 0
    assert "remote_port" not in one["spec"]["tcp"]
    assert one["status"]["phase"] == "online"
    assert "lastCloseAt" not in one["status"]


def test_pages(world: World) -> None:
    desk = crowd(world)
    page = data(desk, "proxies?page=2&pageSize=2")
    assert (page["total"], page["page"], page["pageSize"]) == (3, 2, 2)
    assert [one["name"] for one in page["items"]] == ["bob.web"]
    assert data(desk, "proxies?page=9")["items"] == []


@pytest.mark.parametrize("parameters", ["page=0", "pageSize=201", "page=x", "type=ftp"])
def test_what_makes_no_sense_is_400_in_the_envelope(world: World, parameters: str) -> None:
    answer = crowd(world).call.get(f"/api/v2/proxies?{parameters}")
    assert (answer.status, answer.json["code"], answer.json["data"]) == (400, 400, None)


def test_what_is_unknown_is_404_in_the_envelope(world: World) -> None:
    desk = crowd(world)
    for path in ("clients/x", "proxies/x", "proxies/x/traffic"):
        answer = desk.call.get(f"/api/v2/{path}")
        assert (answer.status, answer.json["code"], answer.json["data"]) == (404, 404, None)


def test_traffic_is_seven_days_oldest_first(world: World) -> None:
    desk = crowd(world)
    desk.house.service.proxies["bob.web"].counters.bytes_in = 5
    traffic = data(desk, "proxies/bob.web/traffic")
    assert (traffic["unit"], traffic["granularity"]) == ("bytes", "day")
    days = traffic["history"]
    assert [day["trafficIn"] for day in days] == [0, 0, 0, 0, 0, 0, 5]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", day["date"]) for day in days)
    assert sorted(days, key=lambda day: str(day["date"])) == days


def test_system(world: World) -> None:
    desk = crowd(world)
    info = data(desk, "system/info")
    assert info["version"] == "0.51.3"
    assert info["config"]["maxPoolCount"] == 5
    assert info["status"]["clientCounts"] == 2
    desk.house.service.kick_client("b")
    refused = desk.call("POST", "/api/v2/system/prune")
    assert refused.status == 400
    pruned = desk.call("POST", "/api/v2/system/prune?type=offline_proxies").json["data"]
    assert pruned == {"type": "offline_proxies", "cleared": 1, "total": 3}
