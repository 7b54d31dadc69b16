"""sudp proxies: a work stream for each visitor, which is a frpc with users of its own.

What passes on it are frp's messages, whoever the ends are: the server between the two
does not look inside, so nobody tells one end what the other is able to.
"""

from __future__ import annotations

from typing import Final

from frpd.client.proxies.base import ProxyContext
from frpd.client.proxies.udp import UdpProxy
from frpd.client.proxies.work_leg import open_work
from frpd.config.proxies import ProxyConfig
from frpd.metrics.counters import ProxyCounters
from frpd.proto.message.types import StartWorkConn
from frpd.transports.work import WorkStream
from frpd.udp.go_packets import GoPackets

MAX_VISITORS: Final = 1024
"""Of one proxy at a time; each may have udp_max_sessions users."""


class SudpProxy:
    """Serves sudp proxies. Loop thread only.

    Args:
        context: of the client.
        config: of this proxy.
    """

    def __init__(self, context: ProxyContext, config: ProxyConfig) -> None:
        self.counters = ProxyCounters()
        self._context = context
        self._config = config
        self._visitors: set[UdpProxy] = set()

    def count_visitors(self) -> int:
        """Return how many visitors are here, whatever users they have."""
        return len(self._visitors)

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        """See ServesWork.on_work."""
        del start
        endpoint = open_work(self._context, self._config, work)
        if endpoint is None:
            return
        if len(self._visitors) >= MAX_VISITORS:
            self._context.log.warning("a visitor was sent away: there are %d", MAX_VISITORS)
            endpoint.abort()
            return

        def lost() -> None:
            self._visitors.discard(visitor)
            visitor.close()

        visitor = UdpProxy(self._context, self._config, self.counters, on_lost=lost)
        self._visitors.add(visitor)
        visitor.serve(endpoint, GoPackets, self._context.udp_packet_bytes)

    def retire(self) -> None:
        """See ServesWork.retire: silence does not end a visitor, so this has to."""
        self.close()

    def close(self) -> None:
        """See ServesWork.close."""
        while self._visitors:
            self._visitors.pop().close()
