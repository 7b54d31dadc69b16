"""sudp proxies: datagrams for visitors who know the secret.

The datagrams are packed by the two clients; what passes here is a stream, as with stcp.
"""

from __future__ import annotations

from frpd.server.proxies.stcp import StcpProxy


class SudpProxy(StcpProxy):
    """One sudp proxy. Loop thread only."""

    proxy_type = "sudp"
