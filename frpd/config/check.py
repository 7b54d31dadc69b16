"""Rules that span keys, and defaults that come from another key. Nothing else knows two keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from frpd.config.ini import Dialect
from frpd.config.secret import Secret
from frpd.config.upstream import UpstreamProxy, parse_upstream, upstream_from_environment
from frpd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frpd.config.reader import SectionReader

Values = dict[str, Any]

MAX_TOKEN_BYTES = 4096
"""Of token_file."""
NETWORKS = (
    "accept_proxy_protocol",
    "allow_cidrs",
    "deny_cidrs",
    "per_source_penalty_exempt_list",
)
MAX_PROXY_NETWORKS = 100
"""Of one list of a proxy: two of them go to frps in a message of 10 KiB."""
BY_DATAGRAMS = ("kcp", "quic")
"""What of ``protocol`` comes by no proxy; frp, too, dials past it."""


def check_server(values: Values, reader: SectionReader) -> None:
    """Complete [common] of frps."""
    _token_from_file(values, reader)
    for key in ("proxy_bind_addr", "dashboard_addr"):
        values[key] = values[key] or values["bind_addr"]
    if not values["dashboard_user"] and not values["dashboard_pwd"]:
        reader.warn("dashboard_user", "an open dashboard is not offered; using admin/admin")
        values["dashboard_user"], values["dashboard_pwd"] = "admin", Secret("admin")
    values["subdomain_host"] = values["subdomain_host"].strip().lower()
    _check_networks(values, reader, NETWORKS)
    values["heartbeat_timeout_set"] = reader.given("heartbeat_timeout")
    if values["vhost_http_timeout"] <= 0:
        values["vhost_http_timeout"] = 60
    if values["tls_trusted_ca_file"]:
        values["tls_only"] = True
    for key in ("bind_port", "vhost_http_port", "vhost_https_port"):
        if values["tcpmux_httpconnect_port"] and values["tcpmux_httpconnect_port"] == values[key]:
            message = f"{values[key]} is {key} as well; accepted: a port of its own"
            reader.error("tcpmux_httpconnect_port", message)
    _check_ssh_gateway(values, reader)
    _check_oidc(values, reader, ("oidc_issuer",))
    if values["authentication_method"] == "oidc" and not has_jwt():
        message = "oidc needs the library PyJWT (Debian: python3-jwt; pip: the extra oidc)"
        reader.error("authentication_method", message)
    if values["dashboard_tls_mode"]:
        for key in ("dashboard_tls_cert_file", "dashboard_tls_key_file"):
            if not values[key]:
                reader.error(key, "missing; dashboard_tls_mode needs the path of a file here")


def _check_ssh_gateway(values: Values, reader: SectionReader) -> None:
    key = "ssh_gateway_bind_port"
    if not values[key]:
        return
    for other in ("bind_port", "vhost_http_port", "vhost_https_port", "tcpmux_httpconnect_port"):
        if values[key] == values[other]:
            message = f"{values[key]} is {other} as well; accepted: a port of its own"
            reader.error(key, message)
    if not (values["token"] or values["ssh_gateway_authorized_keys_file"]):
        reader.warn(
            key,
            "everybody can expose services here: set token, or ssh_gateway_authorized_keys_file",
        )


def check_user(values: Values, reader: SectionReader) -> None:
    """Complete what [user.NAME] has as [common] does."""
    _token_from_file(values, reader)
    _check_networks(values, reader, ("allow_cidrs", "deny_cidrs"))


def _token_from_file(values: Values, reader: SectionReader) -> None:
    path = values["token_file"]
    if not path:
        return
    if reader.present("token"):
        reader.error("token_file", "token is set as well; accepted: one of the two")
        return
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_TOKEN_BYTES + 1)
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        reader.error("token_file", f"cannot read {path}: {what}")
        return
    text = data.decode("utf-8", "surrogateescape").strip()
    if not text or len(data) > MAX_TOKEN_BYTES:
        message = f"{path} has {len(data)} bytes; accepted: a token, {MAX_TOKEN_BYTES} at most"
        reader.error("token_file", message)
    values["token"] = Secret(text)


def has_jwt() -> bool:
    """Return whether tokens of OIDC providers can be checked."""
    from importlib.util import find_spec  # noqa: PLC0415 (few files ask for it)

    return find_spec("jwt") is not None


def _check_oidc(values: Values, reader: SectionReader, needed: tuple[str, ...]) -> None:
    if values["authentication_method"] != "oidc":
        return
    for key in needed:
        if not values[key]:
            reader.error(key, "missing; authentication_method = oidc needs it")


PLUGIN_OPS = ("Login", "NewProxy", "CloseProxy", "Ping", "NewWorkConn", "NewUserConn")


def check_server_plugin(values: Values, reader: SectionReader) -> None:
    """Check [plugin.NAME] of frps: that it can be asked, and is."""
    addr = values["addr"]
    asked = addr + values["path"]
    try:
        url = urlsplit(asked if asked.startswith(("http://", "https://")) else f"http://{asked}")
        is_usable = bool(url.hostname) and url.port != 0
    except ValueError:
        is_usable = False
    if addr and not is_usable:
        reader.error("addr", f"{addr!r} cannot be asked; accepted: host:port, or a URL of http(s)")
    strangers = [op for op in values["ops"] if op not in PLUGIN_OPS]
    if strangers:
        message = f"{', '.join(strangers)} is never asked; accepted: {', '.join(PLUGIN_OPS)}"
        reader.warn("ops", message)


def _check_networks(values: Values, reader: SectionReader, keys: tuple[str, ...]) -> None:
    """Check lists of networks; an address is a network of its own."""
    for key in keys:
        if not any(values[key]):
            values[key] = ()
        if not reader.present(key):
            continue
        import ipaddress  # noqa: PLC0415 (most files come without such keys)

        for item in values[key]:
            try:
                ipaddress.ip_network(item)
            except ValueError as error:
                message = f"{error}; accepted: networks and addresses such as 10.0.0.0/8, 192.0.2.5"
                reader.error(key, message)


def check_client(values: Values, reader: SectionReader, environ: Mapping[str, str]) -> None:
    """Complete [common] of frpc."""
    _token_from_file(values, reader)
    values["upstream"] = _upstream(values, reader, environ)
    _check_oidc(values, reader, ("oidc_client_id", "oidc_token_endpoint_url"))
    interval, timeout = values["heartbeat_interval"], values["heartbeat_timeout"]
    if reader.dialect is Dialect.OLD and interval <= 0:
        reader.error("heartbeat_interval", f"{interval} cannot be used; accepted: 1 or more")
    elif 0 < timeout < interval:
        message = f"{timeout} is below heartbeat_interval; accepted: {interval} or more"
        reader.error("heartbeat_timeout", message)


def _upstream(
    values: Values, reader: SectionReader, environ: Mapping[str, str]
) -> UpstreamProxy | None:
    """Return the proxy on the way to frps; an old frpc takes an empty key for none at all."""
    protocol = values["protocol"]
    if protocol in BY_DATAGRAMS:
        if values["http_proxy"]:
            message = f"not used with protocol = {protocol}: a proxy passes on TCP only"
            reader.warn("http_proxy", message)
        return None
    try:
        if values["http_proxy"]:
            return parse_upstream(values["http_proxy"].reveal())
        if reader.dialect is Dialect.OLD and reader.present("http_proxy"):
            return None
        return upstream_from_environment(environ, values["server_addr"], values["server_port"])
    except ConfigError as error:
        reader.error("http_proxy", str(error))
        return None


def check_proxy(values: Values, reader: SectionReader, proxy_type: str) -> None:
    """Rules for a proxy of any type, then those of its type."""
    _check_networks(values, reader, ("allow_cidrs", "deny_cidrs"))
    for key in ("allow_cidrs", "deny_cidrs"):
        if len(values[key]) > MAX_PROXY_NETWORKS:
            message = f"{len(values[key])} networks; accepted: {MAX_PROXY_NETWORKS} at most"
            reader.error(key, message)
    if not values["local_port"] and not values["plugin"]:
        what = "0 is no port" if reader.present("local_port") else "missing"
        reader.error("local_port", f"{what}; accepted: 1 to 65535, or a plugin that serves")
    if values["health_check_type"] == "http" and not values["health_check_url"]:
        reader.error("health_check_url", "missing; health_check_type = http needs a path here")
    if proxy_type in ("tcp", "udp"):
        _check_remote_port(reader)
    elif proxy_type in ("http", "https", "tcpmux"):
        _check_domains(values, reader)
    if proxy_type == "tcpmux" and not values["multiplexer"]:
        reader.error("multiplexer", "missing; accepted: httpconnect")


def _check_remote_port(reader: SectionReader) -> None:
    if reader.dialect is Dialect.OLD and not reader.present("remote_port"):
        reader.error("remote_port", "missing; accepted: a port, or 0 to let frps pick one")


def _check_domains(values: Values, reader: SectionReader) -> None:
    if not values["custom_domains"] and not values["subdomain"]:
        reader.error("custom_domains", "missing; custom_domains or subdomain must be set")


def check_visitor(values: Values, reader: SectionReader, visitor_type: str) -> None:
    """Rules for a visitor."""
    if not values["server_name"]:
        reader.error("server_name", "missing; it names the proxy to visit, without its user")
    port = values["bind_port"]
    if port == 0 or (port < 0 and (visitor_type == "sudp" or reader.dialect is Dialect.OLD)):
        what = f"{port} is no port" if reader.present("bind_port") else "missing"
        reader.error("bind_port", f"{what}; accepted: 1 to 65535")
