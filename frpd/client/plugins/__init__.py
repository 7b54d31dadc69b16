"""Client plugins: services that frpc brings along. One file each, one row here.

A row makes the server of one proxy, or raises ProxyError: why it cannot be served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from frpd.client.plugins.http_proxy import serve_http_proxy
from frpd.client.plugins.socks5 import serve_socks5
from frpd.client.plugins.static_file import StaticFileProxy
from frpd.client.plugins.tls2raw import serve_tls2raw
from frpd.client.plugins.unix_domain_socket import serve_unix_domain_socket
from frpd.client.plugins.web_bridge import (
    serve_http2http,
    serve_http2https,
    serve_https2http,
    serve_https2https,
)
from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.config.proxies import ProxyConfig

PLUGINS: Final[Mapping[str, Callable[[ProxyContext, ProxyConfig], ServesWork]]] = {
    "http2http": serve_http2http,
    "http2https": serve_http2https,
    "http_proxy": serve_http_proxy,
    "https2http": serve_https2http,
    "https2https": serve_https2https,
    "socks5": serve_socks5,
    "static_file": StaticFileProxy,
    "tls2raw": serve_tls2raw,
    "unix_domain_socket": serve_unix_domain_socket,
}
