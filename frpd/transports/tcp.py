"""Plain TCP, frp's default carrier."""

from __future__ import annotations

from dataclasses import dataclass

from frpd.net.connector import Attempt, Connector
from frpd.transports.base import OnEndpoint, OnFailed


@dataclass(frozen=True, slots=True)
class TcpTransport:
    """Dials ``host:port`` over TCP.

    Args:
        connector: makes the connections.
        host: the server's address or name.
        port: its bind port.
        timeout_seconds: for name look-up and connect together.
        keepalive_seconds: TCP keep-alive idle time; <= 0 is off.
    """

    connector: Connector
    host: str
    port: int
    timeout_seconds: float
    keepalive_seconds: int

    def dial(self, on_connected: OnEndpoint, on_failed: OnFailed) -> Attempt:
        """See Transport.dial."""
        return self.connector.connect(
            self.host,
            self.port,
            on_connected,
            on_failed,
            timeout_seconds=self.timeout_seconds,
            keepalive_seconds=self.keepalive_seconds,
        )
