"""JSON objects of frps' dashboard, in frp's names: of 0.20 to 0.51, and of 0.52 on beside them."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Final

from frpd import __version__
from frpd.admin.both import socket_object, speaks, tcp_figures, weaknesses
from frpd.config.server import ServerConfig
from frpd.proto.message.types import EMULATED_VERSION
from frpd.server.snapshot import (
    ClientSnapshot,
    Connection,
    ProxySettings,
    ProxySnapshot,
    ServerSnapshot,
)

Object = dict[str, object]

TYPES: Final = ("tcp", "udp", "http", "https", "tcpmux", "stcp", "sudp", "xtcp")


def server_info(config: ServerConfig, snapshot: ServerSnapshot) -> Object:
    """Return what ``/api/serverinfo`` answers."""
    return {
        "version": EMULATED_VERSION,
        "frpd_version": __version__,
        **_settings_in_old_names(config),
        **_settings_in_new_names(config),
        **_totals(snapshot),
    }


def _settings_in_old_names(config: ServerConfig) -> Object:
    return {
        "bind_port": config.bind_port,
        "bind_udp_port": config.bind_udp_port,
        "vhost_http_port": config.vhost_http_port,
        "vhost_https_port": config.vhost_https_port,
        "tcpmux_httpconnect_port": config.tcpmux_httpconnect_port,
        "kcp_bind_port": config.kcp_bind_port,
        "quic_bind_port": config.quic_bind_port,
        "auth_timeout": config.authentication_timeout,
        "subdomain_host": config.subdomain_host,
        "max_pool_count": config.max_pool_count,
        "max_ports_per_client": config.max_ports_per_client,
        "heart_beat_timeout": config.heartbeat_timeout,
        "allow_ports_str": str(config.allow_ports),
        "tls_only": config.tls_only,
    }


def _settings_in_new_names(config: ServerConfig) -> Object:
    return {
        "bindPort": config.bind_port,
        "vhostHTTPPort": config.vhost_http_port,
        "vhostHTTPSPort": config.vhost_https_port,
        "tcpmuxHTTPConnectPort": config.tcpmux_httpconnect_port,
        "kcpBindPort": config.kcp_bind_port,
        "quicBindPort": config.quic_bind_port,
        "subdomainHost": config.subdomain_host,
        "maxPoolCount": config.max_pool_count,
        "maxPortsPerClient": config.max_ports_per_client,
        "heartbeatTimeout": config.heartbeat_timeout,
        "allowPortsStr": str(config.allow_ports),
        "tlsForce": config.tls_only,
    }


def new_settings(config: ServerConfig) -> Object:
    """Return the settings in the names of frp 0.52 and later."""
    return _settings_in_new_names(config)


def _totals(snapshot: ServerSnapshot) -> Object:
    old: Object = {
        "total_traffic_in": snapshot.total_in[0],
        "total_traffic_out": snapshot.total_out[0],
        "cur_conns": snapshot.connections_open,
        "client_counts": snapshot.clients_online,
        "proxy_type_count": snapshot.count_by_type(),
    }
    return {**old, **new_totals(snapshot)}


def new_totals(snapshot: ServerSnapshot) -> Object:
    """Return the totals in the names of frp 0.52 and later."""
    return {
        "totalTrafficIn": snapshot.total_in[0],
        "totalTrafficOut": snapshot.total_out[0],
        "curConns": snapshot.connections_open,
        "clientCounts": snapshot.clients_online,
        "proxyTypeCount": snapshot.count_by_type(),
    }


def proxy_row(proxy: ProxySnapshot) -> Object:
    """Return one proxy of a list."""
    figures = proxy.figures
    started, closed = frp_time(figures.started_at), frp_time(figures.closed_at)
    return {
        "name": figures.name,
        "conf": proxy_conf(proxy),
        "today_traffic_in": figures.traffic_in[0],
        "today_traffic_out": figures.traffic_out[0],
        "cur_conns": figures.connections_open,
        "last_start_time": started,
        "last_close_time": closed,
        "status": "online" if figures.is_online else "offline",
        "user": proxy.user,
        "todayTrafficIn": figures.traffic_in[0],
        "todayTrafficOut": figures.traffic_out[0],
        "curConns": figures.connections_open,
        "lastStartTime": started,
        "lastCloseTime": closed,
        "type": figures.proxy_type,
        "run_id": figures.run_id,
        "remote_addr": proxy.remote_addr,
        "since": figures.started_at if figures.is_online else figures.closed_at,
        "total_conns": figures.connections_total,
        "bytes_in": figures.bytes_in,
        "bytes_out": figures.bytes_out,
    }


def no_proxy_row(name: str) -> Object:
    """Return what frp to 0.23 answered for a proxy that nobody knows."""
    return {
        "name": name,
        "conf": None,
        "today_traffic_in": 0,
        "today_traffic_out": 0,
        "cur_conns": 0,
        "last_start_time": "",
        "last_close_time": "",
        "status": "",
    }


def proxy_conf(proxy: ProxySnapshot) -> Object | None:
    """Return the settings of a proxy; None when it is gone."""
    settings = proxy.settings
    if settings is None:
        return None
    name, proxy_type = proxy.figures.name, proxy.figures.proxy_type
    return {
        "proxy_name": name,
        "proxy_type": proxy_type,
        "use_encryption": settings.use_encryption,
        "use_compression": settings.use_compression,
        "group": settings.group,
        "group_key": "",
        "bandwidth_limit": settings.bandwidth_limit,
        "bandwidth_limit_mode": settings.bandwidth_limit_mode,
        "name": name,
        "type": proxy_type,
        "metas": dict(settings.metas),
        **_of_type(proxy_type, settings),
        **new_conf(settings),
    }


def _of_type(proxy_type: str, settings: ProxySettings) -> Object:
    if proxy_type in ("tcp", "udp"):
        return {"remote_port": settings.remote_port, "remotePort": settings.remote_port}
    if proxy_type not in ("http", "https", "tcpmux"):
        return {}
    domains = list(settings.domains) or None
    conf: Object = {
        "custom_domains": domains,
        "sub_domain": settings.subdomain,
        "customDomains": domains,
        "subdomain": settings.subdomain,
    }
    if proxy_type == "http":
        locations = list(settings.locations)
        conf |= {
            "locations": locations,
            "host_header_rewrite": settings.host_header_rewrite,
            "hostHeaderRewrite": settings.host_header_rewrite,
            "routeByHTTPUser": settings.route_by_http_user,
        }
    if proxy_type == "tcpmux":
        conf["multiplexer"] = settings.multiplexer
    return conf


def new_conf(settings: ProxySettings) -> Object:
    """Return what all types have in common, in the shape of frp 0.52 and later."""
    return {
        "annotations": dict(settings.annotations),
        "metadatas": dict(settings.metas),
        "transport": {
            "useEncryption": settings.use_encryption,
            "useCompression": settings.use_compression,
            "bandwidthLimit": settings.bandwidth_limit,
            "bandwidthLimitMode": settings.bandwidth_limit_mode,
        },
        "loadBalancer": {"group": settings.group},
    }


def new_type_conf(proxy_type: str, settings: ProxySettings) -> Object:
    """Return a type's own settings, in the names of frp 0.52 and later."""
    old_names = ("remote_port", "custom_domains", "sub_domain", "host_header_rewrite")
    conf = _of_type(proxy_type, settings)
    return {name: value for name, value in conf.items() if name not in old_names}


