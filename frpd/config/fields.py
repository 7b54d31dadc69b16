"""THE table of configuration keys: one row, one key. Everything else is derived from it.

Parsing, defaults, checks of single values, unknown-key hints, the shipped sample files and the
reference page all read these rows; a test holds the dataclasses against them. A new key is a new
row here and an attribute there. Above 500 lines because it is a table; the code is in kinds.py
and reader.py.

Columns: key, kind, default, first frp version (SEED: 0.21 or older, OWN: not in frp), sentence.
"""

from __future__ import annotations

from typing import Final

from frpd.config.kinds import NO_LIMIT, OWN, SEED, Field, Kind, State
from frpd.config.params import NO_PARAMS
from frpd.config.penalties import NET_BLOCKS, PENALTIES
from frpd.config.ports import NO_PORTS
from frpd.config.secret import NO_SECRET, Secret

STR, ADDR, SECRET, BOOL, INT, FLOAT = (
    Kind.STR, Kind.ADDR, Kind.SECRET, Kind.BOOL, Kind.INT, Kind.FLOAT,
)  # fmt: skip
PORT, LIST, DOMAINS, PORTS, BANDWIDTH, MAP = (
    Kind.PORT, Kind.LIST, Kind.DOMAINS, Kind.PORTS, Kind.BANDWIDTH, Kind.MAP,
)  # fmt: skip
IGNORED, FOREIGN = State.IGNORED, State.FOREIGN
_NO_GO = "frpd is no Go program and has no such profiles"

Rows = tuple[Field, ...]

# fmt: off
_LOG: Rows = (
    Field("log_file", STR, "console", SEED,
          "Where the log goes: console, or the path of a file.", sample="/var/log/frpd/frp.log"),
    Field("log_level", STR, "info", SEED, "The least serious lines that are logged.",
          choices=("trace", "debug", "info", "warn", "error"), fallback="warn"),
    Field("log_max_days", INT, 3, SEED, "Days to keep rotated log files."),
    Field("log_format", STR, "text", OWN, "Form of all lines of the logs: text as in frp, or json.",
          choices=("text", "json")),
    Field("disable_log_color", BOOL, False, "0.29", "Log to the console without colours."),
)

_OWN: Rows = (
    Field("native", STR, "auto", OWN,
          "Whether two frpd ends speak their better protocol: auto, off (behave as a Go end), or"
          " require, which refuses every session that is not sealed and needs a token.",
          choices=("auto", "off", "require")),
    Field("control_socket", STR, "", OWN,
          "Unix socket of the admin API, for frpd-ctl: a path, or off.",
          default_note="/run/frpd/NAME.sock for NAME.ini, where that folder is ours to write to",
          sample="/run/frpd/frp.sock"),
    Field("splice_pipe_bytes", INT, 1048576, OWN,
          "Size of the pipes that bulk payload passes through inside the kernel.",
          low=65536, high=1048576),
    Field("splice_budget_bytes", INT, 33554432, OWN,
          "Memory for all such pipes together; 0 copies everything.", low=0),
    Field("window_budget_bytes", INT, 67108864, OWN,
          "What peers may send ahead on all streams together, beyond the first 256 KiB of each;"
          " 0 keeps every window at that.", low=0),
)

_UDP: Rows = (
    Field("udp_packet_size", INT, 1500, "0.34",
          "Largest UDP datagram exchanged with a Go end; must be equal on both.",
          low=1, high=65507),
    Field("udp_session_timeout", FLOAT, 60.0, OWN,
          "Seconds without a datagram after which a UDP visitor is forgotten.",
          low=1, high=86400),
    Field("udp_max_sessions", INT, 1024, OWN,
          "How many UDP visitors one proxy serves at a time; the one silent longest gives way.",
          low=1, high=1_000_000),
)

_QUIC: Rows = (
    Field("quic_keepalive_period", INT, 10, "0.46", "Seconds between QUIC keep-alives; 0 is never.",
          low=0),
    Field("quic_max_idle_timeout", INT, 30, "0.46",
          "Seconds after which a silent QUIC connection is given up.", low=0),
    Field("quic_max_incoming_streams", INT, 100000, "0.46",
          "How many QUIC streams a peer may have open.", low=0),
)

_AUTH: Rows = (
    Field("authentication_method", STR, "token", "0.32",
          "How the two ends recognise each other: by `token`, or by tokens of an OIDC provider.",
          choices=("token", "oidc")),
    Field("authenticate_heartbeats", BOOL, False, "0.32",
          "Demand (frps) or send (frpc) the credential in each ping too."),
    Field("authenticate_new_work_conns", BOOL, False, "0.32",
          "Demand (frps) or send (frpc) the credential on each work connection too."),
)

