"""frpd.admin.frps.ports: which ports are in use, and for what."""

from __future__ import annotations

from dataclasses import replace

from frpd.admin.frps.ports import ports
from tests.helpers.world import World
from tests.unit.admin.frps.desk import Desk


def test_our_own_ports_are_named_after_what_is_spoken_there(world: World) -> None:
    desk = Desk(world)
    config = replace(
        desk.house.service.config,
        bind_port=7000,
        vhost_http_port=80,
        vhost_https_port=7000,
        dashboard_port=7500,
        kcp_bind_port=7000,
    )
    rows = ports(config, desk.desk.snapshot())
    assert [(row["port"], row["protocol"], row["what"]) for row in rows] == [
        (80, "tcp", "http"),
        (7000, "tcp", "clients"),
        (7000, "tcp", "https"),
        (7000, "udp", "kcp"),
        (7500, "tcp", "dashboard"),
    ]


def test_those_of_proxies_have_their_names_while_they_are_registered(world: World) -> None:
    desk = Desk(world)
    client = desk.house.client()
    port = desk.house.proxy(client)
    row = {"port": port, "protocol": "tcp", "what": "web"}
    assert row in desk.get("/api/frpd/overview")["ports"]
    client.close()
    world.until(lambda: not desk.house.service.proxies)
    assert row not in desk.get("/api/frpd/overview")["ports"]
