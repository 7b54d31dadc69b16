"""Plugin unix_domain_socket: visitors reach a service that listens on a Unix socket."""

from __future__ import annotations

from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.client.proxies.general import LOCAL_DIAL_SECONDS, GeneralProxy
from frpd.config.proxies import ProxyConfig
from frpd.errors import ProxyError
from frpd.net.connector import Dialing, OnStream
from frpd.net.resolver import OnFailed

PATH = "plugin_unix_path"


def serve_unix_domain_socket(context: ProxyContext, config: ProxyConfig) -> ServesWork:
    """Return who serves a proxy with this plugin.

    Raises:
        ProxyError: no path is given.
    """
    path = config.plugin_params.get(PATH, "")
    if not path:
        raise ProxyError(f"{PATH} not found")

    def dial(on_connected: OnStream, on_failed: OnFailed) -> Dialing:
        return context.connector.connect_unix(
            path, on_connected, on_failed, timeout_seconds=LOCAL_DIAL_SECONDS
        )

    return GeneralProxy(context, config, dial)
