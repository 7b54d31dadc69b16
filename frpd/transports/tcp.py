"""Plain TCP, frp's default carrier."""

from __future__ import annotations

from frpd.net.address import SockAddr
from frpd.net.bearer import Bearer
from frpd.net.connector import Attempt, Connector
from frpd.net.stream import SocketStream
from frpd.transports.base import OnEndpoint, OnFailed


class TcpTransport:
    """Dials ``host:port`` over TCP.

    Args:
        connector: makes the connections.
        host: the address or name of the server, or of a proxy on the way.
        port: its port.
        timeout_seconds: for name look-up and connect together.
        keepalive_seconds: TCP keep-alive idle time; <= 0 is off.
        local_ip: our address to come from; "" for any.
    """

    def __init__(
        self,
        connector: Connector,
        host: str,
        port: int,
        *,
        timeout_seconds: float,
        keepalive_seconds: int,
        local_ip: str = "",
    ) -> None:
        self.local_address: SockAddr | None = None
        self.bearer: Bearer | None = None
        self._connector = connector
        self._host = host
        self._port = port
        self._timeout_seconds = timeout_seconds
        self._keepalive_seconds = keepalive_seconds
        self._local_ip = local_ip

    def dial(self, on_connected: OnEndpoint, on_failed: OnFailed) -> Attempt:
        """See Transport.dial."""

        def connected(stream: SocketStream) -> None:
            self.local_address = stream.local_address()
            self.bearer = stream
            on_connected(stream)

        return self._connector.connect(
            self._host,
            self._port,
            connected,
            on_failed,
            timeout_seconds=self._timeout_seconds,
            keepalive_seconds=self._keepalive_seconds,
            local_ip=self._local_ip,
        )
