"""protocol = kcp: visitors of all kinds come through, over lines that lose, and all of it ends."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.helpers.lossy import LossyRelay
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, wait_until
from tests.helpers.services import Service, says
from tests.helpers.stage import TOKEN, WRAPPERS, Stage, Tunnel, tcp
from tests.helpers.udp import UdpService, UdpVisitor
from tests.helpers.visitors import echoes, exchange, is_over, read_to_end, visit, wait_for_echo

if TYPE_CHECKING:
    from tests.helpers.programs import Settings

MIB = 1024 * 1024
LOST_EVERY = 20
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "direct"])


def kcp_tunnel(
    stage: Stage, echo_port: int, *, mux: bool, line: LossyRelay | None = None, **client: object
) -> Tunnel:
    """Start both ends with an echo service, joined by KCP; through a line if there is one."""
    port = free_port() if line is None else line.target
    to = port if line is None else line.port
    return stage.tunnel(
        {"echo": echo_port},
        mux=mux,
        server={"kcp_bind_port": port},
        client={"protocol": "kcp", "server_port": to, **client},
    )


@both_kinds
def test_much_comes_through_whole_both_ways(stage: Stage, echo_port: int, mux: bool) -> None:
    tunnel = kcp_tunnel(stage, echo_port, mux=mux)
    data = os.urandom(2 * MIB)
    with visit(tunnel.ports["echo"]) as one, visit(tunnel.ports["echo"]) as other:
        other.sendall(b"beside it")
        assert exchange(one, data) == data
        assert other.recv(100) == b"beside it"
        one.setblocking(True)
        one.shutdown(socket.SHUT_WR)  # an end goes through, although KCP has none
        assert read_to_end(one) == b""


@pytest.mark.parametrize("mux", [True, pytest.param(False, marks=pytest.mark.full)])
def test_a_line_that_loses_costs_time_and_no_byte(stage: Stage, echo_port: int, mux: bool) -> None:
    data = os.urandom(MIB // 2)
    with LossyRelay(free_port(), LOST_EVERY) as line:
        tunnel = kcp_tunnel(stage, echo_port, mux=mux, line=line)
        with visit(tunnel.ports["echo"]) as visitor:
            assert exchange(visitor, data) == data
        assert line.lost > 50


def test_all_kinds_of_visitors_and_tls_are_served(stage: Stage, echo_port: int) -> None:
    bind_port, vhost = free_port(), free_port()
    ports = {name: free_port() for name in WRAPPERS}
    udp_port = free_port()
    common: Settings = {"token": TOKEN}
    with UdpService() as service, Service(says(PAGE)) as web:
        stage.frps(
            {
                "bind_addr": "127.0.0.1",
                "bind_port": bind_port,
                "kcp_bind_port": bind_port,  # the same number, by datagrams
                "vhost_http_port": vhost,
                **common,
            }
        )
        to_server = {
            "server_addr": "127.0.0.1",
            "server_port": bind_port,
            "protocol": "kcp",
            "tls_enable": True,
            **common,
        }
        local = {"local_ip": "127.0.0.1"}
        stage.frpc(
            to_server,
            {
                **{name: {**tcp(echo_port, ports[name]), **WRAPPERS[name]} for name in ports},
                "udp": {
                    **local,
                    "type": "udp",
                    "local_port": service.port,
                    "remote_port": udp_port,
                },
                "web": {
                    **local,
                    "type": "http",
                    "local_port": web.port,
                    "custom_domains": "kcp.test",
                },
            },
        )
        for name, port in ports.items():
            assert echoes(port, os.urandom(100_000)), name
        with UdpVisitor(udp_port) as visitor:
            assert visitor.ask_until_answered(b"ready?") == b"ready?"
        with visit(vhost) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: kcp.test\r\n\r\n")
            assert browser.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_both_ends_see_the_other_go(stage: Stage, echo_port: int) -> None:
    tunnel = kcp_tunnel(stage, echo_port, mux=True, heartbeat_interval=1)
    with visit(tunnel.ports["echo"]) as visitor:
        visitor.sendall(b"x")
        assert visitor.recv(10) == b"x"
        tunnel.frps.process.kill()
        tunnel.frps.process.wait()
        wait_until(lambda: is_over(visitor), "the end of a visitor")
        tunnel.restart_server()
        # The client's conversation is unknown to the new server, which says so.
        tunnel.frpc.wait_for("session with the server lost")
        wait_for_echo(tunnel.ports["echo"])


def test_a_port_that_nobody_listens_on_is_told_at_once(stage: Stage, echo_port: int) -> None:
    port = free_port()
    path = stage.write(
        {
            "common": {"server_addr": "127.0.0.1", "server_port": port, "protocol": "kcp"},
            "echo": tcp(echo_port, free_port()),
        }
    )
    frpc = stage.start("frpc", str(BIN / "frpc"), "-c", str(path))
    frpc.wait_for(f"nobody takes datagrams at 127.0.0.1:{port}: connection refused")