_MUX: Rows = (
    Field("tcp_mux", BOOL, True, SEED,
          "Carry everything over one connection per client; must be equal on both ends."),
    Field("tcp_mux_keepalive_interval", INT, 30, "0.39",
          "Seconds between keep-alives inside the shared connection."),
    *_UDP,
)

SERVER: Rows = (
    Field("bind_addr", ADDR, "0.0.0.0", SEED, "Address that frpc connects to."),  # noqa: S104
    Field("bind_port", PORT, 7000, SEED, "Port that frpc connects to."),
    Field("proxy_bind_addr", ADDR, "", SEED, "Address of all ports that visitors connect to.",
          default_note="bind_addr", sample="0.0.0.0"),  # noqa: S104
    Field("accept_proxy_protocol", LIST, (), OWN,
          "Networks of balancers whose connections begin with a PROXY protocol header, on all TCP"
          " ports but the dashboard's; what it says is where they come from.",
          sample="10.0.0.5, 192.0.2.0/28"),
    Field("token", SECRET, NO_SECRET, SEED,
          "Shared secret; a client with another one is refused.", sample="change-me"),
    Field("token_file", STR, "", OWN,
          "File that has the token alone, in place of `token`; read at start and at a reload.",
          sample="/etc/frp/token"),
    Field("authentication_timeout", INT, 900, SEED,
          "Refuse a login whose time stamp is older than this many seconds; 0 is off.",
          until="0.22"),
    *_AUTH,
    Field("users_only", BOOL, False, OWN,
          "Refuse clients whose user has no section [user.NAME]."),
    Field("allow_ports", PORTS, NO_PORTS, SEED,
          "Ports that tcp and udp proxies may take, also the pool for remote_port = 0.",
          default_note="all", sample="6000-6999,20022"),
    Field("max_ports_per_client", INT, 0, SEED,
          "How many ports one client may take; 0 is no limit.", low=0),
    Field("max_proxies_per_client", INT, 10000, OWN,
          "How many proxies one client may have; 0 is no limit.", low=0),
    Field("max_connections", INT, 0, OWN,
          "How many visitors may be connected at a time; 0 is as many as open files allow.",
          low=0),
    Field("max_connections_per_client", INT, 0, OWN,
          "How many of them one client may serve; 0 is no limit.", low=0),
    Field("max_connections_per_proxy", INT, 0, OWN,
          "How many visitors one proxy may have at a time; 0 is no limit.", low=0),
    Field("max_pool_count", INT, 5, SEED,
          "Upper limit for the pool_count that a client asks for.", low=0),
    *_MUX,
    Field("heartbeat_timeout", INT, 90, SEED,
          "Drop a client that sent no ping for this many seconds; negative is never. With tcp_mux"
          " it is enforced only when the key is set."),
    Field("user_conn_timeout", INT, 10, "0.36",
          "Seconds that a visitor waits for a work connection.", low=1),
    Field("detailed_errors_to_client", BOOL, True, "0.32",
          "Tell a client why its proxy was refused, not only that it was."),
    *_LOG,
    Field("access_log", STR, "off", OWN,
          "Where a line for each finished connection and http request goes: off, log (among the"
          " others), or the path of a file.", sample="/var/log/frpd/access.log"),
    Field("statistics_file", STR, "", OWN,
          "Where daily traffic of proxies outlives a restart: the path of a SQLite file, or off.",
          default_note="NAME.sqlite for NAME.ini in systemd's state folder or /var/lib/frpd, where"
          " that is ours to write to", sample="/var/lib/frpd/frps.sqlite"),
    Field("login_timeout_seconds", FLOAT, 10.0, OWN,
          "A connection that has not logged in after this many seconds is closed.",
          low=0.1, high=3600),
    Field("max_pending_connections", INT, 1024, OWN,
          "How many connections may be waiting for their login, from all addresses together.",
          low=1, high=1_000_000),
    Field("max_pending_per_source", INT, 256, OWN,
          "How many connections of one source may be waiting for their login.",
          low=1, high=1_000_000),
    Field("allow_cidrs", LIST, (), OWN, "Networks that clients may come from; empty is all.",
          sample="192.0.2.0/24, 2001:db8::/32"),
    Field("deny_cidrs", LIST, (), OWN,
          "Networks that clients may not come from, even where allow_cidrs has them.",
          sample="203.0.113.0/24"),
    Field("per_source_penalties", Kind.PENALTIES, PENALTIES, OWN,
          "For how many seconds clients are refused by what came from their source before, as with"
          " sshd: each offence adds to the penalty, which is enforced from `min` on; off holds"
          " nothing against anyone.", sample="authfail:30 max:1h"),
    Field("per_source_penalty_exempt_list", LIST, ("127.0.0.0/8", "::1/128"), OWN,
          "Networks that are never penalised, nor held to max_connection_rate_per_source."),
    Field("per_source_net_block_size", Kind.NET_BLOCKS, NET_BLOCKS, OWN,
          "How many bits of an address, of IPv4 and of IPv6, make a source.", sample="24:56"),
    Field("max_connection_rate_per_source", FLOAT, 0.0, OWN,
          "How many new connections a second of one source are taken, on all TCP ports of clients"
          " and visitors together; 0 is no limit.", low=0, high=1_000_000, sample="50"),
    *_OWN,
    Field("shutdown_drain_seconds", FLOAT, 0.4, OWN,
          "On SIGTERM, how long visitors' connections may go on before they are cut.",
          low=0, high=86400),
    Field("restart_hold_seconds", FLOAT, 60.0, OWN,
          "How long ports that systemd kept through a restart wait for their proxies.",
          low=0, high=86400),
    Field("kcp_bind_port", PORT, 0, SEED,
          "UDP port for clients with protocol = kcp; 0 is off; may have the number of bind_port.",
          sample="7000"),
    Field("quic_bind_port", PORT, 0, "0.46",
          "UDP port for clients with protocol = quic; 0 is off; may have the number of bind_port.",
          sample="7001"),
    *_QUIC,
    Field("bind_udp_port", PORT, 0, SEED,
          "UDP port by which xtcp clients up to 0.48 find each other; 0 is off.",
          until="0.48", sample="7002"),
    Field("ssh_gateway_bind_port", PORT, 0, OWN,
          "Port at which `ssh -R` is a client of frps; 0 is off. It needs the library asyncssh.",
          sample="2200"),
    Field("ssh_gateway_private_key_file", STR, "", OWN,
          "Host key of the SSH gateway.", sample="/etc/frp/ssh_host_key"),
    Field("ssh_gateway_auto_gen_private_key_path", STR, "", OWN,
          "Where a host key is made, and kept, when ssh_gateway_private_key_file is not set.",
          default_note=".autogen_ssh_key in systemd's state folder, else where frps is started",
          sample="/var/lib/frpd/ssh_host_key"),
    Field("ssh_gateway_authorized_keys_file", STR, "", OWN,
          "Whose keys the SSH gateway lets in, without a token; without the key everybody comes"
          " in who has the token.", sample="/etc/frp/authorized_keys"),
    Field("nat_hole_analysis_data_reserve_hours", INT, 168, "0.49",
          "How long it is remembered which way to punch holes has worked.", low=0),
    Field("vhost_http_port", PORT, 0, SEED, "Port of all http proxies; 0 is off.", sample="80"),
    Field("vhost_https_port", PORT, 0, SEED, "Port of all https proxies; 0 is off.", sample="443"),
    Field("vhost_http_timeout", INT, 60, SEED,
          "Seconds to wait for the answer of a local web service."),
    Field("vhost_http_head_timeout", FLOAT, 20.0, OWN,
          "Seconds that a visitor may take to send the head of a request.", low=0.1, high=3600),
    Field("vhost_http_body_timeout", FLOAT, 60.0, OWN,
          "Seconds that a visitor may pause within the body of a request.", low=0.1, high=86400),
    Field("vhost_http_idle_timeout", FLOAT, 75.0, OWN,
          "Seconds that a visitor's connection may wait for its next request.",
          low=0.1, high=86400),
    Field("vhost_http_max_head_bytes", INT, 32768, OWN,
          "Largest head of a request or an answer.", low=1024, high=1048576),
    Field("vhost_http_max_headers", INT, 100, OWN,
          "Most header fields of a request or an answer.", low=10, high=10000),
    Field("vhost_https_hello_timeout", FLOAT, 30.0, OWN,
          "Seconds that a visitor may take to say by TLS which host it wants.",
          low=0.1, high=3600),
    Field("subdomain_host", STR, "", SEED, "Domain under which proxies get their `subdomain`.",
          sample="frps.example.com"),
    Field("custom_404_page", STR, "", "0.27", "File to show instead of the built-in 404 page.",
          sample="/etc/frp/404.html"),
    Field("tcpmux_httpconnect_port", PORT, 0, "0.32",
          "Port for tcpmux proxies (HTTP CONNECT); 0 is off.", sample="1337"),
    Field("tcpmux_passthrough", BOOL, False, "0.43",
          "Hand the CONNECT request on to the local service."),
    Field("dashboard_addr", ADDR, "", SEED, "Address of the dashboard.",
          default_note="bind_addr", sample="127.0.0.1"),
    Field("dashboard_port", PORT, 0, SEED, "Port of the dashboard and its API; 0 is off.",
          sample="7500"),
    Field("dashboard_user", STR, "admin", SEED, "User name for the dashboard."),
    Field("dashboard_pwd", SECRET, Secret("admin"), SEED, "Password for the dashboard; as long as"
          " it is admin only this machine is answered.", sample="change-me"),
    Field("dashboard_tls_mode", BOOL, False, "0.44", "Serve the dashboard by HTTPS."),
    Field("dashboard_tls_cert_file", STR, "", "0.44", "Certificate of the dashboard.",
          sample="/etc/frp/dashboard.crt"),
    Field("dashboard_tls_key_file", STR, "", "0.44", "Private key of the dashboard.",
          sample="/etc/frp/dashboard.key"),
    Field("enable_prometheus", BOOL, False, "0.32", "Serve /metrics on the dashboard's port."),
    Field("assets_dir", STR, "", SEED, "Folder with other static files for the dashboard.",
          sample="/usr/share/frp/static"),
    Field("pprof_enable", BOOL, False, "0.41", "Serve Go's profiles on the dashboard's port.",
          state=FOREIGN, note=_NO_GO),
    Field("tls_only", BOOL, False, "0.32", "Refuse clients that do not use TLS."),
    Field("tls_cert_file", STR, "", "0.34", "Certificate for clients that use TLS.",
          sample="/etc/frp/server.crt"),
    Field("tls_key_file", STR, "", "0.34", "Private key for clients that use TLS.",
          sample="/etc/frp/server.key"),
    Field("tls_trusted_ca_file", STR, "", "0.34",
          "Demand a client certificate signed by one of these authorities.",
          sample="/etc/frp/ca.crt"),
    Field("tcp_keepalive", INT, 7200, "0.41",
          "Seconds of silence before TCP itself probes a client; negative is off."),
    Field("oidc_issuer", STR, "", "0.32", "Address of the OIDC provider.",
          sample="https://id.example.com/"),
    Field("oidc_audience", STR, "", "0.32", "Audience that a client's OIDC token must name.",
          sample="frp"),
    Field("oidc_skip_expiry_check", BOOL, False, "0.32", "Accept OIDC tokens that have expired."),
    Field("oidc_skip_issuer_check", BOOL, False, "0.32", "Accept OIDC tokens of any issuer."),
    Field("log_way", STR, "", SEED, "Leftover: log_file alone decides.", until="0.51",
          state=IGNORED),
    Field("privilege_mode", STR, "", SEED, "Leftover of frp 0.1x.", until="0.16", state=IGNORED),
    Field("privilege_token", SECRET, NO_SECRET, SEED, "Leftover of frp 0.1x.", until="0.16",
          state=IGNORED),
    Field("privilege_allow_ports", STR, "", SEED, "Leftover of frp 0.1x.", until="0.16",
          state=IGNORED),
)

