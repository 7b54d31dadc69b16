"""frpd.admin.frps.metrics: what a Prometheus that knows frp finds, and more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.helpers.peers import Wire
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.admin.frpc.desk import Desk as ClientDesk
from tests.unit.admin.frps.desk import Desk

DOCS: Final = Path(__file__).parents[4] / "docs"


def scrape(desk: Desk | ClientDesk) -> dict[str, float]:
    answer = desk.call.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    samples = (line.rsplit(" ", 1) for line in answer.text.splitlines() if line[0] != "#")
    return {name: float(value) for name, value in samples}


def test_there_are_none_unless_they_are_asked_for(world: World) -> None:
    assert Desk(world).call.get("/metrics").status == 404


def test_names_and_labels_are_frp_s(world: World) -> None:
    desk = Desk(world, enable_prometheus=True)
    client = desk.house.client()
    visitor = desk.house.visit(desk.house.proxy(client))
    work = desk.house.serve(client)
    visitor.write(b"12345")
    world.until(lambda: bytes(work.payload) == b"12345")
    found = scrape(desk)
    for name, value in {
        "frp_server_client_counts": 1,
        'frp_server_proxy_counts{type="tcp"}': 1,
        'frp_server_proxy_counts_detailed{name="web",type="tcp"}': 1,
        'frp_server_connection_counts{name="web",type="tcp"}': 1,
        'frp_server_traffic_in{name="web",type="tcp"}': 5,
        'frp_server_traffic_out{name="web",type="tcp"}': 0,
        'frpd_proxy_connections_total{name="web",type="tcp"}': 1,
        'frpd_proxy_traffic_bytes_total{direction="in",name="web",type="tcp"}': 5,
        "frpd_door_pending": 0,
        'frpd_door_refused_total{reason="late"}': 0,
        "frpd_window_budget_bytes": 67108864,
    }.items():
        assert found[name] == value, name


def test_what_is_gone_stays_with_zero(world: World) -> None:
    desk = Desk(world, enable_prometheus=True)
    client = desk.house.client()
    desk.house.proxy(client)
    client.close()
    world.until(lambda: not desk.house.service.proxies)
    found = scrape(desk)
    assert found["frp_server_client_counts"] == 0
    assert found['frp_server_proxy_counts{type="tcp"}'] == 0
    assert found['frp_server_proxy_counts_detailed{name="web",type="tcp"}'] == 0


def test_dropped_datagrams_are_counted_by_reason(world: World) -> None:
    desk = Desk(world, enable_prometheus=True)
    client = desk.house.client()
    assert client.new_proxy("dns", free_port(), proxy_type="udp").error == ""
    assert scrape(desk)['frpd_udp_dropped_total{name="dns",reason="long"}'] == 0


def names_of(scraped: dict[str, float]) -> set[str]:
    return {sample.partition("{")[0] for sample in scraped}


def test_what_the_manual_the_rules_and_the_dashboard_name_is_there(world: World) -> None:
    desk = Desk(world, enable_prometheus=True)
    client = desk.house.client()
    assert client.new_proxy("dns", free_port(), proxy_type="udp").error == ""
    Wire.to(world, desk.house.proxy(client, deny_cidrs=["127.0.0.0/8"]))
    world.settle()
    client_desk = ClientDesk(world)
    client_desk.home.running()
    known = names_of(scrape(desk)) | names_of(scrape(client_desk))
    for name in ("metrics.md", "prometheus-rules.yml", "grafana/frpd.json"):
        text = (DOCS / name).read_text(encoding="utf-8")
        named = set(re.findall(r"\b(?:frp_server|frpd)_[a-z_]+", text))
        assert named <= known, name
    assert known <= set(re.findall(r"[a-z_]+", (DOCS / "metrics.md").read_text(encoding="utf-8")))
