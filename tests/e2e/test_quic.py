"""protocol = quic: visitors of all kinds come through, sealed, and all of it ends."""

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
    from tests.helpers.programs import Settings
    from tests.helpers.stage import Stage

pytest.importorskip("aioquic")

MIB = 1024 * 1024


def test_all_kinds_of_visitors_are_served_and_an_end_is_seen(stage: Stage, echo_port: int) -> None:
    bind_port, udp_port = free_port(), free_port()
    ports = {name: free_port() for name in WRAPPERS}
    common: Settings = {"token": TOKEN, "native": "require"}
    server: Settings = {
        "bind_addr": "127.0.0.1",
        "bind_port": bind_port,
        "quic_bind_port": bind_port,  # the same number, by datagrams
        "tls_only": True,
        **common,
    }
    with UdpService() as service:
        frps = stage.frps(server)
        frpc = stage.frpc(
            {
                "server_addr": "127.0.0.1",
                "server_port": bind_port,
                "protocol": "quic",
                "tcp_mux": False,  # says nothing here
                **common,
            },
            {
                **{name: {**tcp(echo_port, ports[name]), **WRAPPERS[name]} for name in ports},
                "udp": {
                    "type": "udp",
                    "local_ip": "127.0.0.1",
                    "local_port": service.port,
                    "remote_port": udp_port,
                },
            },
        )
        frpc.wait_for("direct-stream.*seal")
        data = os.urandom(2 * MIB)
        first, *others = ports.values()
        with visit(first) as one, visit(first) as other:
            other.sendall(b"beside it")
            assert exchange(one, data) == data
            assert other.recv(100) == b"beside it"
            one.setblocking(True)
            one.shutdown(socket.SHUT_WR)
            assert read_to_end(one) == b""
        for port in others:
            assert echoes(port, data[:100_000])
        with UdpVisitor(udp_port) as visitor:
            assert visitor.ask_until_answered(b"ready?") == b"ready?"
        with visit(first) as visitor_of_tcp:
            visitor_of_tcp.sendall(b"x")
            assert visitor_of_tcp.recv(10) == b"x"
            frps.process.terminate()
            frps.process.wait()
            wait_until(lambda: is_over(visitor_of_tcp), "the end of a visitor")
        frpc.wait_for("session with the server lost")
        stage.frps(server)
        wait_for_echo(first)


def test_a_port_that_nobody_listens_on_is_told_at_once(stage: Stage, echo_port: int) -> None:
    port = free_port()
    path = stage.write(
        {
            "common": {"server_addr": "127.0.0.1", "server_port": port, "protocol": "quic"},
            "echo": tcp(echo_port, free_port()),
        }
    )
    frpc = stage.start("frpc", str(BIN / "frpc"), "-c", str(path))
    frpc.wait_for(f"nobody takes datagrams at 127.0.0.1:{port}: connection refused")