def client_row(client: ClientSnapshot, snapshot: ServerSnapshot) -> Object:
    """Return one client."""
    record, session = client.record, client.session
    row: Object = {
        "key": record.run_id,
        "user": record.user,
        "clientID": record.run_id,
        "runID": record.run_id,
        "version": record.version,
        "hostname": record.hostname,
        "clientIP": record.address,
        "firstConnectedAt": int(record.first_connected_at),
        "lastConnectedAt": int(record.last_connected_at),
        "online": session is not None,
    }
    if session is None:
        row["disconnectedAt"] = int(record.disconnected_at)
        return row
    ours = asdict(session)
    ours["socket"] = socket_object(session.socket)
    ours |= tcp_figures(session.socket)
    ours["cur_conns"] = ours.pop("connections_open")
    ours["age_seconds"] = max(0.0, snapshot.taken_at - session.since)
    ours["speaks"] = speaks(session.features, record.version)
    ours["weak"] = weaknesses(session.features, tls="tls" in session.layers)
    return row | ours


def connection_row(one: Connection, *, tcp: bool = False) -> Object:
    """Return one visitor; with ``tcp`` also how its socket does."""
    return {
        "proxy": one.proxy,
        "type": one.proxy_type,
        "client": one.run_id,
        "visitor": one.visitor,
        "since": one.since,
        "age_seconds": one.age_seconds,
        "bytes_in": one.bytes_in,
        "bytes_out": one.bytes_out,
        "socket": socket_object(one.socket),
        **(tcp_figures(one.socket) if tcp else {}),
    }


def frp_time(when: float) -> str:
    """Return a Unix time as frp's dashboard writes it: local, without a year; "" for never."""
    return time.strftime("%m-%d %H:%M:%S", time.localtime(when)) if when else ""
