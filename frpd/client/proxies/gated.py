"""GatedProxy: keeps visitors out whom a server that is not ours lets in.

A server of ours is told of a proxy's gate and keeps it: nobody whom it refuses comes here. With
any other one (or with ``native = off``) what can be kept is kept here, by what StartWorkConn
says and by who is here. Where a list is set and it does not say where a visitor is, nobody may
come in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.client.proxies.work_leg import refuse_work, source_of
from frpd.config.proxies import ProxyConfig
from frpd.metrics.counters import ProxyCounters
from frpd.net.access_list import AccessList
from frpd.net.visitor_gate import Crowd, Refusal, VisitorGate
from frpd.proto.message.types import StartWorkConn
from frpd.transports.work import WorkStream

UNKNOWN: Final = Refusal("unknown", "the server does not tell where visitors come from", 403)
# Of frp: since then requests of several visitors come on one work connection.
HTTP_SHARED_SINCE: Final = (0, 35)


def has_gate(config: ProxyConfig) -> bool:
    """Whether not everybody may visit."""
    return bool(has_lists(config) or config.max_connections or config.max_connection_rate)


def has_lists(config: ProxyConfig) -> bool:
    """Whether it matters where a visitor is."""
    return bool(config.allow_cidrs or config.deny_cidrs)


def lists_of(config: ProxyConfig) -> ProxyConfig:
    """Return the proxy with nothing to keep but its lists."""
    return replace(config, max_connections=0, max_connection_rate=0.0)


def numbers_of(config: ProxyConfig) -> ProxyConfig:
    """Return the proxy with nothing to keep but numbers."""
    return replace(config, allow_cidrs=(), deny_cidrs=())


def gate_of(context: ProxyContext, config: ProxyConfig, crowd: Crowd) -> VisitorGate:
    """Return the gate of a proxy; who counts as here is the crowd's owner's to say."""
    crowd.limit = config.max_connections
    return VisitorGate(
        context.loop,
        context.log,
        access=AccessList(config.allow_cidrs, config.deny_cidrs),
        rate=config.max_connection_rate,
        crowds=(crowd,),
    )


class GatedProxy:
    """Serves a proxy that has a gate. Loop thread only.

    Args:
        context: of the client.
        config: of this proxy.
        server: takes who may come in; owned from now on.
        present: how many are here; None to go by the server's counters.
    """

    def __init__(
        self,
        context: ProxyContext,
        config: ProxyConfig,
        server: ServesWork,
        present: Callable[[], int] | None = None,
    ) -> None:
        self.counters: ProxyCounters = server.counters
        self._context = context
        self._server = server
        self._present = present or (lambda: server.counters.connections_open)
        self._crowd = Crowd()
        self._gate = gate_of(context, config, self._crowd)
        self._has_lists = has_lists(config)
        self._is_http = config.proxy_type == "http"

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        """See ServesWork.on_work."""
        if self._context.features():
            self._server.on_work(work, start)
            return
        refusal = self._refusal(start)
        if refusal is None:
            self._gate.enter()
            self._server.on_work(work, start)
        else:
            self._gate.turned_away(refusal, source_of(start))
            refuse_work(self._context, work.endpoint)

    def retire(self) -> None:
        """See ServesWork.retire."""
        self._server.retire()

    def close(self) -> None:
        """See ServesWork.close."""
        self._server.close()

    def _refusal(self, start: StartWorkConn) -> Refusal | None:
        if self._has_lists and not (start.src_addr and self._comes_alone()):
            return UNKNOWN
        self._crowd.present = self._present()
        return self._gate.refusal(start.src_addr)

    def _comes_alone(self) -> bool:
        """Whether the visitor that is introduced is the only one on its work connection."""
        if not self._is_http:
            return True
        numbers = self._context.server_version().split(".")[:2]
        if len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
            return False
        return tuple(map(int, numbers)) < HTTP_SHARED_SINCE