SERVER_PLUGIN: Rows = (
    Field("addr", STR, "", "0.31", "Address of the hook: host:port, or a URL.", required=True,
          sample="127.0.0.1:9000"),
    Field("path", STR, "", "0.31", "Path to post to.", sample="/handler"),
    Field("ops", LIST, (), "0.31",
          "Operations it is asked about: Login, NewProxy, CloseProxy, Ping, NewWorkConn,"
          " NewUserConn.", sample="Login,NewProxy"),
    Field("tls_verify", BOOL, False, "0.35", "Check the certificate of an https hook."),
    Field("tlsVerify", BOOL, False, "0.52", "The same, under the name that frp gave it later.",
          attr="tls_verify"),
)

USER: Rows = (
    Field("token", SECRET, NO_SECRET, OWN,
          "Secret of this user alone, which its frpc have as token in place of that of [common];"
          " without one that of [common] counts.", sample="change-me-too"),
    Field("token_file", STR, "", OWN,
          "File that has the token alone, in place of `token`; read at start and at a reload.",
          sample="/etc/frp/token-of-name"),
    Field("allow_ports", PORTS, NO_PORTS, OWN,
          "Ports that its proxies may take, of those that [common] allows.",
          default_note="all of them", sample="6000-6099"),
    Field("max_ports_per_client", INT, 0, OWN,
          "How many ports one of its clients may take; 0 leaves it at that of [common].", low=0),
    Field("allow_domains", DOMAINS, (), OWN,
          "Domains that are its own and nobody else's; `*.x` is x and all below it. Without the key"
          " it may have what belongs to nobody.", sample="*.name.example.com,www.example.org"),
    Field("allow_names", LIST, (), OWN,
          "Names of proxies that are its own and nobody else's, as frps sees them; * is any text.",
          default_note="`NAME.*`, which frpc makes of them", sample="NAME.*"),
    Field("allow_cidrs", LIST, (), OWN, "Networks that its clients may come from; empty is all.",
          sample="192.0.2.0/24"),
    Field("deny_cidrs", LIST, (), OWN,
          "Networks that they may not come from, even where allow_cidrs has them.",
          sample="192.0.2.128/25"),
    Field("max_clients", INT, 0, OWN, "How many may be there at a time; 0 is no limit.", low=0),
    Field("max_proxies", INT, 0, OWN, "How many proxies all of them may have; 0 is no limit.",
          low=0),
    Field("max_connections", INT, 0, OWN,
          "How many visitors all of them may serve at a time; 0 is no limit.", low=0),
)

