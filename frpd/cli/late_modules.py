"""Modules that are usually imported when they are first needed, because each costs a start time.

A daemon that is about to give up root loads them before: afterwards it may have no
right to read them, as with a Python that lies in root's home.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from typing import Final

LATE: Final = (
    "asyncssh",
    "bottle",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.decrepit.ciphers.modes",
    "cryptography.hazmat.primitives.ciphers.algorithms",
    "cryptography.hazmat.primitives.ciphers.modes",
    "cryptography.x509",
    "ctypes",
    "dns.resolver",
    "encodings.idna",
    "frpd.admin.access",
    "frpd.admin.frpc.desk",
    "frpd.admin.frpc.metrics",
    "frpd.admin.frpc_api",
    "frpd.admin.frps.desk",
    "frpd.admin.frps.metrics",
    "frpd.admin.frps_api",
    "frpd.admin.metrics",
    "frpd.admin.web_server",
    "frpd.client.nathole.early",
    "frpd.client.plugins.http_proxy",
    "frpd.client.plugins.socks5",
    "frpd.client.plugins.static_file",
    "frpd.client.plugins.tls2raw",
    "frpd.client.plugins.unix_domain_socket",
    "frpd.client.plugins.web_bridge",
    "frpd.client.proxies.general",
    "frpd.client.proxies.sudp",
    "frpd.client.proxies.udp",
    "frpd.client.proxies.xtcp",
    "frpd.client.visitors.stcp",
    "frpd.client.visitors.sudp",
    "frpd.client.visitors.xtcp",
    "frpd.config.flags",
    "frpd.config.kinds",
    "frpd.config.load_client",
    "frpd.config.load_server",
    "frpd.metrics.store",
    "frpd.net.certificates",
    "frpd.net.fetch",
    "frpd.net.tls",
    "frpd.proto.seal_keys",
    "frpd.proto.snappy",
    "frpd.server.kcp_entrance",
    "frpd.server.nathole.desk",
    "frpd.server.plugins.hook",
    "frpd.server.proxies.http",
    "frpd.server.proxies.https",
    "frpd.server.proxies.stcp",
    "frpd.server.proxies.sudp",
    "frpd.server.proxies.tcp",
    "frpd.server.proxies.tcpmux",
    "frpd.server.proxies.udp",
    "frpd.server.proxies.xtcp",
    "frpd.server.quic_entrance",
    "frpd.server.ssh_gateway.client",
    "frpd.server.ssh_gateway.gateway",
    "frpd.server.ssh_gateway.room",
    "frpd.server.ssh_gateway.settings",
    "frpd.transports.kcp",
    "frpd.transports.kcp_endpoint",
    "frpd.transports.over_tcp",
    "frpd.transports.over_udp",
    "frpd.transports.quic",
    "frpd.transports.quic_tunnel",
    "frpd.transports.tls",
    "frpd.transports.upstream_proxy",
    "frpd.transports.websocket",
    "importlib.util",
    "jwt",
    "psutil",
    "pyroute2.netlink.rtnl.marshal",
    "waitress.task",
    "websockets.speedups",
    "zlib_ng.zlib_ng",
)


def load_late_modules() -> None:
    """Import them all; those that are not installed are optional."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as Debian 12's asyncssh has, of old ciphers
        for name in LATE:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
