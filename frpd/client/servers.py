"""Who serves a proxy of this client: its type, or the plugin that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frpd.client.plugins import PLUGINS
from frpd.client.proxies import PROXIES
from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.client.proxies.gated import GatedProxy, has_gate, has_lists, lists_of, numbers_of
from frpd.client.proxies.general import GeneralProxy
from frpd.config.proxies import ProxyConfig
from frpd.errors import ProxyError

if TYPE_CHECKING:
    from frpd.client.proxies.xtcp import Serve

DATAGRAM_TYPES = ("udp", "sudp")


def make_server(context: ProxyContext, config: ProxyConfig) -> ServesWork:
    """Return who takes the work connections of a proxy.

    Raises:
        ProxyError: nobody can; the text is for status and log.
    """
    kind, build = config.proxy_type, _builder(config)
    if kind == "xtcp":
        return _xtcp(context, config, build)
    server = build(context, config)
    if kind == "udp" or not has_gate(config):  # udp looks at each visitor's first datagram
        return server
    if kind == "sudp":
        from frpd.client.proxies.sudp import SudpProxy  # noqa: PLC0415 - it is there by now

        assert isinstance(server, SudpProxy)
        return GatedProxy(context, config, server, server.count_visitors)
    return GatedProxy(context, config, server)


def _builder(config: ProxyConfig) -> Serve:
    """Return what makes who serves this proxy; of xtcp each user of a tunnel.

    Raises:
        ProxyError: nobody can.
    """
    kind, plugin = config.proxy_type, config.plugin
    if not plugin:
        return GeneralProxy if kind == "xtcp" else PROXIES[kind]
    if plugin not in PLUGINS:
        raise ProxyError(f"plugin [{plugin}] is not registered")
    if kind in DATAGRAM_TYPES:
        raise ProxyError(f"plugin [{plugin}] cannot serve a proxy of type [{kind}]")
    return PLUGINS[plugin]


def _xtcp(context: ProxyContext, config: ProxyConfig, build: Serve) -> ServesWork:
    """Users come by tunnels, past any server; where they come from the server knows alone."""
    from frpd.client.proxies.xtcp import XtcpProxy  # noqa: PLC0415 - who has none needs none

    def serve(users: ProxyContext, config: ProxyConfig) -> ServesWork:
        numbers = numbers_of(config)
        server = build(users, config)
        return GatedProxy(users, numbers, server) if has_gate(numbers) else server

    owner = XtcpProxy(context, config, serve)
    return GatedProxy(context, lists_of(config), owner) if has_lists(config) else owner
