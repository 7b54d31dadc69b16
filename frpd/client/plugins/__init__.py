"""Client plugins: services that frpc brings along. One file each, one row here.

A row makes the server of one proxy, or raises ProxyError: why it cannot be served.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from frpd.late_table import LateTable

if TYPE_CHECKING:
    from frpd.client.proxies.base import ProxyContext, ServesWork
    from frpd.config.proxies import ProxyConfig

PLUGINS: Final[LateTable[Callable[[ProxyContext, ProxyConfig], ServesWork]]] = LateTable(
    __name__,
    {
        "http2http": "web_bridge:serve_http2http",
        "http2https": "web_bridge:serve_http2https",
        "http_proxy": "http_proxy:serve_http_proxy",
        "https2http": "web_bridge:serve_https2http",
        "https2https": "web_bridge:serve_https2https",
        "socks5": "socks5:serve_socks5",
        "static_file": "static_file:StaticFileProxy",
        "tls2raw": "tls2raw:serve_tls2raw",
        "unix_domain_socket": "unix_domain_socket:serve_unix_domain_socket",
    },
)