CLIENT: Rows = (
    Field("server_addr", ADDR, "0.0.0.0", SEED,  # noqa: S104
          "Host name or address of frps.", sample="frps.example.com"),
    Field("server_port", PORT, 7000, SEED, "Its bind_port.", low=1),
    Field("token", SECRET, NO_SECRET, SEED, "Shared secret, the same as in frps.ini.",
          sample="change-me"),
    Field("token_file", STR, "", OWN,
          "File that has the token alone, in place of `token`; read at start and at a reload.",
          sample="/etc/frp/token"),
    Field("user", STR, "", SEED, "Put before the names of all proxies as `user.name`.",
          sample="alice"),
    Field("start", LIST, (), SEED, "Sections to load, by name; empty is all of them.",
          sample="ssh,web"),
    Field("includes", LIST, (), "0.37", "More files with proxies: paths whose last part may be a"
          " pattern.", sample="/etc/frp/conf.d/*.ini"),
    Field("login_fail_exit", BOOL, True, SEED,
          "End when the first login fails, instead of trying again."),
    Field("pool_count", INT, 1, SEED, "Work connections kept ready at frps.", low=0),
    *_MUX,
    Field("protocol", STR, "tcp", SEED,
          "What carries the connection to frps; quic needs the library aioquic.",
          choices=("tcp", "kcp", "websocket", "quic", "wss"), guard=True),
    Field("dns_server", STR, "", SEED, "Name server to ask, as ip or ip:port.",
          default_note="the system's", sample="192.0.2.53"),
    Field("http_proxy", SECRET, NO_SECRET, SEED,
          "Proxy on the way to frps: http://user:password@host:port or socks5://host:port.",
          default_note="environment variable http_proxy",
          sample="http://proxy.example.com:3128"),
    Field("heartbeat_interval", INT, 30, SEED, "Seconds between pings; negative is never."),
    Field("heartbeat_timeout", INT, 90, SEED,
          "Reconnect when no pong came for this many seconds; not below heartbeat_interval."),
    *_LOG,
    *_OWN,
    Field("shutdown_drain_seconds", FLOAT, 0.4, OWN,
          "On SIGTERM, how long visitors' connections may go on before they are cut.",
          low=0, high=86400),
    *_AUTH,
    Field("admin_addr", ADDR, "127.0.0.1", SEED, "Address of the admin API."),
    Field("admin_port", PORT, 0, SEED, "Port of the admin API; 0 is off.", sample="7400"),
    Field("admin_user", STR, "", SEED, "User name for the admin API.", sample="admin"),
    Field("admin_pwd", SECRET, NO_SECRET, SEED, "Password for the admin API.", sample="change-me"),
    Field("assets_dir", STR, "", "0.29", "Folder with other static files for the dashboard.",
          sample="/usr/share/frp/static"),
    Field("pprof_enable", BOOL, False, "0.41", "Serve Go's profiles on the admin port.",
          state=FOREIGN, note=_NO_GO),
    *_QUIC,
    Field("dial_server_timeout", INT, 10, "0.40", "Seconds to wait for a connection to frps.",
          low=1),
    Field("dial_server_keepalive", INT, 7200, "0.41",
          "Seconds of silence before TCP itself probes frps; negative is off."),
    Field("connect_server_local_ip", ADDR, "", "0.39", "Address to connect to frps from.",
          sample="192.0.2.9"),
    Field("tls_enable", BOOL, False, "0.25", "Use TLS towards frps."),
    Field("tls_cert_file", STR, "", "0.34", "Certificate shown to frps.",
          sample="/etc/frp/client.crt"),
    Field("tls_key_file", STR, "", "0.34", "Its private key.",
          sample="/etc/frp/client.key"),
    Field("tls_trusted_ca_file", STR, "", "0.34",
          "Accept only an frps whose certificate one of these authorities signed.",
          sample="/etc/frp/ca.crt"),
    Field("tls_server_name", STR, "", "0.36", "Name that frps' certificate must have.",
          default_note="server_addr", sample="frps.example.com"),
    Field("disable_custom_tls_first_byte", BOOL, False, "0.38",
          "Leave out the byte that tells frps that TLS follows."),
    Field("oidc_client_id", STR, "", "0.32", "Client id at the OIDC provider.",
          sample="frpc"),
    Field("oidc_client_secret", SECRET, NO_SECRET, "0.32", "Its secret.",
          sample="change-me"),
    Field("oidc_audience", STR, "", "0.32", "Audience to ask a token for.",
          sample="frp"),
    Field("oidc_token_endpoint_url", STR, "", "0.32", "Where to get tokens.",
          sample="https://id.example.com/token"),
    Field("oidc_scope", STR, "", "0.46", "Scope to ask for.", sample="frp"),
    Field("oidc_additional_", MAP, NO_PARAMS, "0.40", "Further fields of the token request.",
          attr="oidc_additional", sample="resource = frp"),
    Field("meta_", MAP, NO_PARAMS, "0.31", "Free-form facts about the client, for server plugins.",
          attr="metas", sample="site = berlin"),
    Field("nat_hole_stun_server", STR, "stun.easyvoip.com:3478", "0.49",
          "STUN server that xtcp asks for its outer address; it needs two addresses of its own."),
    Field("log_way", STR, "", SEED, "Leftover: log_file alone decides.", until="0.51",
          state=IGNORED),
    Field("admin_passwd", SECRET, NO_SECRET, SEED, "Never read by any frp.", state=IGNORED,
          note="no frp version reads this key; the password's key is admin_pwd"),
    Field("privilege_mode", STR, "", SEED, "Leftover of frp 0.1x.", until="0.16", state=IGNORED),
    Field("privilege_token", SECRET, NO_SECRET, SEED, "Leftover of frp 0.1x.", until="0.16",
          state=IGNORED),
)

