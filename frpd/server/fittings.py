"""Fittings: what a server makes of the files that its configuration names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frpd.config.server import ServerConfig
from frpd.http.pages import load_page
from frpd.net.handshakes import HandshakeQueue
from frpd.selector_loop import SelectorLoop
from frpd.server.layers import client_layers
from frpd.transports.layers import Layer
from frpd.transports.over_udp import require_quic

if TYPE_CHECKING:
    from frpd.server.ssh_gateway.settings import SshSettings


@dataclass(frozen=True, slots=True)
class Fittings:
    """Read once, before anything else is done with a configuration.

    Attributes:
        page: of custom_404_page.
        layers: what clients may wrap their connections in.
        handshakes: where those of TLS wait for their turns.
        ssh: of the SSH gateway; None where there is none.
    """

    page: bytes | None
    layers: Mapping[str, Layer]
    handshakes: HandshakeQueue
    ssh: SshSettings | None = None


def load_fittings(loop: SelectorLoop, config: ServerConfig) -> Fittings:
    """Read the files. Any thread; the loop's thread has the result to itself.

    Raises:
        ConfigError: a certificate, a key or a page cannot be used, or QUIC is not there.
    """
    if config.quic_bind_port:
        require_quic("quic_bind_port")
    wants_page = config.custom_404_page and config.vhost_http_port
    handshakes = HandshakeQueue(loop)
    return Fittings(
        page=load_page(config.custom_404_page) if wants_page else None,
        layers=client_layers(loop, config, handshakes),
        handshakes=handshakes,
        ssh=_ssh_settings(config),
    )


def _ssh_settings(config: ServerConfig) -> SshSettings | None:
    if not config.ssh_gateway_bind_port:
        return None
    # Few servers have a gateway, and its import costs every start.
    from frpd.server.ssh_gateway.settings import load_settings  # noqa: PLC0415

    return load_settings(config, os.environ)
