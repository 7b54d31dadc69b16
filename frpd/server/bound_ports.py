"""Binding: the sockets of everything that a configuration names, before there is a loop."""

from __future__ import annotations

import contextlib
import socket

from frpd.config.server import ServerConfig
from frpd.net.socket_store import SocketStore
from frpd.server.entrances import bind_entrances, entrances
from frpd.server.nathole.desk import bind_hole_port


def bind_ports(config: ServerConfig, sockets: SocketStore) -> list[socket.socket]:
    """Bind everything that the configuration names; no loop is needed for it.

    Args:
        config: checked.
        sockets: inherited ones are taken from it, all are kept there.

    Returns:
        One for each entrance, in their order, and behind them the port of hole punching.

    Raises:
        ListenError: a port cannot be had; nothing stays bound.
    """
    with contextlib.ExitStack() as bound:
        udp = [bound.enter_context(sock) for sock in bind_hole_port(config, sockets)]
        tcp = bind_entrances(entrances(config), sockets)
        bound.pop_all()
    return [*tcp, *udp]