_CARRIED: Rows = (
    Field("use_encryption", BOOL, False, SEED, "Encrypt what travels between frpc and frps."),
    Field("use_compression", BOOL, False, SEED, "Compress what travels between frpc and frps."),
)

PROXY: Rows = (
    Field("type", STR, "tcp", SEED, "Kind of proxy.",
          choices=("tcp", "udp", "http", "https", "stcp", "xtcp", "tcpmux", "sudp"),
          attr="proxy_type"),
    Field("local_ip", ADDR, "127.0.0.1", SEED, "Address of the local service."),
    Field("local_port", PORT, 0, SEED, "Port of the local service; needed unless a plugin serves.",
          default_note="required", sample="22"),
    *_CARRIED,
    Field("group", STR, "", SEED, "Proxies of one group share the load of one port or domain.",
          sample="web"),
    Field("group_key", SECRET, NO_SECRET, SEED, "Secret that members of the group share.",
          sample="change-me"),
    Field("group_strategy", STR, "round_robin", OWN,
          "How an frpd server chooses among the group's members; the first member's word counts.",
          choices=("round_robin", "least_connections", "source_hash")),
    Field("plugin", STR, "", SEED, "A service built into frpc, instead of a local one.",
          sample="unix_domain_socket"),
    Field("plugin_", MAP, NO_PARAMS, SEED, "Settings of the plugin.", attr="plugin_params",
          sample="unix_path = /run/app.sock", keep_prefix=True),
    Field("health_check_type", STR, "", "0.22", "Withdraw the proxy while the service is ill.",
          choices=("tcp", "http"), sample="tcp"),
    Field("health_check_url", STR, "", "0.22", "Path to get for health_check_type = http.",
          sample="/status"),
    Field("health_check_interval_s", INT, 10, "0.22", "Seconds between checks."),
    Field("health_check_timeout_s", INT, 3, "0.22", "Seconds to wait for a check's answer.",
          ),
    Field("health_check_max_failed", INT, 1, "0.22", "Failed checks before it counts as ill.",
          ),
    Field("proxy_protocol_version", STR, "", "0.26",
          "Tell the local service the visitor's address by a PROXY protocol header.",
          choices=("v1", "v2"), sample="v2"),
    Field("bandwidth_limit", BANDWIDTH, NO_LIMIT, "0.30",
          "Most that passes in a second, both directions and all visitors together.",
          sample="1MB"),
    Field("bandwidth_limit_mode", STR, "client", "0.47", "Which end keeps the limit.",
          choices=("client", "server")),
    Field("allow_cidrs", LIST, (), OWN,
          "Networks and addresses that visitors may come from; none is all.",
          sample="10.0.0.0/8, 192.0.2.5"),
    Field("deny_cidrs", LIST, (), OWN,
          "Networks and addresses that visitors may not come from.", sample="198.51.100.0/24"),
    Field("max_connections", INT, 0, OWN,
          "How many visitors may be connected at a time, for http how many requests under way; 0 is"
          " no limit.", low=0),
    Field("max_connection_rate", FLOAT, 0.0, OWN,
          "How many visitors, for http how many requests, may come in a second; 0 is no limit.",
          low=0, high=1_000_000),
    Field("meta_", MAP, NO_PARAMS, "0.31", "Free-form facts about the proxy, for server plugins.",
          attr="metas", sample="team = shop"),
    Field("role", STR, "server", SEED, "server, or visitor for the other end of stcp and xtcp.",
          choices=("server", "visitor"), attr="role"),
    Field("name", STR, "", "0.36", "Leftover: the section's name counts.", state=IGNORED),
    Field("prefix", STR, "", SEED, "Leftover of frp 0.20.", until="0.20", state=IGNORED),
)

