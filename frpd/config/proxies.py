"""Proxies as frpc.ini describes them: one frozen class per type, and the table of types.

A type that adds no field is a plain subclass: making a dataclass costs start-up time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from frpd.config.kinds import NO_LIMIT, Bandwidth
from frpd.config.params import NO_PARAMS, Params
from frpd.config.secret import NO_SECRET, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """What every type has. Two configs are equal when no setting differs.

    `name` is the name on the wire, with the user's prefix; `section` the bare one.
    """

    proxy_type: ClassVar[str] = ""

    name: str
    section: str
    local_ip: str = "127.0.0.1"
    local_port: int = 0
    use_encryption: bool = False
    use_compression: bool = False
    group: str = ""
    group_key: Secret = NO_SECRET
    group_strategy: str = "round_robin"
    plugin: str = ""
    plugin_params: Params = NO_PARAMS  # with their full key names
    health_check_type: str = ""
    health_check_url: str = ""
    health_check_interval_s: int = 10
    health_check_timeout_s: int = 3
    health_check_max_failed: int = 1
    proxy_protocol_version: str = ""
    bandwidth_limit: Bandwidth = NO_LIMIT
    bandwidth_limit_mode: str = "client"
    allow_cidrs: tuple[str, ...] = ()
    deny_cidrs: tuple[str, ...] = ()
    max_connections: int = 0
    max_connection_rate: float = 0.0
    metas: Params = NO_PARAMS

    @property
    def client_bytes_per_second(self) -> int:
        """The limit that frpc has to keep; 0 for none."""
        return self.bandwidth_limit.bytes_per_second if self.bandwidth_limit_mode == "client" else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PortProxyConfig(ProxyConfig):
    """A type with a port of its own at frps."""

    remote_port: int = 0


class TcpProxyConfig(PortProxyConfig):
    """A TCP port at frps."""

    __slots__ = ()
    proxy_type: ClassVar[str] = "tcp"


class UdpProxyConfig(PortProxyConfig):
    """A UDP port at frps."""

    __slots__ = ()
    proxy_type: ClassVar[str] = "udp"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProxyConfig(ProxyConfig):
    """Domains on the shared HTTP port; no `locations` means all paths."""

    proxy_type: ClassVar[str] = "http"

    custom_domains: tuple[str, ...] = ()
    subdomain: str = ""
    locations: tuple[str, ...] = ()
    http_user: str = ""
    http_pwd: Secret = NO_SECRET
    route_by_http_user: str = ""
    host_header_rewrite: str = ""
    headers: Params = NO_PARAMS
    response_headers: Params = NO_PARAMS


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsProxyConfig(ProxyConfig):
    """Domains on the shared HTTPS port, told apart by SNI."""

    proxy_type: ClassVar[str] = "https"

    custom_domains: tuple[str, ...] = ()
    subdomain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpMuxProxyConfig(ProxyConfig):
    """Domains on the shared HTTP CONNECT port."""

    proxy_type: ClassVar[str] = "tcpmux"

    multiplexer: str = ""
    custom_domains: tuple[str, ...] = ()
    subdomain: str = ""
    http_user: str = ""
    http_pwd: Secret = NO_SECRET
    route_by_http_user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretProxyConfig(ProxyConfig):
    """A type that only visitors who know `sk` reach."""

    sk: Secret = NO_SECRET
    allow_users: tuple[str, ...] = ()


class StcpProxyConfig(SecretProxyConfig):
    """A TCP service, through frps."""

    __slots__ = ()
    proxy_type: ClassVar[str] = "stcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class XtcpProxyConfig(SecretProxyConfig):
    """A TCP service, from peer to peer."""

    proxy_type: ClassVar[str] = "xtcp"

    disable_assisted_addrs: bool = False


class SudpProxyConfig(SecretProxyConfig):
    """A UDP service, through frps."""

    __slots__ = ()
    proxy_type: ClassVar[str] = "sudp"


PROXIES: Final[dict[str, type[ProxyConfig]]] = {
    "tcp": TcpProxyConfig,
    "udp": UdpProxyConfig,
    "http": HttpProxyConfig,
    "https": HttpsProxyConfig,
    "stcp": StcpProxyConfig,
    "xtcp": XtcpProxyConfig,
    "tcpmux": TcpMuxProxyConfig,
    "sudp": SudpProxyConfig,
}
