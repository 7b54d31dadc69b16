"""What clients of this server may wrap their connections in.

Each layer is made when the first client asks for it: few servers see all of
them, and their imports cost every start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from frpd.config.server import ServerConfig
from frpd.net.endpoint import Endpoint
from frpd.net.handshakes import HandshakeQueue
from frpd.selector_loop import SelectorLoop
from frpd.transports.base import Dialing, OnEndpoint, OnFailed
from frpd.transports.layers import Layer


def client_layers(
    loop: SelectorLoop, config: ServerConfig, handshakes: HandshakeQueue
) -> Mapping[str, Layer]:
    """Return the layers by name, as reception calls them.

    Raises:
        ConfigError: a certificate or a key that the configuration names cannot be used.
    """
    files = _files(config)

    def tls() -> Layer:
        # See above.
        from frpd.net.certificates import server_contexts  # noqa: PLC0415
        from frpd.transports.tls import TlsServerLayer  # noqa: PLC0415

        return TlsServerLayer(server_contexts(*files, now=loop.now), handshakes)

    def websocket() -> Layer:
        # See above.
        from frpd.transports.websocket import WebSocketServerLayer  # noqa: PLC0415

        return WebSocketServerLayer()

    # Files are read at once: what is wrong with them has to be said at the start.
    return {"tls": tls() if any(files) else LateLayer(tls), "websocket": LateLayer(websocket)}


def has_files(config: ServerConfig) -> bool:
    """Whether TLS uses files of the operator, not only a certificate of our own."""
    return any(_files(config))


def _files(config: ServerConfig) -> tuple[str, str, str]:
    return config.tls_cert_file, config.tls_key_file, config.tls_trusted_ca_file


class LateLayer:
    """A Layer that is made when it is first needed. Loop thread only.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], Layer]) -> None:
        self._make = make
        self._layer: Layer | None = None

    def begin(self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed) -> Dialing:
        """See Layer.begin."""
        if self._layer is None:
            self._layer = self._make()
        return self._layer.begin(endpoint, on_ready, on_failed)
