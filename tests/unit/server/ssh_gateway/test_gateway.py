"""SshGateway: who comes by SSH is a stranger at a door of its own, and its source answers."""

from __future__ import annotations

import contextlib
from pathlib import Path

from frpd.config.server import ServerConfig
from frpd.server.guard.penalties import Offence
from frpd.server.ssh_gateway.gateway import (
    LOGIN_SECONDS,
    MAX_STRANGERS,
    MAX_STRANGERS_PER_SOURCE,
    ssh_limits,
)
from frpd.server.ssh_port import NEWCOMERS_PER_SECOND
from tests.helpers.peers import Wire
from tests.helpers.world import World
from tests.unit.server.ssh_gateway.guests import Lodge


def test_people_have_time_and_are_few() -> None:
    limits = ssh_limits(ServerConfig())
    assert limits.timeout_seconds == LOGIN_SECONDS
    assert limits.max_pending == MAX_STRANGERS
    assert limits.max_pending_per_source == MAX_STRANGERS_PER_SOURCE
    own = ssh_limits(ServerConfig(login_timeout_seconds=90.0, max_pending_connections=3))
    assert (own.timeout_seconds, own.max_pending) == (90.0, 3)


def test_who_says_nothing_goes_when_its_time_is_up(world: World, tmp_path: Path) -> None:
    lodge = Lodge(world, tmp_path)
    wire = Wire.to(world, lodge.port)
    world.until(lambda: wire.received.startswith(b"SSH-2.0-"))
    world.advance(LOGIN_SECONDS + 1)
    world.until(lambda: wire.end)
    world.until(lambda: lodge.offences() == [Offence.GRACE_EXCEEDED])
    wire.sock.close()
    world.until(lodge.is_empty)


def test_a_crowd_pushes_out_its_oldest_and_no_client(world: World, tmp_path: Path) -> None:
    lodge = Lodge(world, tmp_path)
    conn, port = lodge.tunnel()
    wires = [Wire.to(world, lodge.port) for _ in range(MAX_STRANGERS_PER_SOURCE + 1)]
    world.pass_time(MAX_STRANGERS_PER_SOURCE / NEWCOMERS_PER_SECOND)
    world.until(lambda: wires[0].end)
    figures = lodge.house.service.figures()
    assert (figures.pending, figures.refused_crowded) == (MAX_STRANGERS_PER_SOURCE, 1)
    assert [wire.end for wire in wires[1:]] == [""] * MAX_STRANGERS_PER_SOURCE
    visitor = lodge.house.visit(port)
    visitor.write(b"still here")
    world.until(lambda: visitor.received == b"still here")
    for wire in (*wires, visitor):
        wire.sock.close()
    lodge.leave(conn)
    world.until(lodge.is_empty)


def test_the_source_is_what_a_balancer_says(world: World, tmp_path: Path) -> None:
    lodge = Lodge(
        world,
        tmp_path,
        accept_proxy_protocol=("127.0.0.1/32",),
        deny_cidrs=("198.51.100.0/24",),
    )
    wire = Wire.to(world, lodge.port)
    wire.write(b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\nSSH-2.0-first bytes\r\n\0\0\0\x0c")
    world.until(lambda: wire.received.startswith(b"SSH-2.0-"))
    wire.sock.close()
    world.until(lambda: lodge.offences("203.0.113.7"))
    barred = Wire.to(world, lodge.port)
    barred.write(b"PROXY TCP4 198.51.100.7 127.0.0.1 1 2\r\n")
    world.until(lambda: barred.end)
    assert barred.received == b""
    barred.sock.close()


def test_the_end_of_the_server_is_the_end_of_all(world: World, tmp_path: Path) -> None:
    lodge = Lodge(world, tmp_path)
    conn, port = lodge.tunnel()
    stranger, visitor = Wire.to(world, lodge.port), lodge.house.visit(port)
    visitor.write(b"x")
    world.until(lambda: visitor.received and stranger.received)
    idle: list[int] = []
    lodge.house.service.shut_down(lambda: idle.append(1))
    world.until(lambda: stranger.end)
    visitor.sock.close()
    world.until(lambda: idle)
    lodge.house.service.close()
    with contextlib.suppress(OSError):
        lodge.run(conn.wait_closed())
    stranger.sock.close()
