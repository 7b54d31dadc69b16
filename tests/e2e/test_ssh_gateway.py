"""ssh_gateway_bind_port: OpenSSH's client exposes services, and nothing is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import SECONDS, wait_until
from tests.helpers.services import Service, late_answer, late_answer_to
from tests.helpers.ssh_client import SshUser, make_key
from tests.helpers.visitors import (
    echoes,
    exchange,
    is_over,
    read_to_end,
    refuses,
    visit,
    wait_for_echo,
)
from tests.helpers.web_visits import ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.programs import Program, Settings
    from tests.helpers.stage import Stage

pytest.importorskip("asyncssh")

TOKEN = "a token that has spaces"
PUSHED_OUT = "pushed out by newer connections"
MIB = 1024 * 1024


class Gateway:
    """frps with a gateway."""

    def __init__(self, stage: Stage, **settings: object) -> None:
        self.stage = stage
        self.port, self.bind_port, self.http_port = (free_port() for _ in range(3))
        common: Settings = {
            "bind_addr": "127.0.0.1",
            "bind_port": self.bind_port,
            "token": TOKEN,
            "vhost_http_port": self.http_port,
            "ssh_gateway_bind_port": self.port,
            "ssh_gateway_auto_gen_private_key_path": stage.folder / "host_key",
            **settings,
        }
        self.frps: Program = stage.frps(common)

    def user(self, key: Path | None = None) -> SshUser:
        return SshUser(self.stage, self.port, key)


@pytest.fixture(scope="module")
def gateway(module_stage: Stage) -> Gateway:
    return Gateway(module_stage)


@pytest.fixture
def late() -> Iterator[int]:
    """A service that answers when all has come."""
    with Service(late_answer) as service:
        yield service.port


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a web server."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    await writer.drain()


def test_a_port_is_exposed_and_gone_with_its_user(gateway: Gateway, echo_port: int) -> None:
    port = free_port()
    ssh = gateway.user().expose(echo_port, f"tcp -n mine --remote-port {port} --token='{TOKEN}'")
    assert "ProxyName: mine" in ssh.output
    assert f"RemoteAddress: :{port}" in ssh.output
    data = os.urandom(4 * MIB)
    with visit(port) as one, visit(port) as other:
        assert exchange(one, data) == data
        other.sendall(b"beside it")
        assert other.recv(100) == b"beside it"
        ssh.terminate()
        wait_until(lambda: is_over(other), "the end of a visitor")
    wait_until(lambda: refuses(port), "the end of the proxy")
    gateway.frps.wait_for("client exit success")
    assert TOKEN not in gateway.frps.output


def test_the_end_of_one_direction_travels_alone(gateway: Gateway, late: int) -> None:
    port = free_port()
    gateway.user().expose(late, f"tcp --remote_port {port} --token '{TOKEN}'")
    data = os.urandom(MIB)
    with visit(port) as visitor:
        visitor.sendall(data)
        visitor.shutdown(socket.SHUT_WR)
        assert read_to_end(visitor) == late_answer_to(len(data), hashlib.sha256(data))


def test_http_comes_by_its_domain(gateway: Gateway) -> None:
    with Service(hello) as service:
        gateway.user().expose(service.port, f"http -d ssh.test -t '{TOKEN}'")
        assert ask(gateway.http_port, "ssh.test").body == b"hello"


def test_who_has_no_token_hears_so_and_is_counted(stage: Stage, echo_port: int) -> None:
    gateway = Gateway(
        stage,
        allow_ports="1-2",
        per_source_penalties="authfail:100 min:250",
        per_source_penalty_exempt_list="192.0.2.0/24",
    )
    user = gateway.user()
    status, said = user.try_to(echo_port, f"tcp --remote_port 3 --token '{TOKEN}'")
    assert (status, "port not allowed" in said) == (1, True), said
    for command in ("tcp --token wrong", "http -d a.test", "tcp -t x"):
        status, said = user.try_to(echo_port, command)
        assert (status, said.strip()) == (1, "authorization failed")
    gateway.frps.wait_for("penalty: 127.0.0.1")
    status, said = user.try_to(echo_port, f"http -d a.test --token '{TOKEN}'")
    assert status == 255, said
    assert "wrong" not in gateway.frps.output


def test_a_key_stands_for_a_token_and_no_other_does(stage: Stage, echo_port: int) -> None:
    mine, others = make_key(stage.folder, "alice"), make_key(stage.folder, "mallory")
    allowed = stage.folder / "authorized_keys"
    allowed.write_text(f"# keys\n{mine.with_suffix('.pub').read_text()}")
    gateway = Gateway(stage, ssh_gateway_authorized_keys_file=allowed, native="require")
    status, said = gateway.user(others).try_to(echo_port, f"tcp --token '{TOKEN}'")
    assert (status, "Permission denied" in said) == (255, True), said
    gateway.frps.wait_for("closed before login: no key that is let in")
    port = free_port()
    ssh = gateway.user(mine).expose(echo_port, f"tcp -n x --remote_port {port} --user bob")
    assert "ProxyName: alice.x" in ssh.output
    wait_for_echo(port)


@pytest.mark.full
def test_the_same_host_key_is_shown_after_a_restart(stage: Stage, echo_port: int) -> None:
    first = Gateway(stage)
    key = (stage.folder / "host_key").read_bytes()
    assert (stage.folder / "host_key").stat().st_mode & 0o777 == 0o600
    first.frps.terminate()
    again = Gateway(stage)
    assert (stage.folder / "host_key").read_bytes() == key
    again.user().expose(echo_port, f"stcp --sk=x --token '{TOKEN}'")


@pytest.mark.full
@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("", 1, "no command was given"),
        ("udp --remote_port 1", 1, "invalid proxy type: 'udp'"),
        ("tcp --remote_port x", 1, "remote_port"),
        ("tcp --local_ip 1.1.1.1", 1, "unknown flag: --local_ip"),
        ("https --help", 0, "--custom_domain"),
    ],
)
def test_a_command_that_cannot_be_used_is_answered(
    gateway: Gateway, command: str, status: int, words: str
) -> None:
    found, said = gateway.user().try_to(1, command)
    assert (found, words in said) == (status, True), said


@pytest.mark.full
def test_strangers_are_few(gateway: Gateway, echo_port: int) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(120):
            stack.enter_context(visit(gateway.port))
        wait_until(lambda: gateway.frps.count(PUSHED_OUT) >= 20, "the oldest of them going")
        port = free_port()
        gateway.user().expose(echo_port, f"tcp --remote_port {port} --token '{TOKEN}'")
        assert echoes(port)


@pytest.mark.full
def test_a_user_hears_that_the_server_ends(stage: Stage, echo_port: int) -> None:
    gateway = Gateway(stage)
    port = free_port()
    ssh = gateway.user().expose(echo_port, f"tcp --remote_port {port} --token '{TOKEN}'")
    assert echoes(port)
    gateway.frps.terminate()
    assert ssh.wait(SECONDS) == 1
    assert "the server has ended the session" in ssh.output
