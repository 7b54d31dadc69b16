"""What frpc runs on: one frozen object with an attribute for each key of [common]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from frpd.config.params import NO_PARAMS, Params
from frpd.config.secret import NO_SECRET, Secret

if TYPE_CHECKING:
    from frpd.config.proxies import ProxyConfig
    from frpd.config.upstream import UpstreamProxy
from frpd.config.visitors import VisitorConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """[common] of frpc.ini. Attributes are named like the keys; fields.py says what they mean.

    `http_proxy` is already filled in from the environment; it is secret for its password.
    """

    server_addr: str = "0.0.0.0"  # noqa: S104
    server_port: int = 7000
    token: Secret = NO_SECRET
    token_file: str = ""
    user: str = ""
    start: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    login_fail_exit: bool = True
    pool_count: int = 1
    tcp_mux: bool = True
    tcp_mux_keepalive_interval: int = 30
    udp_packet_size: int = 1500
    udp_session_timeout: float = 60.0
    udp_max_sessions: int = 1024
    protocol: str = "tcp"
    dns_server: str = ""
    http_proxy: Secret = NO_SECRET
    upstream: UpstreamProxy | None = None  # that one, or what the environment names
    heartbeat_interval: int = 30
    heartbeat_timeout: int = 90
    log_file: str = "console"
    log_level: str = "info"
    log_max_days: int = 3
    log_format: str = "text"
    disable_log_color: bool = False
    native: str = "auto"
    control_socket: str = ""
    splice_pipe_bytes: int = 1048576
    splice_budget_bytes: int = 33554432
    window_budget_bytes: int = 67108864
    shutdown_drain_seconds: float = 0.4
    authentication_method: str = "token"
    authenticate_heartbeats: bool = False
    authenticate_new_work_conns: bool = False
    admin_addr: str = "127.0.0.1"
    admin_port: int = 0
    admin_user: str = ""
    admin_pwd: Secret = NO_SECRET
    assets_dir: str = ""
    pprof_enable: bool = False
    quic_keepalive_period: int = 10
    quic_max_idle_timeout: int = 30
    quic_max_incoming_streams: int = 100000
    dial_server_timeout: int = 10
    dial_server_keepalive: int = 7200
    connect_server_local_ip: str = ""
    tls_enable: bool = False
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_trusted_ca_file: str = ""
    tls_server_name: str = ""
    disable_custom_tls_first_byte: bool = False
    oidc_client_id: str = ""
    oidc_client_secret: Secret = NO_SECRET
    oidc_audience: str = ""
    oidc_token_endpoint_url: str = ""
    oidc_scope: str = ""
    oidc_additional: Params = NO_PARAMS
    metas: Params = NO_PARAMS
    nat_hole_stun_server: str = "stun.easyvoip.com:3478"

    @property
    def has_tls(self) -> bool:
        """Whether the way to the server is in TLS: by tls_enable, or as part of the carrier."""
        return self.tls_enable or self.protocol in ("wss", "quic")

    @property
    def shares_connection(self) -> bool:
        """Whether all streams share one connection: by tcp_mux, or as QUIC always does."""
        return self.tcp_mux or self.protocol == "quic"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSetup:
    """All of frpc.ini and its includes: [common], and the started sections in file order."""

    common: ClientConfig
    proxies: tuple[ProxyConfig, ...] = ()
    visitors: tuple[VisitorConfig, ...] = ()
