"""DatagramPorts: all are bound, or none."""

from __future__ import annotations

import socket

import pytest

from frpd.config.server import ServerConfig
from frpd.net.address import SockAddr
from frpd.net.listener import ListenError
from frpd.net.socket_store import SocketStore
from frpd.server.datagram_port import DatagramPort, DatagramPorts
from tests.helpers.ports import free_port


class Entrance:
    """One that nobody comes to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.address: SockAddr = sock.getsockname()
        self.is_retired = False

    @property
    def is_closed(self) -> bool:
        return self.sock.fileno() < 0

    def retire(self) -> None:
        self.is_retired = True

    def revive(self) -> None:
        self.is_retired = False

    def close(self) -> None:
        self.sock.close()


def ports() -> DatagramPorts:
    store = SocketStore()
    return DatagramPorts(
        [
            DatagramPort("kcp", lambda config: config.kcp_bind_port, Entrance, store),
            DatagramPort("quic", lambda config: config.quic_bind_port, Entrance, store),
        ],
        store,
    )


def config(kcp: int, quic: int) -> ServerConfig:
    return ServerConfig(bind_addr="127.0.0.1", kcp_bind_port=kcp, quic_bind_port=quic)


def bound_at(sock: socket.socket | None) -> int:
    assert sock is not None
    port: int = sock.getsockname()[1]
    return port


def test_ports_are_bound_moved_to_and_come_back_to() -> None:
    one, two, three = (free_port() for _ in range(3))
    every = ports()
    first = config(one, two)
    bound = every.bind_missing(first)
    assert [bound_at(sock) for sock in bound] == [one, two]
    every.change(first, bound)
    kcp = every._ports[0].entrance
    assert isinstance(kcp, Entrance)
    second = config(three, two)
    bound = every.bind_missing(second)
    assert bound[1] is None
    every.change(second, bound)
    retired = kcp.is_retired
    every.change(first, every.bind_missing(first))
    assert (retired, kcp.is_retired) == (True, False)
    every.close()


def test_where_one_cannot_be_had_none_stays_bound() -> None:
    one, two = free_port(), free_port()
    every = ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", two))
        with pytest.raises(ListenError):
            every.bind_missing(config(one, two))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", one))
    every.retire()
    every.close()
