"""bind_ports: all that a configuration names, or nothing."""

from __future__ import annotations

import socket

import pytest

from frpd.config.server import ServerConfig
from frpd.net.listener import ListenError
from frpd.net.socket_store import SocketStore
from frpd.server.bound_ports import bind_ports, sort_out
from tests.helpers.ports import free_port, is_free


def config(**keys: int) -> ServerConfig:
    return ServerConfig(bind_addr="127.0.0.1", proxy_bind_addr="127.0.0.1", **keys)  # type: ignore[arg-type] # all are numbers


def test_entrances_come_first_and_in_their_order() -> None:
    wanted = config(bind_port=free_port(), vhost_http_port=free_port(), bind_udp_port=free_port())
    bound = bind_ports(wanted, SocketStore())
    where = [(sock.type, sock.getsockname()[1]) for sock in bound]
    for sock in bound:
        sock.close()
    assert where == [
        (socket.SOCK_STREAM, wanted.bind_port),
        (socket.SOCK_STREAM, wanted.vhost_http_port),
        (socket.SOCK_DGRAM, wanted.bind_udp_port),
    ]


def test_which_is_which_is_told_from_the_configuration() -> None:
    ports = [free_port() for _ in range(4)]
    wanted = config(
        bind_port=ports[0],
        bind_udp_port=ports[1],
        kcp_bind_port=ports[2],
        quic_bind_port=ports[3],
    )
    found = sort_out(wanted, socks := bind_ports(wanted, SocketStore()))
    where = [sock.getsockname()[1] for sock in (*found.tcp, *found.holes, *found.datagrams) if sock]
    for sock in socks:
        sock.close()
    assert where == ports
    bare = config(bind_port=free_port())
    found = sort_out(bare, socks := bind_ports(bare, SocketStore()))
    socks[0].close()
    assert found == ([socks[0]], [], [None, None])


def test_nothing_stays_bound_if_one_cannot_be_had() -> None:
    wanted = config(bind_port=free_port(), bind_udp_port=free_port())
    with socket.create_server(("127.0.0.1", wanted.bind_port)):
        with pytest.raises(ListenError):
            bind_ports(wanted, SocketStore())
        with socket.socket(type=socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", wanted.bind_udp_port))
            with pytest.raises(ListenError):
                bind_ports(wanted, SocketStore())
    assert is_free(wanted.bind_port)
