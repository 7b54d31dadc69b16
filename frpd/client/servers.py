"""Who serves a proxy of this client: its type, or the plugin that it names."""

from __future__ import annotations

from frpd.client.plugins import PLUGINS
from frpd.client.proxies import PROXIES
from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.client.proxies.xtcp import XtcpProxy
from frpd.config.proxies import ProxyConfig
from frpd.errors import ProxyError

DATAGRAM_TYPES = ("udp", "sudp")


def make_server(context: ProxyContext, config: ProxyConfig) -> ServesWork:
    """Return who takes the work connections of a proxy.

    Raises:
        ProxyError: nobody can; the text is for status and log.
    """
    kind, plugin = config.proxy_type, config.plugin
    if not plugin:
        return PROXIES[kind](context, config)
    if plugin not in PLUGINS:
        raise ProxyError(f"plugin [{plugin}] is not registered")
    if kind in DATAGRAM_TYPES:
        raise ProxyError(f"plugin [{plugin}] cannot serve a proxy of type [{kind}]")
    if kind == "xtcp":  # each user of a tunnel is the plugin's
        return XtcpProxy(context, config, PLUGINS[plugin])
    return PLUGINS[plugin](context, config)