_REMOTE_PORT = Field("remote_port", PORT, 0, SEED, "Port at frps; 0 lets frps pick one.",
                     sample="6000")
_DOMAINS: Rows = (
    Field("custom_domains", DOMAINS, (), SEED, "Domains of the proxy, *.example.com included.",
          sample="www.example.com"),
    Field("subdomain", STR, "", SEED, "Name under the server's subdomain_host.",
          sample="www"),
)
_HTTP_LOGIN: Rows = (
    Field("http_user", STR, "", SEED, "User name that visitors must give.",
          sample="guest"),
    Field("http_pwd", SECRET, NO_SECRET, SEED, "Password that visitors must give.",
          sample="change-me"),
    Field("route_by_http_user", STR, "", "0.43", "Take only requests of this HTTP user.",
          sample="alice"),
)
_SK = Field("sk", SECRET, NO_SECRET, SEED, "Secret that a visitor must know.",
            sample="change-me")
_PEER: Rows = (
    _SK,
    Field("allow_users", LIST, (), "0.50",
          "Users whose visitors may connect; * is everyone, empty is the same user only.",
          sample="bob"),
)

_ASSISTED = Field("disable_assisted_addrs", BOOL, False, "0.65",
                  "Tell nobody this machine's own addresses; ends in one network then miss each"
                  " other.")

