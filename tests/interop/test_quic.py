"""protocol = quic with one Go end: much of it, all kinds of visitors, and how it ends."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, wait_until
from tests.helpers.stage import TOKEN, WRAPPERS, tcp
from tests.helpers.udp import UdpService, UdpVisitor
from tests.helpers.visitors import echoes, exchange, is_over, read_to_end, visit, wait_for_echo

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer
    from tests.helpers.programs import Settings
    from tests.helpers.stage import Stage

pytest.importorskip("aioquic")

QUIC_SINCE = (0, 46)
GO_END = pytest.mark.parametrize("go_end", ["frpc", "frps"])
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _speaks_quic(peer: GoPeer) -> None:
    if peer.number < QUIC_SINCE:
        pytest.skip("this version has no QUIC")


@GO_END
def test_much_comes_through_whole_both_ways(
    stage: Stage, peer: GoPeer, echo_port: int, go_end: str
) -> None:
    quic_port = free_port()
    common: Settings = {
        **peer.client_settings(go_end),
        "protocol": "quic",
        "server_port": quic_port,
    }
    tunnel = stage.tunnel(
        {"echo": echo_port},
        mux=True,
        server={"quic_bind_port": quic_port},
        client=common,
        folders=peer.folders(go_end),
    )
    port = tunnel.ports["echo"]
    data = os.urandom(5 * MIB)
    with visit(port) as one, visit(port) as other:
        other.sendall(b"beside it")
        assert exchange(one, data) == data
        assert other.recv(100) == b"beside it"
        one.setblocking(True)
        one.shutdown(socket.SHUT_WR)
        assert read_to_end(one) == b""
    for _ in range(3):
        assert echoes(port)
    if go_end == "frps":
        return  # a Go frps ends without a word, and restart_server starts ours
    with visit(port) as visitor:
        visitor.sendall(b"x")
        assert visitor.recv(10) == b"x"
        tunnel.frps.process.terminate()
        tunnel.frps.process.wait()
        wait_until(lambda: is_over(visitor), "the end of a visitor")
    tunnel.restart_server()
    wait_for_echo(port)


@GO_END
def test_all_kinds_of_proxies_are_served(
    stage: Stage, peer: GoPeer, echo_port: int, go_end: str
) -> None:
    bind_port, udp_port, visitor_port = free_port(), free_port(), free_port()
    ports = {name: free_port() for name in WRAPPERS}
    ours, go = BIN, peer.folder
    common: Settings = {"token": TOKEN}
    local: Settings = {"local_ip": "127.0.0.1"}
    to_server: Settings = {
        **peer.client_settings(go_end),
        "server_addr": "127.0.0.1",
        "server_port": bind_port,
        "protocol": "quic",
        **common,
    }
    with UdpService() as service:
        stage.frps(
            {
                "bind_addr": "127.0.0.1",
                "bind_port": bind_port,
                "quic_bind_port": bind_port,  # the same number, by datagrams
                **common,
            },
            folder=go if go_end == "frps" else ours,
        )
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
                "secret": {**local, "type": "stcp", "sk": "s", "local_port": echo_port},
            },
            folder=go if go_end == "frpc" else ours,
        )
        stage.frpc(
            {**to_server, **({} if go_end == "frps" else {"protocol": "quic"})},
            {
                "secret_v": {
                    "type": "stcp",
                    "role": "visitor",
                    "server_name": "secret",
                    "sk": "s",
                    "bind_addr": "127.0.0.1",
                    "bind_port": visitor_port,
                }
            },
            folder=ours,
            wait_for=(),
        )
        for name, port in ports.items():
            assert echoes(port, os.urandom(100_000)), name
        with UdpVisitor(udp_port) as visitor:
            assert visitor.ask_until_answered(b"ready?") == b"ready?"
        wait_for_echo(visitor_port)
