"""Reload of frps while clients and visitors are there: by SIGHUP and by its API."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from frpd.cli.admin_client import Answer, Target, call
from frpd.config.secret import Secret
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS
from tests.helpers.services import Service
from tests.helpers.stage import READY, TOKEN, Stage, Tunnel, tcp
from tests.helpers.visitors import echoes, exchange, refuses, visit

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.programs import Program

RELOADED = "success reload conf"
FAILED = "nothing was changed"
HOST = "web.example.com"
BODY = os.urandom(8 << 20)  # more than all buffers on the way hold
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class Server:
    """What an operator does with a frps and its file."""

    def __init__(self, frps: Program, file: Path, bind_port: int) -> None:
        self.frps = frps
        self.file = file
        self.client: dict[str, object] = {
            "server_addr": "127.0.0.1",
            "server_port": bind_port,
            "token": TOKEN,
        }

    @classmethod
    def of(cls, tunnel: Tunnel) -> Server:
        return cls(tunnel.frps, tunnel.server_file, tunnel.bind_port)

    @classmethod
    def start(cls, stage: Stage, **keys: object) -> Server:
        """Start one with these keys."""
        bind_port = free_port()
        common = {"bind_addr": "127.0.0.1", "bind_port": bind_port, "token": TOKEN}
        file = stage.write({"common": common | keys})
        frps = stage.start("frps", str(BIN / "frps"), "-c", str(file))
        frps.wait_for(READY)
        return cls(frps, file, bind_port)

    def edit(self, **keys: object) -> None:
        """Set keys of [common], those that are there already too."""
        lines = self.file.read_text().splitlines()
        kept = [line for line in lines if line.partition(" = ")[0] not in keys]
        new = [f"{key} = {value}" for key, value in keys.items()]
        self.file.write_text("\n".join([*kept, *new, ""]))

    def hang_up(self, said: str = RELOADED) -> None:
        """Send SIGHUP, and wait for what comes of it."""
        mark = self.frps.said()
        self.frps.signal(signal.SIGHUP)
        self.frps.wait_for(said, since=mark)

    def ask(self, port: int, password: str) -> Answer:
        """Reload by the dashboard."""
        target = Target(host="127.0.0.1", port=port, user="ops", password=Secret(password))
        return call(target, "POST", "/api/reload", seconds=SECONDS)


@pytest.mark.parametrize(
    "mux", [False, pytest.param(True, marks=pytest.mark.full)], ids=["direct", "mux"]
)
def test_another_token_is_for_those_who_come_next(stage: Stage, echo_port: int, mux: bool) -> None:
    both = {"authenticate_heartbeats": True, "authenticate_new_work_conns": True}
    tunnel = stage.tunnel(
        {"web": echo_port},
        mux=mux,
        server=both,
        client={**both, "heartbeat_interval": 1, "log_level": "debug"},
        proxy={"use_encryption": True},
    )
    server, port = Server.of(tunnel), tunnel.ports["web"]
    with visit(port) as visitor:
        assert exchange(visitor, b"before") == b"before"
        server.edit(token="another")
        server.hang_up()
        mark = tunnel.frpc.said()
        assert exchange(visitor, b"after" * 50_000) == b"after" * 50_000
        for _ in range(3):  # more than are in stock
            assert echoes(port)
        late_port = free_port()
        client, late = server.client | both | {"tcp_mux": mux}, {"late": tcp(echo_port, late_port)}
        stage.frpc(client | {"token": "another"}, late)
        assert echoes(late_port)
        refused = stage.frpc(client, late, wait_for=())
        assert refused.wait() == 1
        assert "authorization failed" in refused.output
        tunnel.frpc.wait_for("receive heartbeat from server", since=mark)
        assert exchange(visitor, b"still") == b"still"
    assert tunnel.frpc.count("login to server success") == 1


def test_the_dashboard_reloads_and_asks_for_the_new_password_then(
    stage: Stage, echo_port: int
) -> None:
    dashboard, port, other, mail = free_port(), free_port(), free_port(), free_port()
    server = Server.start(
        stage, dashboard_port=dashboard, dashboard_user="ops", dashboard_pwd="old"
    )
    stage.frpc(server.client, {"web": tcp(echo_port, port)})
    server.edit(dashboard_pwd="new", allow_ports=other, bind_port=1, log_file="/nowhere/x.log")
    answer = server.ask(dashboard, "old")
    assert answer.is_ok, answer.body
    report: Any = answer.json()
    assert report["changed"] == ["allow_ports", "dashboard_pwd"]
    assert report["not_live"] == ["bind_port", "log_file"]
    warning = f"outside of allow_ports now, and left as they are: web ({port})"
    assert report["warnings"] == [warning]
    server.frps.wait_for(r"\[common\] bind_port, log_file: changed in the file, needs a restart")
    assert server.ask(dashboard, "old").status == 401
    assert echoes(port)
    proxies = {"ssh": tcp(echo_port, other), "mail": tcp(echo_port, mail)}
    frpc = stage.frpc(server.client, proxies, wait_for=["ssh"])
    frpc.wait_for(r"\[mail\] start error: port not allowed")
    server.edit(allow_ports="9-1")
    answer = server.ask(dashboard, "new")
    report = answer.json()
    assert (answer.status, report["code"]) == (400, 2)
    assert "[common] allow_ports: '9-1' cannot be used" in report["msg"]
    assert echoes(other)


async def serve_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with BODY."""
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(HEAD + BODY)
        await writer.drain()


