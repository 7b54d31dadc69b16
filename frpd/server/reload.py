"""Which keys of frps a reload honours, and what another configuration would change.

THE table: each attribute of ServerConfig is in one of the two, a test holds them against it.
Nothing of a running server is touched here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final, NamedTuple

from frpd.config.server import ServerConfig

LOGINS: Final = "new logins"
CONNECTIONS: Final = "new connections of clients"
COMERS: Final = "new clients, and who is there stays"
PROXIES: Final = "new proxies"
VISITORS: Final = "new visitors"
AT_ONCE: Final = "everything, at once"

LIVE: Final[Mapping[str, str]] = {
    "token": LOGINS,
    "token_file": LOGINS,
    "authentication_timeout": LOGINS,
    "authenticate_heartbeats": LOGINS,
    "authenticate_new_work_conns": LOGINS,
    "users_only": LOGINS,
    "native": LOGINS,
    "max_pool_count": LOGINS,
    "user_conn_timeout": LOGINS,
    "heartbeat_timeout": LOGINS,
    "heartbeat_timeout_set": LOGINS,
    "login_timeout_seconds": CONNECTIONS,
    "max_pending_connections": CONNECTIONS,
    "max_pending_per_source": CONNECTIONS,
    "allow_cidrs": CONNECTIONS,
    "deny_cidrs": CONNECTIONS,
    "per_source_penalties": CONNECTIONS,
    "per_source_penalty_exempt_list": CONNECTIONS,
    "per_source_net_block_size": CONNECTIONS,
    "max_connection_rate_per_source": "new connections",
    "tcp_mux": CONNECTIONS,
    "tcp_mux_keepalive_interval": CONNECTIONS,
    "accept_proxy_protocol": "new connections",
    "tls_only": CONNECTIONS,
    "tls_cert_file": CONNECTIONS,
    "tls_key_file": CONNECTIONS,
    "tls_trusted_ca_file": CONNECTIONS,
    "allow_ports": PROXIES,
    "max_ports_per_client": PROXIES,
    "max_proxies_per_client": PROXIES,
    "users": "new logins and new proxies",
    "max_connections": VISITORS,
    "max_connections_per_client": VISITORS,
    "max_connections_per_proxy": VISITORS,
    "subdomain_host": PROXIES,
    "udp_packet_size": PROXIES,
    "udp_session_timeout": PROXIES,
    "udp_max_sessions": PROXIES,
    "proxy_bind_addr": "new proxies, and the ports of virtual hosts at once",
    "vhost_http_port": AT_ONCE,
    "vhost_https_port": AT_ONCE,
    "tcpmux_httpconnect_port": AT_ONCE,
    "kcp_bind_port": COMERS,
    "quic_bind_port": COMERS,
    "ssh_gateway_bind_port": AT_ONCE,
    "ssh_gateway_private_key_file": COMERS,
    "ssh_gateway_auto_gen_private_key_path": COMERS,
    "ssh_gateway_authorized_keys_file": COMERS,
    "quic_keepalive_period": COMERS,
    "quic_max_idle_timeout": COMERS,
    "quic_max_incoming_streams": COMERS,
    "tcpmux_passthrough": VISITORS,
    "vhost_http_timeout": VISITORS,
    "vhost_http_head_timeout": VISITORS,
    "vhost_http_body_timeout": VISITORS,
    "vhost_http_idle_timeout": VISITORS,
    "vhost_http_max_head_bytes": VISITORS,
    "vhost_http_max_headers": VISITORS,
    "vhost_https_hello_timeout": VISITORS,
    "custom_404_page": AT_ONCE,
    "nat_hole_analysis_data_reserve_hours": AT_ONCE,
    "detailed_errors_to_client": AT_ONCE,
    "plugins": AT_ONCE,
    "log_level": AT_ONCE,
    "log_max_days": AT_ONCE,
    "dashboard_user": AT_ONCE,
    "dashboard_pwd": AT_ONCE,
}
"""Attribute to whom a new value is for."""

RESTART: Final = frozenset(
    (
        "bind_addr",
        "bind_port",
        "bind_udp_port",
        "tcp_keepalive",
        "authentication_method",
        "oidc_issuer",
        "oidc_audience",
        "oidc_skip_expiry_check",
        "oidc_skip_issuer_check",
        "log_file",
        "log_format",
        "access_log",
        "statistics_file",
        "disable_log_color",
        "control_socket",
        "splice_pipe_bytes",
        "splice_budget_bytes",
        "window_budget_bytes",
        "shutdown_drain_seconds",
        "restart_hold_seconds",
        "dashboard_addr",
        "dashboard_port",
        "dashboard_tls_mode",
        "dashboard_tls_cert_file",
        "dashboard_tls_key_file",
        "enable_prometheus",
        "assets_dir",
        "pprof_enable",
    )
)
"""Attributes that keep what frps was started with."""

_KEYS: Final = {
    "heartbeat_timeout_set": "heartbeat_timeout",
    "plugins": "[plugin.*]",
    "users": "[user.*]",
}
"""How the file calls an attribute that is no key."""


class Comparison(NamedTuple):
    """What becomes of a server with another configuration; keys in the order of ServerConfig.

    Attributes:
        config: to run on from now on: what can change has changed.
        changed: keys that have.
        not_live: keys that differ, and keep what they were.
        unchanged: how many attributes are equal in both.
    """

    config: ServerConfig
    changed: tuple[str, ...]
    not_live: tuple[str, ...]
    unchanged: int


def compare(old: ServerConfig, new: ServerConfig) -> Comparison:
    """Return what leads from one configuration towards the other."""
    names = [field.name for field in fields(ServerConfig)]
    differ = [name for name in names if getattr(old, name) != getattr(new, name)]
    live = [name for name in differ if name in LIVE and not _follows(name, old, new)]
    values: dict[str, Any] = {name: getattr(new, name) for name in live}
    return Comparison(
        config=replace(old, **values),
        changed=_keys(live),
        not_live=_keys(name for name in differ if name not in live),
        unchanged=len(names) - len(differ),
    )


def strangers(config: ServerConfig, used: Mapping[int, str]) -> Iterator[str]:
    """Yield the proxies that hold ports which they would not get any more.

    Args:
        config: in force.
        used: port to proxy.
    """
    for port, name in used.items():
        if not config.allow_ports.allows(port):
            yield f"{name} ({port})"


def _follows(name: str, old: ServerConfig, new: ServerConfig) -> bool:
    """Whether the key only follows bind_addr, as it does by default: then it stays with it."""
    return name == "proxy_bind_addr" and all(
        config.proxy_bind_addr == config.bind_addr for config in (old, new)
    )


def _keys(names: Iterator[str] | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_KEYS.get(name, name) for name in names))
