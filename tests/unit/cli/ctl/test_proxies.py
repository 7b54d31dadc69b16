"""frpd.cli.ctl.proxies: the proxies of both ends."""

from __future__ import annotations

import json

from frpd.config.proxies import TcpProxyConfig
from tests.helpers.world import World
from tests.unit.cli.ctl.scene import Scene


def test_those_of_a_server(scene: Scene) -> None:
    desk = scene.frps()
    port = desk.house.proxy(desk.house.client(run_id="me", user="ann"))
    heading, row = scene("proxies").lines
    assert heading[:5] == ["PROXY", "TYPE", "STATUS", "SINCE", "CONNS"]
    assert row[:3] == ["web", "tcp", "online"]
    assert row[4:] == ["0", "0", "B", "0", "B", f":{port}", "me", "ann"]
    assert scene("proxies", "udp") == (0, "no proxies\n", "")


def test_those_of_a_client(scene: Scene, world: World) -> None:
    proxies = [
        TcpProxyConfig(name="a", section="a", local_port=22, remote_port=6000),
        TcpProxyConfig(name="b", section="b", plugin="socks5"),
    ]
    desk = scene.frpc(proxies=proxies)
    world.settle()
    heading, *rows = scene("proxies", "tcp").lines
    assert heading[-2:] == ["REMOTE", "LOCAL"]
    assert [row[0:3] + row[-1:] for row in rows] == [
        ["a", "tcp", "new", "127.0.0.1:22"],
        ["b", "tcp", "new", "socks5"],
    ]
    assert (
        desk.get("/api/frpd/status")["proxies"]
        == json.loads(scene("proxies", "--json").out)["proxies"]
    )


def test_an_unknown_type_is_an_error(scene: Scene) -> None:
    done = scene("proxies", "tpc")
    assert done.status == 1
    assert "choose from 'tcp', 'udp'" in done.err
