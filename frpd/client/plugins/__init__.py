"""Client plugins: services that frpc brings along. One file each, one row here.

A row makes the server of one proxy, or raises ProxyError: why it cannot be served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from frpd.client.plugins.http_proxy import serve_http_proxy
from frpd.client.plugins.socks5 import serve_socks5
from frpd.client.plugins.static_file import StaticFileProxy
from frpd.client.plugins.unix_domain_socket import serve_unix_domain_socket
from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.config.proxies import ProxyConfig

PLUGINS: Final[Mapping[str, Callable[[ProxyContext, ProxyConfig], ServesWork]]] = {
    "http_proxy": serve_http_proxy,
    "socks5": serve_socks5,
    "static_file": StaticFileProxy,
    "unix_domain_socket": serve_unix_domain_socket,
}
