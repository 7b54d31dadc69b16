"""TLS as a layer: what tls_enable and tls_only mean on a connection.

Which certificates, and whether anybody is verified, is net/certificates' affair.
"""

from __future__ import annotations

from typing import Final

from frpd.net.certificates import Contexts
from frpd.net.endpoint import Endpoint
from frpd.net.handshakes import HandshakeQueue
from frpd.net.tls import TlsHandshake
from frpd.transports.base import OnEndpoint, OnFailed

HEAD_BYTE: Final = b"\x17"
"""Tells a server that TLS follows. One from 0.38 on sees that without being told."""

_BEFORE_TLS: Final = "a server before 0.25 needs tls_enable = false"
_BEFORE_BARE_TLS: Final = "one before 0.38 needs disable_custom_tls_first_byte = false"


class TlsClientLayer:
    """A Layer: TLS towards a server. Loop thread only.

    Args:
        contexts: of client_contexts.
        server_name: tls_server_name, else the server's address; sent by SNI if
            it is a name, and verified against if there is a CA.
        head_byte: whether frp's own byte comes ahead; never so inside wss.
    """

    __slots__ = ("_contexts", "_head_byte", "_server_name")

    def __init__(self, contexts: Contexts, server_name: str, *, head_byte: bool) -> None:
        self._contexts = contexts
        self._server_name = server_name.removeprefix("[").removesuffix("]")
        self._head_byte = head_byte

    def begin(self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed) -> TlsHandshake:
        """See Layer.begin."""
        hint = _BEFORE_TLS if self._head_byte else f"{_BEFORE_TLS}, {_BEFORE_BARE_TLS}"
        return TlsHandshake(
            endpoint,
            self._contexts,
            server_side=False,
            server_hostname=self._server_name,
            prefix=HEAD_BYTE if self._head_byte else b"",
            closed_hint=f"; {hint}",
            on_ready=on_ready,
            on_failed=on_failed,
        )


class TlsServerLayer:
    """A Layer: TLS with a client, whose head byte has been dropped. Loop thread only.

    Args:
        contexts: of server_contexts.
        queue: of all handshakes with clients.
    """

    __slots__ = ("_contexts", "_queue")

    def __init__(self, contexts: Contexts, queue: HandshakeQueue | None = None) -> None:
        self._contexts = contexts
        self._queue = queue

    def begin(self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed) -> TlsHandshake:
        """See Layer.begin."""
        return TlsHandshake(
            endpoint,
            self._contexts,
            server_side=True,
            queue=self._queue,
            on_ready=on_ready,
            on_failed=on_failed,
        )
