"""WebSocket as a layer, outside TLS (`websocket`) or inside it (`wss`).

Data goes out in binary frames, as from Go frp 0.70 on: a proxy on the way may
check that text is text. All Go servers, from 0.21 on, take either.
"""

from __future__ import annotations

import contextlib

from frpd.entropy import Entropy
from frpd.errors import ConnectionLost, RemoteProtocolError, TransportError
from frpd.net.endpoint import Endpoint, Outcome
from frpd.net.framed import FramedEndpoint
from frpd.proto.websocket.frames import MASK_BYTES, WebSocketCodec, Xor, xor_mask
from frpd.proto.websocket.handshake import KEY_BYTES, ClientHandshake, ServerHandshake
from frpd.transports.base import OnEndpoint, OnFailed

READ_BYTES = 4 * 1024


def fastest_xor() -> Xor:
    """Return what lays masks over data: that of the websockets package if it is there."""
    try:
        # An accelerator that nobody needs who has no WebSocket connections.
        from websockets.speedups import apply_mask  # noqa: PLC0415
    except ImportError:
        return xor_mask
    return apply_mask


class WebSocketClientLayer:
    """A Layer: the client's side. Loop thread only.

    Args:
        host: the server's name or address, for the Host field.
        port: its port; None inside wss, where frp gives the host alone.
        entropy: for keys and masks.
    """

    __slots__ = ("_entropy", "_host", "_port", "_xor")

    def __init__(self, host: str, port: int | None, entropy: Entropy) -> None:
        self._host = host.removeprefix("[").removesuffix("]")
        self._port = port
        self._entropy = entropy
        self._xor = fastest_xor()

    def begin(
        self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed
    ) -> WebSocketOpening:
        """See Layer.begin."""
        key = self._entropy.token_bytes(KEY_BYTES)
        handshake = ClientHandshake(self._host, self._port, key)
        codec = WebSocketCodec(lambda: self._entropy.token_bytes(MASK_BYTES), xor=self._xor)
        return WebSocketOpening(endpoint, handshake, codec, on_ready, on_failed)


class WebSocketServerLayer:
    """A Layer: the server's side; the request is still in the connection. Loop thread only."""

    __slots__ = ("_xor",)

    def __init__(self) -> None:
        self._xor = fastest_xor()

    def begin(
        self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed
    ) -> WebSocketOpening:
        """See Layer.begin."""
        codec = WebSocketCodec(None, xor=self._xor)
        return WebSocketOpening(endpoint, ServerHandshake(), codec, on_ready, on_failed)


class WebSocketOpening:
    """One handshake under way; gives a FramedEndpoint of the codec. Loop thread only.

    Begins on a later turn. Exactly one of the two is called, unless cancelled;
    on failure the connection is closed.
    """

    __slots__ = (
        "_codec",
        "_endpoint",
        "_handshake",
        "_on_failed",
        "_on_ready",
        "_over",
        "_unsent",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        handshake: ClientHandshake | ServerHandshake,
        codec: WebSocketCodec,
        on_ready: OnEndpoint,
        on_failed: OnFailed,
    ) -> None:
        self._endpoint = endpoint
        self._handshake = handshake
        self._codec = codec
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._unsent = handshake.request() if isinstance(handshake, ClientHandshake) else b""
        self._over = False
        endpoint.on_failure = self._callback_failed
        endpoint.watch(self._readable, self._writable if self._unsent else None)

    def cancel(self) -> None:
        """See Dialing.cancel. Idempotent."""
        if not self._over:
            self._over = True
            self._endpoint.abort()

    def _writable(self) -> None:
        try:
            self._unsent = self._unsent[self._endpoint.write(self._unsent) :]
        except ConnectionLost as error:
            self._fail(f"websocket: {error} during the handshake")
            return
        if not self._unsent:
            self._endpoint.watch(self._readable, None)

    def _readable(self) -> None:
        try:
            data = self._endpoint.read(READ_BYTES)
            if data is Outcome.EOF:
                self._fail("websocket: the peer closed during the handshake")
            if isinstance(data, Outcome):
                return
            rest = self._handshake.receive_data(data)
        except ConnectionLost as error:
            self._fail(f"websocket: {error} during the handshake")
        except RemoteProtocolError as error:
            self._refuse()
            self._fail(str(error), error)
        else:
            if rest is not None:
                self._succeed(rest)

    def _succeed(self, rest: bytes) -> None:
        self._over = True
        answer = self._handshake.answer if isinstance(self._handshake, ServerHandshake) else b""
        self._endpoint.watch(None, None)
        if rest:
            self._endpoint.unread(rest)
        self._on_ready(FramedEndpoint(self._endpoint, self._codec, pending=answer))

    def _refuse(self) -> None:
        """Send what a server has to say, as far as it goes at once."""
        if isinstance(self._handshake, ServerHandshake):
            with contextlib.suppress(ConnectionLost):
                self._endpoint.write(self._handshake.answer)

    def _callback_failed(self) -> None:
        self._fail("websocket: internal error, see the log")

    def _fail(self, reason: str, cause: Exception | None = None) -> None:
        if self._over:
            return
        self._over = True
        self._endpoint.watch(None, None)
        self._endpoint.close()
        error = TransportError(reason)
        error.__cause__ = cause
        self._on_failed(error)
