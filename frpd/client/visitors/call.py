"""VisitorCall: from one user of a visitor to a stream that the server lets in.

The stream says for which proxy it is and shows that we know its sk; what comes
behind the server's answer is the service's. In a sealed session a clear message
names the session, and both the request and the answer are sealed records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frpd.auth.token import privilege_key
from frpd.client.visitors.base import Session, VisitorContext
from frpd.clock import unix_now
from frpd.config.visitors import VisitorConfig
from frpd.errors import ConnectionLost, FrpError, LimitError, TransportError
from frpd.net.endpoint import Endpoint
from frpd.net.transform import TransformEndpoint
from frpd.proto import native
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import Message, NewVisitorConn, NewVisitorConnResp
from frpd.proto.seal import SealedCodec, StreamSeal
from frpd.proto.seal_keys import NONCE_BYTES, VISIT, stream_context, work_context
from frpd.proto.seal_session import SessionSeal
from frpd.proto.wrappers import wrapper_stack
from frpd.selector_loop import Timer
from frpd.transports.first_record import FirstRecord
from frpd.transports.link import stream_id_of
from frpd.transports.messages import MessageStream
from frpd.transports.stretched import StretchedSecret
from frpd.workers import WorkerPool

ANSWER_SECONDS = 10.0


class Key:
    """What the sk of one visitor is good for.

    Args:
        pool: stretches it.
        sk: may be empty.
    """

    __slots__ = ("_pool", "_stretched", "cipher_key", "sk")

    def __init__(self, pool: WorkerPool, sk: str) -> None:
        self.sk = sk
        self.cipher_key = derive_key(sk)
        self._pool = pool
        self._stretched: StretchedSecret | None = None

    def stretched(self) -> StretchedSecret:
        """Return what scrypt makes of the sk: worked out when it is first asked for."""
        made = self._stretched
        if made is None or not (made.is_pending or made.value):
            made = self._stretched = StretchedSecret(self._pool, self.sk)
        return made

    def close(self) -> None:
        """Call nobody back. Idempotent."""
        if self._stretched is not None:
            self._stretched.close()


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A visitor's stream to the service."""

    endpoint: Endpoint
    """Carries plain bytes."""
    half_closes: bool
    """The end of one direction travels alone, all the way to the service."""
    on_over: Callable[[], None] = _nothing
    """Called when the relay is."""


