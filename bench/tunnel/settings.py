"""What a tunnel is asked to carry, whichever program it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Ports:
    """All on 127.0.0.1: the tunnel's own, the services' behind it, the ways in.

    ``second`` is for whoever joins its ends by a port for each proxy.
    """

    bind: int
    second: int
    vhost: int
    echo: int
    sink: int
    iperf: int
    web: int
    probe: int
    entrance: int


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy under measurement.

    Attributes:
        service: the Ports attribute of the service behind it.
        kind: frp's type.
        lines: further ini lines of its section.
    """

    service: str
    kind: str = "tcp"
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """What a scenario asks of every implementation, in frp's words."""

    proxy: Proxy
    tcp_mux: bool = True
    pool: int = 5
    protocol: str = "tcp"


HOST: Final = "tunnel.test"
"""The virtual host of an http proxy."""
