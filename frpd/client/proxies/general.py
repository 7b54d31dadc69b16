"""GeneralProxy: a work connection is joined to a connection to the local service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from frpd.client.proxies.base import ProxyContext
from frpd.client.proxies.work_leg import introduce, join, open_work, refuse_work, source_of
from frpd.config.proxies import ProxyConfig
from frpd.errors import TransportError
from frpd.metrics.counters import ProxyCounters
from frpd.net.connector import Dialing, OnStream
from frpd.net.endpoint import Endpoint
from frpd.net.resolver import OnFailed
from frpd.net.stream import SocketStream
from frpd.proto.message.types import StartWorkConn
from frpd.transports.work import WorkStream

# The local service is near: who does not answer within this is down.
LOCAL_DIAL_SECONDS = 10.0

Dial: TypeAlias = Callable[[OnStream, OnFailed], Dialing]
"""Begins to connect to the service; one of the two is called, maybe before it returns."""


class GeneralProxy:
    """Serves tcp-like proxies. Loop thread only.

    Args:
        context: of the client.
        config: of this proxy.
        dial: reaches the service; None for the one at local_ip and local_port.
    """

    def __init__(
        self, context: ProxyContext, config: ProxyConfig, dial: Dial | None = None
    ) -> None:
        self.counters = ProxyCounters()
        self._context = context
        self._config = config
        self._dial = dial or self._dial_tcp
        self._dialing: set[LocalVisit] = set()

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        """See ServesWork.on_work."""
        endpoint = open_work(self._context, self._config, work)
        if endpoint is not None:
            visit = LocalVisit(self._context, self._config, self.counters, endpoint, start)
            visit.dial(self._dial, self._dialing)

    def retire(self) -> None:
        """See ServesWork.retire: whoever is here has been passed on to the service, or will be."""

    def close(self) -> None:
        """See ServesWork.close."""
        for visit in list(self._dialing):
            visit.give_up()

    def _dial_tcp(self, on_connected: OnStream, on_failed: OnFailed) -> Dialing:
        return self._context.connector.connect(
            self._config.local_ip,
            self._config.local_port,
            on_connected,
            on_failed,
            timeout_seconds=LOCAL_DIAL_SECONDS,
            keepalive_seconds=0,  # the visitor's side notices
        )


class LocalVisit:
    """One visitor's last leg: dial the local service, then relay.

    Until the service answers nothing is read from the work connection, so the
    visitor's first bytes wait where they are.
    """

    __slots__ = (
        "_attempt",
        "_begun",
        "_config",
        "_context",
        "_counters",
        "_dialing",
        "_source",
        "_start",
        "_work",
    )

    def __init__(
        self,
        context: ProxyContext,
        config: ProxyConfig,
        counters: ProxyCounters,
        work: Endpoint,
        start: StartWorkConn,
    ) -> None:
        self._context = context
        self._config = config
        self._counters = counters
        self._work = work
        self._start = start
        self._source = source_of(start)
        self._begun = context.loop.now()
        self._attempt: Dialing | None = None
        self._dialing: set[LocalVisit] = set()
        counters.opened()

    def dial(self, dial: Dial, dialing: set[LocalVisit]) -> None:
        """Connect to the service; in the set until that has succeeded or failed."""
        self._dialing = dialing
        dialing.add(self)
        self._attempt = dial(self._connected, self._refused)

    def give_up(self) -> None:
        """Drop the visitor; only while it is in the set given to dial."""
        self._dialing.discard(self)
        if self._attempt is not None:
            self._attempt.cancel()
        self._counters.closed(0, 0)
        self._work.abort()

    def _connected(self, local: SocketStream) -> None:
        self._attempt = None
        self._dialing.discard(self)
        introduce(self._config, self._start, local)
        join(
            self._context,
            self._counters,
            local,
            self._work,
            source=self._source,
            begun=self._begun,
        )

    def _refused(self, error: TransportError) -> None:
        self._attempt = None
        self._dialing.discard(self)
        self._context.log.warning("local service refused %s: %s", self._source, error)
        self._counters.closed(0, 0)
        refuse_work(self._context, self._work)
