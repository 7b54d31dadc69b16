"""Which ports are in use, and for what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from frpd.config.server import ServerConfig
from frpd.server.entrances import Speech, entrances
from frpd.server.snapshot import ServerSnapshot

Object = dict[str, object]

_WHAT: Final = ((Speech.FRP, "clients"), (Speech.HTTP, "http"), (Speech.HTTPS, "https"))


def ports(config: ServerConfig, snapshot: ServerSnapshot) -> list[Object]:
    """Return a row for each use of a port, by number. Several may share one."""
    rows = [*_own(config), *_of_proxies(snapshot)]
    return [
        {"port": port, "protocol": protocol, "what": what} for port, protocol, what in sorted(rows)
    ]


def _own(config: ServerConfig) -> Iterator[tuple[int, str, str]]:
    for entrance in entrances(config):
        for speech, what in _WHAT:
            if speech in entrance.speech:
                yield entrance.port, "tcp", what
    if config.kcp_bind_port:
        yield config.kcp_bind_port, "udp", "kcp"
    if config.dashboard_port:
        yield config.dashboard_port, "tcp", "dashboard"


def _of_proxies(snapshot: ServerSnapshot) -> Iterator[tuple[int, str, str]]:
    for proxy in snapshot.proxies:
        figures, settings = proxy.figures, proxy.settings
        if settings is not None and settings.remote_port and figures.proxy_type in ("tcp", "udp"):
            yield settings.remote_port, figures.proxy_type, figures.name
