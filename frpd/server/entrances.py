"""The ports that frps itself listens on, and what is spoken on each.

Keys that name the same port share it: the first bytes of a connection tell its
visitors apart (see reception).
"""

from __future__ import annotations

import contextlib
import enum
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from frpd.config.server import ServerConfig
from frpd.net.listener import adopt_tcp, bind_tcp
from frpd.net.socket_store import TCP, UDP, Place, SocketStore


class Speech(enum.Flag):
    """What may be spoken on a port."""

    FRP = enum.auto()
    """Clients, in whatever they wrap it."""
    HTTP = enum.auto()
    """Visitors of http proxies."""
    HTTPS = enum.auto()
    """Visitors of https proxies."""
    CONNECT = enum.auto()
    """Visitors of tcpmux proxies; shares its port with nothing."""
    SSH = enum.auto()
    """Clients of the SSH gateway; shares its port with nothing."""


NOTHING: Final = Speech(0)
CLIENTS: Final = Speech.FRP | Speech.SSH
"""Who has to log in."""

_WORDS = {
    Speech.FRP: "frps tcp",
    Speech.HTTP: "http service",
    Speech.HTTPS: "https service",
    Speech.CONNECT: "tcpmux httpconnect multiplexer",
    Speech.SSH: "ssh gateway",
}


@dataclass(frozen=True, slots=True)
class Entrance:
    """One port to listen on."""

    host: str
    port: int
    speech: Speech
    keepalive_seconds: int = 0

    def announce(self, but: Speech = NOTHING) -> list[str]:
        """Return what is served here, in the words of frp's log; without what was said."""
        return [words for speech, words in _WORDS.items() if speech in self.speech & ~but]


def entrances(config: ServerConfig) -> list[Entrance]:
    """Return what to listen on; the clients' port comes first."""
    wanted = [
        (config.bind_addr, config.bind_port, Speech.FRP),
        (config.proxy_bind_addr, config.vhost_http_port, Speech.HTTP),
        (config.proxy_bind_addr, config.vhost_https_port, Speech.HTTPS),
        (config.proxy_bind_addr, config.tcpmux_httpconnect_port, Speech.CONNECT),
        (config.bind_addr, config.ssh_gateway_bind_port, Speech.SSH),
    ]
    speeches: dict[tuple[str, int], Speech] = {}
    for host, port, speech in wanted:
        if port or speech is Speech.FRP:
            speeches[host, port] = speeches.get((host, port), NOTHING) | speech
    return [
        Entrance(host, port, speech, config.tcp_keepalive if CLIENTS & speech else 0)
        for (host, port), speech in speeches.items()
    ]


def still_wanted(
    config: ServerConfig, others: Collection[tuple[str, int]]
) -> Callable[[Place, str], bool]:
    """Return which sockets of the process before us may stay bound; see SocketStore.sift.

    Args:
        config: that we are started with.
        others: addresses that the program listens on besides.
    """
    own = {Place.named(TCP, host, port) for host, port in others if port}
    own.update(Place.named(TCP, one.host, one.port) for one in entrances(config))
    for port in (config.bind_udp_port, config.kcp_bind_port, config.quic_bind_port):
        if port:
            own.add(Place.named(UDP, config.bind_addr, port))
    taken = {(place.kind, place.port) for place in own}
    hosts = {Place.named(kind, config.proxy_bind_addr, 1).host for kind in (TCP, UDP)}

    def wanted(place: Place, owner: str) -> bool:
        if place in own:
            return True
        if not owner or place.host not in hosts or not config.allow_ports.allows(place.port):
            return False
        return (place.kind, place.port) not in taken

    return wanted


def bind_entrances(
    wanted: Sequence[Entrance],
    sockets: SocketStore,
    *,
    shared_ports: Collection[int] = (),
) -> list[socket.socket]:
    """Bind them all, in their order; no loop is needed for it.

    Args:
        wanted: what to listen on.
        sockets: what was inherited is taken from it, what is new is kept there.
        shared_ports: where another listener of ours makes room, see Listener.shared.

    Raises:
        ListenError: a port cannot be had; nothing stays bound.
    """
    with contextlib.ExitStack() as bound:
        socks, fresh = [], []
        for one in wanted:
            sock = sockets.take(TCP, one.host, one.port)
            if sock is None:
                sock = bind_tcp(
                    one.host,
                    one.port,
                    keepalive_seconds=one.keepalive_seconds,
                    beside_others=one.port in shared_ports,
                )
                fresh.append((one, sock))
            else:
                adopt_tcp(sock, one.keepalive_seconds)
            socks.append(bound.enter_context(sock))
        bound.pop_all()
    for one, sock in fresh:
        sockets.keep(TCP, one.host, one.port, sock)
    return socks
