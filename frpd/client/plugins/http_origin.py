"""Whom a visitor of the http_proxy plugin names in a request: a Site of its exchanges."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from frpd.client.plugins.base import DIAL_SECONDS
from frpd.client.proxies.base import ProxyContext
from frpd.errors import FrpError, TransportError
from frpd.http.site import Call
from frpd.log import PrefixLogger
from frpd.metrics.counters import ProxyCounters
from frpd.net.address import SockAddr
from frpd.net.connector import DialError
from frpd.net.endpoint import Endpoint
from frpd.net.pipes import PipePool
from frpd.proto.http.errors import HttpError
from frpd.proto.http.rewrite import AS_ANSWERED, AnswerRules, ForwardRules

_RULES = ForwardRules()


@dataclass(frozen=True, slots=True)
class Origin:
    """One host and port, for one visitor; equal where these are.

    The counters are the visitor's: a connection to an origin is none of the proxy's.
    """

    unserved_status: ClassVar[int] = 502
    half_closes: ClassVar[bool] = True
    access: ClassVar[None] = None
    gate: ClassVar[None] = None
    answer_rules: ClassVar[AnswerRules] = AS_ANSWERED

    host: str
    port: int
    context: ProxyContext = field(compare=False, repr=False)
    counters: ProxyCounters = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """See Site.name."""
        return self.context.name

    @property
    def log(self) -> PrefixLogger:
        """See Site.log."""
        return self.context.log

    @property
    def pipes(self) -> PipePool | None:
        """See Site.pipes."""
        return self.context.pipes

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """See Site.admits: whoever got this far may ask."""
        del credentials
        return True

    def rules_for(self, visitor_ip: str) -> ForwardRules:
        """See Site.rules_for."""
        del visitor_ip
        return _RULES

    def call(
        self,
        visitor: SockAddr,
        on_work: Callable[[Endpoint], None],
        on_failed: Callable[[FrpError], None],
    ) -> Call:
        """See Site.call."""
        del visitor

        def failed(error: TransportError) -> None:
            on_failed(HttpError(status_of(error), str(error)))

        return self.context.connector.connect(
            self.host, self.port, on_work, failed, timeout_seconds=DIAL_SECONDS
        )


def status_of(error: TransportError) -> int:
    """Return the status for a dial that failed."""
    return 504 if isinstance(error, DialError) and error.code == errno.ETIMEDOUT else 502
