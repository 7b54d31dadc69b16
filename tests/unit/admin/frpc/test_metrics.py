"""frpd.admin.frpc.metrics: a client's session, proxies and visitors."""

from __future__ import annotations

from frpd.config.visitors import StcpVisitorConfig
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.admin.frpc.desk import Desk


def scrape(desk: Desk) -> dict[str, float]:
    answer = desk.call.get("/metrics")
    assert answer.status == 200
    samples = (line.rsplit(" ", 1) for line in answer.text.splitlines() if line[0] != "#")
    return {name: float(value) for name, value in samples}


def test_before_the_first_login_nothing_runs(world: World) -> None:
    found = scrape(Desk(world))
    assert (found["frpd_client_connected"], found["frpd_client_logins_total"]) == (0, 0)
    assert found['frpd_proxy_running{name="web",type="tcp"}'] == 0
    assert "frpd_client_round_trip_seconds" not in found


def test_what_runs_is_told_with_its_traffic(world: World) -> None:
    visitor = StcpVisitorConfig(name="v", section="v", server_name="s", bind_port=free_port())
    desk = Desk(world, visitors=[visitor])
    desk.home.running()
    found = scrape(desk)
    assert (found["frpd_client_connected"], found["frpd_client_logins_total"]) == (1, 1)
    assert found["frpd_client_round_trip_seconds"] > 0
    assert found['frpd_proxy_running{name="web",type="tcp"}'] == 1
    assert found['frpd_proxy_running{name="v",type="stcp visitor"}'] == 1
    assert found['frpd_proxy_connections_total{name="web",type="tcp"}'] == 0
    assert (
        found['frpd_proxy_traffic_bytes_total{direction="out",name="v",type="stcp visitor"}'] == 0
    )