PROXY_TYPES: Final[dict[str, Rows]] = {
    "tcp": (_REMOTE_PORT,),
    "udp": (_REMOTE_PORT,),
    "http": (
        *_DOMAINS,
        Field("locations", LIST, (), SEED, "Paths that the proxy serves; the longest match wins.",
              default_note="all", sample="/,/pic"),
        *_HTTP_LOGIN,
        Field("host_header_rewrite", STR, "", SEED, "Host header that the local service sees.",
              sample="dev.example.com"),
        Field("header_", MAP, NO_PARAMS, SEED, "Headers set in the request.", attr="headers",
              sample="X-From-Where = frp"),
        Field("response_header_", MAP, NO_PARAMS, OWN, "Headers set in the answer.",
              attr="response_headers", sample="X-Frame-Options = DENY"),
    ),
    "https": _DOMAINS,
    "stcp": _PEER,
    "xtcp": (*_PEER, _ASSISTED),
    "tcpmux": (
        Field("multiplexer", STR, "", "0.32", "How visitors name the domain.",
              choices=("httpconnect",), required=True, sample="httpconnect"),
        *_DOMAINS,
        *_HTTP_LOGIN,
    ),
    "sudp": _PEER,
}

VISITOR: Rows = (
    Field("type", STR, "", SEED, "Kind of proxy that is visited.", choices=("stcp", "xtcp", "sudp"),
          attr="visitor_type", default_note="required"),
    Field("role", STR, "visitor", SEED, "visitor", choices=("server", "visitor"), attr="role"),
    _SK,
    Field("server_name", STR, "", SEED, "Name of the visited proxy, without its user.",
          default_note="required", sample="secret_ssh"),
    Field("server_user", STR, "", "0.50", "User of the visited proxy.",
          default_note="own user", sample="alice"),
    Field("bind_addr", ADDR, "127.0.0.1", SEED, "Local address to listen on."),
    Field("bind_port", INT, 0, SEED,
          "Local port to listen on; negative (0.50) only serves as another visitor's fallback.",
          default_note="required", high=65535, low=-65535, sample="9000"),
    *_CARRIED,
    Field("max_connections", INT, 0, OWN,
          "How many users there may be at a time; 0 is no limit.", low=0),
    Field("name", STR, "", "0.36", "Leftover: the section's name counts.", state=IGNORED),
    Field("prefix", STR, "", SEED, "Leftover of frp 0.20.", until="0.20", state=IGNORED),
)

