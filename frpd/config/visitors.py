"""Visitors as frpc.ini describes them: one frozen class per type, and the table of types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from frpd.config.secret import NO_SECRET, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorConfig:
    """What every type has.

    `name` and `server_name` are names on the wire, with their users' prefixes; `section` is bare.
    """

    visitor_type: ClassVar[str] = ""

    name: str
    section: str
    server_name: str
    sk: Secret = NO_SECRET
    server_user: str = ""
    bind_addr: str = "127.0.0.1"
    bind_port: int = 0
    use_encryption: bool = False
    use_compression: bool = False
    max_connections: int = 0


class StcpVisitorConfig(VisitorConfig):
    """Reaches a stcp proxy through frps."""

    __slots__ = ()
    visitor_type: ClassVar[str] = "stcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class XtcpVisitorConfig(VisitorConfig):
    """Reaches a xtcp proxy from peer to peer."""

    visitor_type: ClassVar[str] = "xtcp"

    protocol: str = "quic"
    keep_tunnel_open: bool = False
    max_retries_an_hour: int = 8
    min_retry_interval: int = 90
    fallback_to: str = ""
    fallback_timeout_ms: int = 1000
    disable_assisted_addrs: bool = False


class SudpVisitorConfig(VisitorConfig):
    """Reaches a sudp proxy through frps."""

    __slots__ = ()
    visitor_type: ClassVar[str] = "sudp"


VISITORS: Final[dict[str, type[VisitorConfig]]] = {
    "stcp": StcpVisitorConfig,
    "xtcp": XtcpVisitorConfig,
    "sudp": SudpVisitorConfig,
}
