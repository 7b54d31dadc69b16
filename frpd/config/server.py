"""What frps runs on: one frozen object with an attribute for each key of [common]."""

from __future__ import annotations

from dataclasses import dataclass

from frpd.config.penalties import NET_BLOCKS, PENALTIES, NetBlockSize, PenaltyRules
from frpd.config.ports import NO_PORTS, PortSet
from frpd.config.secret import NO_SECRET, Secret
from frpd.config.users import UserConfig

ADMIN = Secret("admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPluginConfig:
    """A section [plugin.NAME]: a hook that is asked about operations."""

    name: str
    addr: str = ""
    path: str = ""
    ops: tuple[str, ...] = ()
    tls_verify: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """All of frps.ini. Attributes are named like the keys; what they mean stands in fields.py.

    `proxy_bind_addr` and `dashboard_addr` are already filled in from `bind_addr`.
    """

    bind_addr: str = "0.0.0.0"  # noqa: S104
    bind_port: int = 7000
    proxy_bind_addr: str = ""
    token: Secret = NO_SECRET
    token_file: str = ""
    authentication_timeout: int = 900
    authentication_method: str = "token"
    authenticate_heartbeats: bool = False
    authenticate_new_work_conns: bool = False
    accept_proxy_protocol: tuple[str, ...] = ()
    allow_ports: PortSet = NO_PORTS
    max_ports_per_client: int = 0
    max_proxies_per_client: int = 10000
    max_connections: int = 0
    max_connections_per_client: int = 0
    max_connections_per_proxy: int = 0
    max_pool_count: int = 5
    tcp_mux: bool = True
    tcp_mux_keepalive_interval: int = 30
    udp_packet_size: int = 1500
    udp_session_timeout: float = 60.0
    udp_max_sessions: int = 1024
    heartbeat_timeout: int = 90
    heartbeat_timeout_set: bool = False  # whether the file (or a flag) had the key
    user_conn_timeout: int = 10
    detailed_errors_to_client: bool = True
    log_file: str = "console"
    log_level: str = "info"
    log_max_days: int = 3
    log_format: str = "text"
    disable_log_color: bool = False
    access_log: str = "off"
    statistics_file: str = ""
    login_timeout_seconds: float = 10.0
    max_pending_connections: int = 1024
    max_pending_per_source: int = 256
    allow_cidrs: tuple[str, ...] = ()
    deny_cidrs: tuple[str, ...] = ()
    per_source_penalties: PenaltyRules = PENALTIES
    per_source_penalty_exempt_list: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    per_source_net_block_size: NetBlockSize = NET_BLOCKS
    max_connection_rate_per_source: float = 0.0
    native: str = "auto"
    control_socket: str = ""
    splice_pipe_bytes: int = 1048576
    splice_budget_bytes: int = 33554432
    window_budget_bytes: int = 67108864
    shutdown_drain_seconds: float = 0.4
    restart_hold_seconds: float = 60.0
    kcp_bind_port: int = 0
    quic_bind_port: int = 0
    quic_keepalive_period: int = 10
    quic_max_idle_timeout: int = 30
    quic_max_incoming_streams: int = 100000
    bind_udp_port: int = 0
    ssh_gateway_bind_port: int = 0
    ssh_gateway_private_key_file: str = ""
    ssh_gateway_auto_gen_private_key_path: str = ""
    ssh_gateway_authorized_keys_file: str = ""
    nat_hole_analysis_data_reserve_hours: int = 168
    vhost_http_port: int = 0
    vhost_https_port: int = 0
    vhost_http_timeout: int = 60
    vhost_http_head_timeout: float = 20.0
    vhost_http_body_timeout: float = 60.0
    vhost_http_idle_timeout: float = 75.0
    vhost_http_max_head_bytes: int = 32768
    vhost_http_max_headers: int = 100
    vhost_https_hello_timeout: float = 30.0
    subdomain_host: str = ""
    custom_404_page: str = ""
    tcpmux_httpconnect_port: int = 0
    tcpmux_passthrough: bool = False
    dashboard_addr: str = ""
    dashboard_port: int = 0
    dashboard_user: str = "admin"
    dashboard_pwd: Secret = ADMIN
    dashboard_tls_mode: bool = False
    dashboard_tls_cert_file: str = ""
    dashboard_tls_key_file: str = ""
    enable_prometheus: bool = False
    assets_dir: str = ""
    pprof_enable: bool = False
    tls_only: bool = False
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_trusted_ca_file: str = ""
    tcp_keepalive: int = 7200
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_skip_expiry_check: bool = False
    oidc_skip_issuer_check: bool = False
    users_only: bool = False
    plugins: tuple[ServerPluginConfig, ...] = ()
    users: tuple[UserConfig, ...] = ()

    @property
    def enforced_heartbeat_seconds(self) -> int | None:
        """How long a client may be silent; None when heartbeats are not enforced.

        Under tcp_mux newer frpc send no pings, so only a key that was set counts there.
        """
        if self.heartbeat_timeout <= 0 or (self.tcp_mux and not self.heartbeat_timeout_set):
            return None
        return self.heartbeat_timeout