class Download:
    """A visitor's requests for BODY, read at the test's pace."""

    def __init__(self, port: int) -> None:
        self.visitor = visit(port)
        self.got = bytearray()
        self.ask()

    def ask(self) -> None:
        self.visitor.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())

    def read(self, count: int) -> None:
        """Read on until there is so much of the answer."""
        while len(self.got) < count and (part := self.visitor.recv(1 << 16)):
            self.got += part

    def is_whole(self) -> bool:
        """Read the rest; return whether all of it is as it was sent."""
        self.read(len(HEAD) + len(BODY))
        whole, self.got = bytes(self.got), bytearray()
        return whole == HEAD + BODY

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *_: object) -> None:
        self.visitor.close()


def downloads(port: int) -> bool:
    """Return whether a new visitor gets all."""
    with Download(port) as one:
        return one.is_whole()


@pytest.fixture
def web(stage: Stage) -> Iterator[tuple[Server, int]]:
    """A server with an http proxy, and the port of that."""
    with Service(serve_body) as service:
        port = free_port()
        server = Server.start(stage, vhost_http_port=port)
        proxy = {"type": "http", "local_port": service.port, "custom_domains": HOST}
        stage.frpc(server.client, {"web": proxy})
        yield server, port


def test_the_http_port_moves_while_a_download_runs(web: tuple[Server, int]) -> None:
    server, old = web
    new = free_port()
    with Download(old) as slow:
        slow.read(1000)
        server.edit(vhost_http_port=new)
        server.hang_up()
        assert refuses(old)
        assert downloads(new)
        assert slow.is_whole()
        slow.ask()  # its connection goes on
        slow.read(1000)
        server.edit(vhost_http_port=0)
        server.hang_up()
        assert refuses(new)
        assert slow.is_whole()
    server.edit(vhost_http_port=old)
    server.hang_up()
    assert downloads(old)


def test_what_cannot_be_had_or_read_changes_nothing(
    stage: Stage, web: tuple[Server, int], echo_port: int
) -> None:
    server, port = web
    other = free_port()
    with Download(port) as slow, socket.create_server(("127.0.0.1", 0)) as holder:
        slow.read(1000)
        taken = holder.getsockname()[1]
        server.edit(vhost_http_port=other, vhost_https_port=taken, token="another")
        server.hang_up("bind: address already in use")
        server.edit(vhost_http_port="eighty", vhost_https_port=0)
        server.hang_up("vhost_http_port: 'eighty' cannot be used")
        assert (server.frps.count(FAILED), server.frps.count(RELOADED)) == (2, 0)
        assert refuses(other)
        assert downloads(port)
        assert slow.is_whole()
    stage.frpc(server.client, {"late": tcp(echo_port, free_port())})