class VisitorCall:
    """One call under way. Loop thread only.

    Exactly one of the two is called, maybe before ``make`` returns, unless cancelled.

    Args:
        context: of the client.
        config: of the visitor.
        key: of the visitor.
        session: what there is at this moment; cancel the call when it ends.
        on_admitted: the server has let us in.
        on_failed: it has not, and why.
    """

    def __init__(
        self,
        context: VisitorContext,
        config: VisitorConfig,
        key: Key,
        session: Session,
        *,
        on_admitted: Callable[[Admitted], None],
        on_failed: Callable[[FrpError], None],
    ) -> None:
        self._context = context
        self._config = config
        self._key = key
        self._session = session
        self._on_admitted = on_admitted
        self._on_failed = on_failed
        self._secret: StretchedSecret | None = None  # of a sealed session
        self._timer: Timer | None = None
        self._stream: MessageStream | FirstRecord | None = None
        self._seal: StreamSeal | None = None
        self._seal_context = b""
        self._over = False

    def make(self) -> None:
        """Open a stream and ask."""
        if self._session.seal is not None:
            self._secret = self._key.stretched()
            self._secret.when_ready(self._open)
        else:
            self._open()

    def cancel(self) -> None:
        """Give up silently. Idempotent."""
        self._end()
        if self._stream is not None:
            self._stream.abort()

    def _open(self) -> None:
        if self._over:
            return
        if self._secret is not None and self._secret.value is None and self._key.sk:
            self._fail(LimitError("the sk could not be stretched"))
        else:
            self._session.open_stream(self._opened, self._fail)

    def _opened(self, endpoint: Endpoint) -> None:
        if self._over:
            endpoint.abort()
            return
        self._timer = self._context.loop.call_later(ANSWER_SECONDS, self._timed_out)
        if self._session.seal is None:
            stream = MessageStream(self._context.loop, endpoint, self._on_message, self._on_end)
            self._stream = stream
            stream.send(self._signed_request())
        else:
            self._ask_sealed(endpoint, self._session.seal)

    def _request(self) -> NewVisitorConn:
        config = self._config
        return NewVisitorConn(
            run_id=self._session.run_id,
            proxy_name=config.server_name,
            use_encryption=config.use_encryption,
            use_compression=config.use_compression,
        )

    def _signed_request(self) -> NewVisitorConn:
        request = self._request()
        request.timestamp = unix_now()
        request.sign_key = privilege_key(self._key.sk, request.timestamp)
        return request

    def _ask_sealed(self, endpoint: Endpoint, session: SessionSeal) -> None:
        """Name the session in clear; without mux prove it, for nothing else does."""
        clear = NewVisitorConn(self._session.run_id)
        stream_id = stream_id_of(endpoint)
        if stream_id is not None:
            self._seal_context = stream_context(stream_id)
        else:
            clear.nonce = self._context.entropy.token_bytes(NONCE_BYTES)
            clear.proof = session.prove(clear.run_id, clear.nonce, VISIT)
            self._seal_context = work_context(clear.nonce)
        request = self._request()
        request.proof = session.visitor_proof(self._seal_context, self._stretched())
        seal = self._seal = session.work(self._seal_context)
        self._stream = FirstRecord(endpoint, seal, self._on_message, self._on_end)
        data = encode_message(clear) + seal.writer.write(encode_message(request), final=True)
        try:
            fits = endpoint.write(data) == len(data)  # on a stream of our own it does
        except ConnectionLost:
            return  # the reading side reports it
        if not fits:
            self._on_end(TransportError("the stream takes nothing"))

    def _on_message(self, message: Message) -> None:
        stream, seal = self._stream, self._seal
        assert stream is not None
        if not isinstance(message, NewVisitorConnResp):
            self._on_end(TransportError(f"unexpected {type(message).__name__} as answer"))
        elif message.error:
            stream.close()
            self._fail(TransportError(message.error))
        elif seal is not None and not seal.reader.ended:
            self._on_end(TransportError("the answer is not the only record under its key"))
        else:
            self._end()
            admitted = Admitted(self._wrap(stream.detach()), message.half_closes)
            self._on_admitted(admitted)

    def _wrap(self, endpoint: Endpoint) -> Endpoint:
        config, context = self._config, self._context
        if not (config.use_encryption or config.use_compression):
            return endpoint
        encrypts = config.use_encryption
        codecs = wrapper_stack(
            key=self._key.cipher_key if encrypts else None,
            compress=config.use_compression,
            iv=context.entropy.token_bytes(IV_BYTES) if encrypts else b"",
            deflate=native.DEFLATE in self._session.features,
            sealed=self._sealed_payload() if encrypts else None,
        )
        return TransformEndpoint(endpoint, codecs)

    def _sealed_payload(self) -> SealedCodec | None:
        seal = self._session.seal
        return None if seal is None else seal.visitor_payload(self._seal_context, self._stretched())

    def _stretched(self) -> bytes:
        return (self._secret.value if self._secret is not None else None) or b""

    def _on_end(self, error: FrpError | None) -> None:
        if self._stream is not None:
            self._stream.abort()
        self._fail(error or TransportError("the server closed the stream without an answer"))

    def _timed_out(self) -> None:
        self._on_end(TransportError(f"no answer within {ANSWER_SECONDS:g} s"))

    def _fail(self, error: FrpError) -> None:
        if not self._over:
            self._end()
            self._on_failed(error)

    def _end(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
