"""Way: everything that decides how frpc reaches its server, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frpd.entropy import Entropy
from frpd.net.connector import Connector
from frpd.selector_loop import SelectorLoop
from frpd.transports.layers import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class QuicSettings:
    """The keys ``quic_*``; 0 is what the library has by itself."""

    keepalive_seconds: float = 10
    idle_seconds: float = 30
    max_streams: int = 100_000
    """That the other side may have open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What the carriers of the table TRANSPORTS are made from."""

    loop: SelectorLoop
    connector: Connector
    entropy: Entropy
    host: str
    """The server, as it was configured."""
    port: int
    timeout_seconds: float
    """To get there, all handshakes of the carrier included."""
    keepalive_seconds: int
    """TCP keep-alive idle time; <= 0 is off."""
    local_ip: str = ""
    """Address to come from; "" for any."""
    proxy: tuple[str, int] | None = None
    """Who is dialled instead of the server."""
    proxy_layers: tuple[Layer, ...] = ()
    """How a connection to that one becomes one to the server."""
    make_tls: Callable[[bool], Layer]
    """Make the layer for TLS; the argument says whether frp's head byte may announce it."""
    tls_enable: bool = False
    """Put TLS innermost, around what frp is spoken on."""
    tls_files: tuple[str, str, str] = ("", "", "")
    """Paths, or "", of our certificate, its key, and whom to trust; for a carrier that has TLS."""
    tls_name: str = ""
    """Whom the server's certificate has to be for."""
    quic: QuicSettings = QuicSettings()

    def tls_layers(self) -> list[Layer]:
        """Return the innermost layer, if there is one."""
        return [self.make_tls(True)] if self.tls_enable else []
