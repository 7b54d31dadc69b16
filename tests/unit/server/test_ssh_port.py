"""ssh_gateway_bind_port against the whole service: reload, and whom a key stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from frpd.config.secret import Secret
from frpd.config.users import UserConfig
from frpd.server.ssh_port import NEWCOMERS_PER_SECOND, PLACES
from tests.helpers.peers import Wire
from tests.helpers.ports import free_port
from tests.helpers.world import World

asyncssh = pytest.importorskip("asyncssh")
guests = pytest.importorskip("tests.unit.server.ssh_gateway.guests")


def test_a_reload_moves_the_port_and_users_stay(world: World, tmp_path: Path) -> None:
    lodge = guests.Lodge(world, tmp_path)
    assert lodge.house.service._ssh.door is None, "nobody has come yet"
    conn, port = lodge.tunnel()
    old, lodge.port = lodge.port, free_port()
    lodge.house.reload(ssh_gateway_bind_port=lodge.port, login_timeout_seconds=90.0)
    with pytest.raises(ConnectionRefusedError):
        Wire.to(world, old)
    visitor = lodge.house.visit(port)
    visitor.write(b"stayed")
    world.until(lambda: visitor.received == b"stayed")
    visitor.sock.close()
    lodge.leave(conn)
    lodge.leave(lodge.connect())
    lodge.house.reload(ssh_gateway_bind_port=0)
    with pytest.raises(ConnectionRefusedError):
        Wire.to(world, lodge.port)
    world.until(lodge.is_empty)


def test_newcomers_are_taken_at_a_pace_of_their_own(world: World, tmp_path: Path) -> None:
    lodge = guests.Lodge(world, tmp_path)
    wires = [Wire.to(world, lodge.port) for _ in range(int(PLACES) + 2)]
    world.until(lambda: sum(bool(wire.received) for wire in wires) == PLACES)
    world.settle()
    assert lodge.house.service.figures().pending == PLACES
    lodge.house.client()  # and whoever comes by another port does not wait for them
    world.advance(1.5 / NEWCOMERS_PER_SECOND)
    world.until(lambda: lodge.house.service.figures().pending == PLACES + 1)
    for wire in wires:
        wire.sock.close()


def turned_away(world: World, port: int) -> None:
    wire = Wire.to(world, port)
    world.until(lambda: wire.end)


def test_who_is_turned_away_takes_nobodys_place(world: World, tmp_path: Path) -> None:
    lodge = guests.Lodge(world, tmp_path, deny_cidrs=("127.0.0.1/32",))
    for _ in range(int(PLACES) + 2):
        turned_away(world, lodge.port)
    assert lodge.house.service.figures().pending == 0


USERS = (
    UserConfig(name="alice", token=Secret("alice's own token"), allow_names=("alice.*",)),
    UserConfig(name="bob", token=Secret("bob's own token"), allow_names=("bob.*",)),
)


@pytest.mark.parametrize(
    ("comment", "command", "answer"),
    [
        ("alice", "tcp -n x", "ProxyName: alice.x"),
        ("alice", "tcp -n x --user bob", "ProxyName: alice.x"),
        ("", "tcp -n x", "ProxyName: x"),
        ("", "tcp -n x --user bob", "authorization failed"),
        ("", 'tcp -n x --user bob --token "bob\'s own token"', "ProxyName: bob.x"),
        ("", "tcp -n alice.x", "belongs to another user"),
    ],
)
def test_a_key_stands_for_whom_its_comment_names(
    world: World, tmp_path: Path, comment: str, command: str, answer: str
) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519", comment=comment or None)
    path = tmp_path / "authorized_keys"
    path.write_bytes(key.export_public_key())
    lodge = guests.Lodge(
        world,
        tmp_path,
        users=USERS,
        native="require",
        ssh_gateway_authorized_keys_file=str(path),
    )
    conn = lodge.connect(client_keys=[key])
    process = lodge.expose(conn, f"{command} --remote_port {free_port()}")
    out = process.stdout if "ProxyName" in answer else process.stderr
    assert answer in lodge.run(out.readuntil(answer))
    lodge.leave(conn)
    world.until(lodge.is_empty)


def test_who_is_no_user_needs_more_than_a_key(world: World, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519", comment="carol")
    path = tmp_path / "authorized_keys"
    path.write_bytes(key.export_public_key())
    lodge = guests.Lodge(
        world,
        tmp_path,
        users=USERS,
        users_only=True,
        ssh_gateway_authorized_keys_file=str(path),
    )
    process = lodge.expose(lodge.connect(client_keys=[key]), "tcp --remote_port 1")
    done = lodge.run(process.wait())
    assert (done.exit_status, done.stderr) == (1, "authorization failed\n")
    world.until(lodge.is_empty)
