"""frpd.admin.frpc.status: how the proxies do, in frp's shape and in ours."""

from __future__ import annotations

from typing import Any

from frpd.config.proxies import HttpProxyConfig, StcpProxyConfig, TcpProxyConfig, UdpProxyConfig
from frpd.config.visitors import StcpVisitorConfig, XtcpVisitorConfig
from frpd.proto.message.types import NewProxy, NewProxyResp
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.admin.frpc.desk import Desk

SEED_FIELDS = ["name", "type", "status", "err", "local_addr", "plugin", "remote_addr"]


def test_the_six_types_of_the_seed_era_are_always_there(world: World) -> None:
    desk = Desk(world)
    desk.home.running()
    status = desk.get("/api/status")
    assert list(status) == ["tcp", "udp", "http", "https", "stcp", "xtcp"]
    assert status["udp"] == []
    (row,) = status["tcp"]
    assert list(row)[:7] == SEED_FIELDS
    assert (row["name"], row["type"], row["status"], row["err"]) == ("web", "tcp", "running", "")
    assert row["local_addr"] == f"127.0.0.1:{desk.home.local.port}"
    assert row["remote_addr"] == "127.0.0.1:6000"
    assert (row["reason"], row["cur_conns"]) == ("", 0)


def test_remote_addresses_are_as_in_frp(world: World) -> None:
    port: Any = {"local_port": 1}
    proxies = [
        TcpProxyConfig(name="a", section="a", remote_port=6001, **port),
        UdpProxyConfig(name="b", section="b", remote_port=0, **port),
        HttpProxyConfig(name="c", section="c", custom_domains=("x.example",), **port),
        StcpProxyConfig(name="d", section="d", **port),
        TcpProxyConfig(name="e", section="e", remote_port=999, **port),
    ]
    desk = Desk(world, proxies=proxies)
    session = desk.home.session().accept()
    told = {"a": ":6001", "b": ":31000", "c": "x.example:8080,y.example", "d": ""}
    for _ in proxies:
        name = session.control.receive(NewProxy).proxy_name
        error = "port not allowed" if name == "e" else ""
        session.control.send(NewProxyResp(name, told.get(name, ""), error))
    world.settle()
    rows = [row for rows in desk.get("/api/status").values() for row in rows]
    assert {row["name"]: row["remote_addr"] for row in rows} == {
        "a": "127.0.0.1:6001",
        "b": "127.0.0.1:31000",
        "c": "x.example:8080,y.example",
        "d": "",
        "e": "127.0.0.1:999",
    }
    refused = desk.get("/api/status")["tcp"][1]
    assert (refused["status"], refused["err"]) == ("start error", "port not allowed")
    assert "allow_ports" in refused["reason"]


def test_our_status_tells_of_the_session_and_the_visitors(world: World) -> None:
    visitors = [
        StcpVisitorConfig(name="v", section="v", server_name="s", bind_port=free_port()),
        XtcpVisitorConfig(name="w", section="w", server_name="s", bind_port=free_port()),
    ]
    desk = Desk(world, visitors=visitors)
    assert desk.get("/api/frpd/status")["server"]["state"] == "connecting"
    session = desk.home.running(run_id="me")
    world.settle()
    status = desk.get("/api/frpd/status")
    server = status["server"]
    assert (server["state"], server["run_id"], server["logins"]) == ("connected", "me", 1)
    assert "legacy cipher" in server["weak"][0]
    assert (server["rtt_ms"] > 0, server["retransmits"]) == (True, 0)
    assert (server["version"], server["speaks"]) == ("0.51.3", "frp 0.51.3, legacy cipher")
    assert [one["name"] for one in status["proxies"]] == ["web"]
    assert [(one["name"], one["status"]) for one in status["visitors"]] == [
        ("v", "running"),
        ("w", "running"),
    ]
    assert status["loop"]["turns"] > 0
    session.wire.close()
    world.until(lambda: desk.get("/api/frpd/status")["server"]["state"] == "waiting")
    server = desk.get("/api/frpd/status")["server"]
    assert server["last_error"]
    assert [one["event"] for one in server["history"]] == ["lost", "connected"]
    assert server["history"][0]["text"] == server["last_error"]


def test_what_runs_is_listed(world: World) -> None:
    desk = Desk(world)
    session = desk.home.running()
    session.start_work()
    desk.home.local.next()
    world.settle()
    found = desk.get("/api/conns?limit=5&proxy=web")
    assert found["total"] == 1
    (row,) = found["conns"]
    assert (row["proxy"], row["visitor"]) == ("web", "9.9.9.9:99")
    assert {"since", "age_seconds", "bytes_in", "bytes_out"} < set(row)
    assert row["socket"]["remote"] == f"127.0.0.1:{desk.home.local.port}"
