"""frpd.admin.frps_api: the application, and what must never be in its answers."""

from __future__ import annotations

import pytest

from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk

GETS = [
    "/api/serverinfo",
    "/api/status",
    "/api/frpd/status",
    "/api/frpd/overview",
    "/api/frpd/config",
    "/api/proxy/tcp",
    "/api/proxy/tcp/web",
    "/api/proxies/web",
    "/api/traffic/web",
    "/api/clients",
    "/api/clients/me",
    "/api/conns",
    "/api/log-level",
    "/api/frpd/logs",
    "/api/v2/users",
    "/api/v2/clients",
    "/api/v2/clients/me",
    "/api/v2/proxies",
    "/api/v2/proxies/web",
    "/api/v2/proxies/web/traffic",
    "/api/v2/system/info",
]


@pytest.mark.parametrize("url", GETS)
def test_every_question_has_an_answer_without_a_secret(world: World, url: str) -> None:
    desk = Desk(world, dashboard_user="ops")
    client = desk.house.client(run_id="me", user="ann")
    secrets = {"sk": "s3cr3t", "group_key": "s3cr3t", "http_user": "s3cr3t", "http_pwd": "s3cr3t"}
    assert client.new_proxy("web", free_port(), **secrets).error == ""
    desk.house.visit(int(desk.house.service.proxies["web"].remote_addr[1:]))
    desk.house.serve(client)
    answer = desk.call.get(url)
    assert answer.status == 200
    assert "s3cr3t" not in answer.text
    assert desk.call("HEAD", url).status == 405
    assert desk.call("POST", url).status == 405


def test_health(world: World) -> None:
    assert Desk(world).call.get("/healthz").status == 200
