"""SshClient: a user's connection by SSH, with all that one may ask for on it and more."""

from __future__ import annotations

import contextlib
from pathlib import Path

import asyncssh
import pytest

from frpd.server.guard.penalties import Offence
from frpd.server.ssh_gateway import client
from frpd.server.ssh_gateway.client import comment_of
from frpd.server.ssh_gateway.link import LAST_BYTES_SECONDS
from frpd.server.ssh_gateway.settings import COMMAND_SECONDS, MAX_STRANGER_BYTES, WINDOW_BYTES
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.server.ssh_gateway.guests import Lodge


def test_visitors_come_through_and_a_kick_is_told(world: World, tmp_path: Path) -> None:
    lodge = Lodge(world, tmp_path)
    conn, port = lodge.tunnel()
    (run_id,) = lodge.house.service.controls
    assert lodge.house.service.controls[run_id].login.os == "ssh-tunnel"
    visitor = lodge.house.visit(port)
    data = bytes(range(256)) * 1024
    visitor.write(data)
    world.until(lambda: bytes(visitor.received) == data)
    (channel,) = (one for one in conn._channels.values() if isinstance(one, asyncssh.SSHTCPChannel))
    assert channel._send_window <= WINDOW_BYTES
    assert lodge.house.service.kick_client(run_id)
    lodge.run(conn.wait_closed())
    world.until(lambda: visitor.end)
    world.advance(LAST_BYTES_SECONDS)
    assert lodge.is_empty(), "the visitor is idle, and has its end open"
    visitor.sock.close()


def test_a_refusal_is_told_with_a_status(world: World, tmp_path: Path) -> None:
    lodge = Lodge(world, tmp_path)
    process = lodge.expose(lodge.connect(), "tcp --token wrong")
    done = lodge.run(process.wait())
    assert (done.exit_status, done.stderr) == (1, "authorization failed\n")
    world.until(lodge.is_empty)
    assert lodge.offences() == [Offence.AUTHFAIL]


def test_there_is_one_session_and_one_forwarding_and_nothing_else(
    world: World, tmp_path: Path
) -> None:
    lodge = Lodge(world, tmp_path)
    conn, _ = lodge.tunnel()
    with pytest.raises(asyncssh.ChannelListenError):
        lodge.run(conn.forward_remote_port("", 81, "127.0.0.1", 1))
    with pytest.raises(asyncssh.ChannelOpenError):
        lodge.run(conn.create_process("tcp"))
    with pytest.raises(asyncssh.ChannelOpenError):
        lodge.run(conn.open_connection("127.0.0.1", 1))
    with pytest.raises(asyncssh.ChannelOpenError):
        lodge.run(conn.start_sftp_client())
    lodge.leave(conn)
    world.until(lodge.is_empty)


def test_a_stranger_may_say_so_much(world: World, tmp_path: Path) -> None:
    lodge = Lodge(world, tmp_path)
    conn = lodge.connect()
    much = {f"NAME{number}": "x" * 16_384 for number in range(MAX_STRANGER_BYTES // 16_384)}
    with contextlib.suppress(asyncssh.Error, OSError):  # it may be told sooner or later
        lodge.run(conn.create_process("tcp --remote_port 1", env=much))
    lodge.run(conn.wait_closed())
    world.until(lambda: lodge.offences() == [Offence.PROTOCOL])
    assert lodge.is_empty()


def test_keys_that_are_not_let_in_are_an_offence(world: World, tmp_path: Path) -> None:
    allowed, other = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    path = tmp_path / "authorized_keys"
    path.write_bytes(allowed.export_public_key())
    lodge = Lodge(world, tmp_path, ssh_gateway_authorized_keys_file=str(path))
    with pytest.raises(asyncssh.PermissionDenied):
        lodge.connect(client_keys=[other])
    world.until(lambda: lodge.offences() == [Offence.AUTHFAIL])
    lodge.house.service.held[0].penalties.clear()
    conn = lodge.connect(client_keys=[other, allowed])
    lodge.leave(conn)
    world.until(lambda: lodge.offences() == [Offence.NOAUTH])
    path.unlink()
    lodge.house.service.held[0].penalties.clear()
    with pytest.raises(asyncssh.PermissionDenied):
        lodge.connect(client_keys=[allowed])
    world.until(lodge.is_empty)
    assert lodge.offences() == [], "it is not the user's fault that we cannot read the file"


def test_a_command_is_not_waited_for_long(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert COMMAND_SECONDS <= 10
    monkeypatch.setattr(client, "COMMAND_SECONDS", 0.05)
    lodge = Lodge(world, tmp_path)
    silent = lodge.connect()
    lodge.run(silent.wait_closed())
    world.until(lodge.is_empty)

    async def without_forwarding() -> asyncssh.SSHCompletedProcess:
        return await conn.run("tcp --remote_port 1")

    conn = lodge.connect()
    done = lodge.run(without_forwarding())
    assert (done.exit_status, done.stderr) == (1, f"{client.NO_FORWARD}\n")
    world.until(lodge.is_empty)


def test_a_goodbye_is_not_repeated_in_the_log(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lodge = Lodge(world, tmp_path)
    conn = lodge.connect()

    async def leave() -> None:
        conn.disconnect(asyncssh.DISC_ILLEGAL_USER_NAME, "a long story " * 1000)
        await conn.wait_closed()

    lodge.run(leave())
    world.until(lodge.is_empty)
    assert "it left (" in caplog.text
    assert "story" not in caplog.text


def test_what_the_key_file_says_of_a_key_holds(world: World, tmp_path: Path) -> None:
    bound, closed, far = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(3))
    port = free_port()
    options = {
        bound: f'command="tcp -n fixed --remote_port {port}"',
        closed: "no-port-forwarding",
        far: 'from="192.0.2.0/24"',
    }
    path = tmp_path / "authorized_keys"
    path.write_text(
        "\n".join(f"{option} {key.export_public_key().decode()}" for key, option in options.items())
    )
    lodge = Lodge(world, tmp_path, ssh_gateway_authorized_keys_file=str(path))
    process = lodge.expose(lodge.connect(client_keys=[bound]), "http -d a.test")
    assert "fixed" in lodge.run(process.stdout.readuntil(f":{port}"))
    with pytest.raises(asyncssh.ChannelListenError):
        lodge.expose(lodge.connect(client_keys=[closed]), "tcp")
    with pytest.raises(asyncssh.PermissionDenied):
        lodge.connect(client_keys=[far])


def test_the_comment_of_a_key_is_what_stands_behind_it() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
    line = key.export_public_key().decode().strip()
    for text, comment in (
        (f"{line} alice", "alice"),
        (f"# {line} old\nno-pty {line}  alice of the shop ", "alice of the shop"),
        (line, ""),
        ("", ""),
    ):
        assert comment_of(text, key.public_data) == comment