VISITOR_TYPES: Final[dict[str, Rows]] = {
    "stcp": (),
    "xtcp": (
        Field("protocol", STR, "quic", "0.49", "What carries the direct connection.",
              choices=("quic", "kcp")),
        Field("keep_tunnel_open", BOOL, False, "0.49", "Open the tunnel before it is needed."),
        Field("max_retries_an_hour", INT, 8, "0.49",
              "How often keep_tunnel_open tries anew within an hour.", low=1),
        Field("min_retry_interval", INT, 90, "0.49",
              "Seconds between two looks of keep_tunnel_open.", low=1),
        Field("fallback_to", STR, "", "0.50", "stcp visitor to use when there is no direct way.",
              sample="secret_ssh_visitor"),
        Field("fallback_timeout_ms", INT, 1000, "0.50",
              "Milliseconds to wait for a direct way before that.", low=0),
        _ASSISTED,
    ),
    "sudp": (),
}

_WEB_PLUGIN: Rows = (
    Field("plugin_local_addr", STR, "", "0.26", "host:port of the local service.",
          required=True, sample="127.0.0.1:8080"),
    Field("plugin_host_header_rewrite", STR, "", "0.26", "Host header that it sees.",
          sample="127.0.0.1"),
    Field("plugin_header_", MAP, NO_PARAMS, "0.29", "Headers set in the request.",
          sample="X-From-Where = frp"),
)
_TLS_END: Rows = (
    Field("plugin_crt_path", STR, "", "0.26", "Certificate; self-made when missing.",
          sample="/etc/frp/web.crt"),
    Field("plugin_key_path", STR, "", "0.26", "Its private key.", sample="/etc/frp/web.key"),
)

# The names with attr= are those of frp's newer formats, which have no ini key of their own.
_PLUGIN_LOGIN: Rows = (
    Field("plugin_http_user", STR, "", SEED, "User name to demand.", sample="guest"),
    Field("plugin_http_passwd", SECRET, NO_SECRET, SEED, "Password to demand.", sample="change-me"),
    Field("plugin_http_password", SECRET, NO_SECRET, OWN, "The same as plugin_http_passwd.",
          attr="plugin_http_passwd"),
)

PLUGINS: Final[dict[str, Rows]] = {
    "http_proxy": _PLUGIN_LOGIN,
    "socks5": (
        Field("plugin_user", STR, "", SEED, "User name to demand.", sample="guest"),
        Field("plugin_passwd", SECRET, NO_SECRET, SEED, "Password to demand.", sample="change-me"),
        Field("plugin_username", STR, "", OWN, "The same as plugin_user.", attr="plugin_user"),
        Field("plugin_password", SECRET, NO_SECRET, OWN, "The same as plugin_passwd.",
              attr="plugin_passwd"),
    ),
    "static_file": (
        Field("plugin_local_path", STR, "", SEED, "Folder to serve.", required=True,
              sample="/srv/www"),
        Field("plugin_strip_prefix", STR, "", SEED, "First part of all paths, as in /static/a.",
              sample="static"),
        *_PLUGIN_LOGIN,
    ),
    "unix_domain_socket": (
        Field("plugin_unix_path", STR, "", SEED, "Socket to connect to.", required=True,
              sample="/run/app.sock"),
    ),
    "https2http": (*_WEB_PLUGIN, *_TLS_END),
    "http2https": _WEB_PLUGIN,
    "https2https": (*_WEB_PLUGIN, *_TLS_END),
    "http2http": _WEB_PLUGIN,
    "tls2raw": (_WEB_PLUGIN[0], *_TLS_END),
}
PLUGIN_SINCE: Final[dict[str, str]] = {
    "http_proxy": SEED, "socks5": SEED, "static_file": SEED, "unix_domain_socket": SEED,
    "https2http": "0.26", "http2https": "0.31", "https2https": "0.36",
    "http2http": "0.59", "tls2raw": "0.60",
}
# fmt: on
