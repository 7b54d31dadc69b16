"""Binding: the sockets of everything that a configuration names, before there is a loop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import NamedTuple

from frpd.config.server import ServerConfig
from frpd.net.socket_store import SocketStore
from frpd.server.entrances import bind_entrances, entrances
from frpd.server.kcp_port import bind_kcp_port
from frpd.server.nathole.late_desk import bind_hole_port
from frpd.server.quic_port import bind_quic_port


class Bound(NamedTuple):
    """What was bound, by what it is for."""

    tcp: Sequence[socket.socket]
    """One for each entrance, in their order."""
    holes: Sequence[socket.socket]
    """Of hole punching, if it is wanted."""
    datagrams: Sequence[socket.socket | None]
    """Of clients by KCP and QUIC, in this order."""


def bind_ports(config: ServerConfig, sockets: SocketStore) -> list[socket.socket]:
    """Bind everything that the configuration names; no loop is needed for it.

    Args:
        config: checked.
        sockets: inherited ones are taken from it, all are kept there.

    Returns:
        All of them; sort_out() tells which is which.

    Raises:
        ListenError: a port cannot be had; nothing stays bound.
    """
    with contextlib.ExitStack() as bound:
        udp = [bound.enter_context(sock) for sock in bind_hole_port(config, sockets)]
        for bind in (bind_kcp_port, bind_quic_port):
            sock = bind(config, sockets)
            if sock is not None:
                udp.append(bound.enter_context(sock))
        tcp = bind_entrances(entrances(config), sockets)
        bound.pop_all()
    return [*tcp, *udp]


def sort_out(config: ServerConfig, socks: Sequence[socket.socket]) -> Bound:
    """Return what bind_ports has returned for the same configuration, by what it is for."""
    left = list(socks)
    quic = left.pop() if config.quic_bind_port else None
    kcp = left.pop() if config.kcp_bind_port else None
    doors = len(entrances(config))
    return Bound(left[:doors], left[doors:], [kcp, quic])
