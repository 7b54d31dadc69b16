"""The ports that frps itself listens on, and what is spoken on each.

Keys that name the same port share it: the first bytes of a connection tell its
visitors apart (see reception).
"""

from __future__ import annotations

import contextlib
import enum
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from frpd.config.server import ServerConfig
from frpd.net.listener import bind_tcp


class Speech(enum.Flag):
    """What may be spoken on a port."""

    FRP = enum.auto()
    """Clients, in whatever they wrap it."""
    HTTP = enum.auto()
    """Visitors of http proxies."""
    HTTPS = enum.auto()
    """Visitors of https proxies."""


_WORDS = {
    Speech.FRP: "frps tcp",
    Speech.HTTP: "http service",
    Speech.HTTPS: "https service",
}


@dataclass(frozen=True, slots=True)
class Entrance:
    """One port to listen on."""

    host: str
    port: int
    speech: Speech
    keepalive_seconds: int = 0

    def announce(self) -> list[str]:
        """Return what is served here, in the words of frp's log."""
        return [words for speech, words in _WORDS.items() if speech in self.speech]


def entrances(config: ServerConfig) -> list[Entrance]:
    """Return what to listen on; the clients' port comes first."""
    wanted = [
        (config.bind_addr, config.bind_port, Speech.FRP),
        (config.proxy_bind_addr, config.vhost_http_port, Speech.HTTP),
        (config.proxy_bind_addr, config.vhost_https_port, Speech.HTTPS),
    ]
    speeches: dict[tuple[str, int], Speech] = {}
    for host, port, speech in wanted:
        if port or speech is Speech.FRP:
            speeches[host, port] = speeches.get((host, port), Speech(0)) | speech
    return [
        Entrance(host, port, speech, config.tcp_keepalive if Speech.FRP in speech else 0)
        for (host, port), speech in speeches.items()
    ]


def bind_entrances(wanted: Sequence[Entrance]) -> list[socket.socket]:
    """Bind them all, in their order; no loop is needed for it.

    Raises:
        ListenError: a port cannot be had; nothing stays bound.
    """
    with contextlib.ExitStack() as bound:
        socks = [
            bound.enter_context(
                bind_tcp(one.host, one.port, keepalive_seconds=one.keepalive_seconds)
            )
            for one in wanted
        ]
        bound.pop_all()
        return socks
