"""Caller: one visitor's stream on the server, until it is let in or sent away.

It knows whose stream this is and how to speak on it, in clear or in the sealed
records of its session. Whether it is let in is the desk's to say.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from frpd.entropy import Entropy
from frpd.errors import ConnectionLost, FrpError, RemoteProtocolError
from frpd.net.endpoint import Endpoint
from frpd.net.transform import TransformEndpoint
from frpd.proto import native
from frpd.proto.ciphers import IV_BYTES
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import Message, NewVisitorConn, NewVisitorConnResp
from frpd.proto.seal import SealedCodec, StreamSeal
from frpd.proto.wrappers import wrapper_stack
from frpd.selector_loop import SelectorLoop, Timer
from frpd.server.connection import Connection
from frpd.server.control import ControlSession
from frpd.transports.first_record import FirstRecord


class Caller:
    """A visitor's stream. Loop thread only.

    Args:
        loop: the loop.
        connection: what it came on.
        endpoint: of the stream, behind its first message; owned from now on.
        request: that message.
        client: who visits; None for a client that does not say.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        connection: Connection,
        endpoint: Endpoint,
        request: NewVisitorConn,
        client: ControlSession | None = None,
    ) -> None:
        self.connection = connection
        self.request = request
        self.client = client
        self._loop = loop
        self._endpoint = endpoint
        self._context = b""
        self._seal: StreamSeal | None = None  # of the two first records
        self._record: FirstRecord | None = None  # while the request is to come
        self._timer: Timer | None = None

    @property
    def features(self) -> frozenset[str]:
        """Of the visiting client's session."""
        return frozenset() if self.client is None else self.client.features

    @property
    def user(self) -> str:
        """The visiting client's user."""
        return "" if self.client is None else self.client.login.user

    @property
    def is_sealed(self) -> bool:
        """Whether it speaks in sealed records."""
        return self._seal is not None

    def describe(self) -> str:
        """Return where it comes from."""
        return self._endpoint.describe()

    def read_sealed(
        self,
        context: bytes,
        on_request: Callable[[], None],
        on_failed: Callable[[FrpError | None], None],
    ) -> None:
        """Wait for the sealed request; exactly one of the two is called, unless dropped.

        Args:
            context: of the stream's keys, see frpd.proto.seal_keys.
            on_request: ``request`` is what the visitor asks for.
            on_failed: none will come; the stream is aborted by then.
        """
        assert self.client is not None
        assert self.client.seal is not None
        seal = self._seal = self.client.seal.work(context)
        self._context = context

        def came(message: Message) -> None:
            self._stop_waiting()
            self._endpoint = record.detach()
            if isinstance(message, NewVisitorConn) and seal.reader.ended:
                self.request = message
                on_request()
            else:
                self._endpoint.abort()
                on_failed(RemoteProtocolError(f"unexpected {type(message).__name__}"))

        def ended(error: FrpError | None) -> None:
            self._stop_waiting()
            on_failed(error)

        record = self._record = FirstRecord(self._endpoint, seal, came, ended)

    def expect_within(self, seconds: float, on_silence: Callable[[], None]) -> None:
        """Bound the wait that read_sealed began; ``on_silence`` has to drop it."""
        if self._record is not None:
            self._timer = self._loop.call_later(seconds, on_silence)

    def answer(self, message: NewVisitorConnResp) -> bool:
        """Send the answer; on a fresh stream it always fits. False = the stream is no use."""
        data = encode_message(message)
        if self._seal is not None:
            data = self._seal.writer.write(data, final=True)
        try:
            return self._endpoint.write(data) == len(data)
        except ConnectionLost:
            return False

    def send_away(self, message: NewVisitorConnResp) -> None:
        """Answer, and close behind it."""
        self.answer(message)
        self._endpoint.close()
        self._leave()

    def drop(self) -> None:
        """Close without a word. Idempotent."""
        self._stop_waiting()
        self._endpoint.abort()
        self._leave()

    def has_proof(self, secret: bytes) -> bool:
        """Return whether the sealed request shows that its sender has the sk, by scrypt's word."""
        if self.client is None or self.client.seal is None:
            return False
        expected = self.client.seal.visitor_proof(self._context, secret)
        return hmac.compare_digest(expected, self.request.proof)

    def payload(self, cipher_key: bytes, secret: bytes, entropy: Entropy) -> Endpoint:
        """Return what carries plain bytes behind the answer, as the request's flags say.

        Args:
            cipher_key: frp's, of the proxy's sk.
            secret: of the same sk, for a sealed stream.
            entropy: for the cipher.
        """
        request, endpoint = self.request, self._endpoint
        if not (request.use_encryption or request.use_compression):
            return endpoint
        encrypts = request.use_encryption
        codecs = wrapper_stack(
            key=cipher_key if encrypts else None,
            compress=request.use_compression,
            iv=entropy.token_bytes(IV_BYTES) if encrypts else b"",
            deflate=native.DEFLATE in self.features,
            sealed=self._sealed_payload(secret) if encrypts else None,
        )
        return TransformEndpoint(endpoint, codecs)

    def _sealed_payload(self, secret: bytes) -> SealedCodec | None:
        if self._seal is None or self.client is None or self.client.seal is None:
            return None
        return self.client.seal.visitor_payload(self._context, secret)

    def _stop_waiting(self) -> None:
        self._record = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        if not self.connection.is_mux:
            self.connection.close()
