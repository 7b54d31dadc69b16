"""frpd.admin.frpc_api: the application, and what must never be in its answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd.config.secret import Secret
from frpd.config.visitors import StcpVisitorConfig
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.admin.frpc.desk import Desk

GETS = [
    "/api/status",
    "/api/frpd/status",
    "/api/frpd/config",
    "/api/conns",
    "/api/log-level",
    "/api/frpd/logs",
    "/api/config",
]


@pytest.mark.parametrize("url", GETS)
def test_every_question_has_an_answer_without_a_secret(
    world: World, tmp_path: Path, url: str
) -> None:
    file = tmp_path / "frpc.ini"
    file.write_text("[common]\ntoken = s3cr3t\n")
    visitor = StcpVisitorConfig(
        name="v", section="v", server_name="x", sk=Secret("s3cr3t"), bind_port=free_port()
    )
    desk = Desk(
        world,
        config_file=str(file),
        proxy={"group_key": Secret("s3cr3t")},
        visitors=[visitor],
        admin_pwd=Secret("s3cr3t"),
    )
    desk.home.running()
    answer = desk.call.get(url)
    assert answer.status == 200
    assert "s3cr3t" not in answer.text
    assert desk.call("HEAD", url).status == 405
    assert desk.call("DELETE", url).status == 405


def test_health(world: World) -> None:
    assert Desk(world).call.get("/healthz").status == 200
