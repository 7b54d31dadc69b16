"""A call for work: from a proxy that has a visitor to a work connection that takes bytes.

The connection comes from the client's stock, or when the client brings one; it
is told whom it is for with StartWorkConn, and wrapped as the proxy's settings
say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from frpd.errors import ConnectionLost, FrpError, LimitError, TransportError
from frpd.net.address import SockAddr, host_of
from frpd.net.endpoint import Endpoint
from frpd.net.transform import TransformEndpoint
from frpd.proto import native
from frpd.proto.ciphers import IV_BYTES
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import StartWorkConn
from frpd.proto.seal import StreamSeal
from frpd.proto.wrappers import wrapper_stack
from frpd.server.proxies.base import ProxyContext
from frpd.server.work_conns import Waiting
from frpd.transports.work import WorkStream

NOWHERE: Final[SockAddr] = ("", 0)
"""Where requests of http visitors came to: frp does not tell their service."""

OnReady = Callable[[Endpoint], None]
OnFailed = Callable[[FrpError], None]


def introduction(name: str, source: SockAddr, destination: SockAddr = NOWHERE) -> StartWorkConn:
    """Return what introduces a visitor to the client.

    Args:
        name: of the proxy.
        source: where the visitor is.
        destination: the address that it came to.
    """
    return StartWorkConn(
        proxy_name=name,
        src_addr=host_of(source),
        src_port=source[1],
        dst_addr=host_of(destination),
        dst_port=destination[1],
    )


def call_for_work(
    context: ProxyContext,
    hello: StartWorkConn,
    on_ready: OnReady,
    on_failed: OnFailed,
    *,
    use_encryption: bool,
    use_compression: bool,
) -> WorkCall:
    """Get a work connection for this visitor, at once or later.

    Exactly one of the two is called, maybe before this returns, unless cancelled.
    """
    call = WorkCall(
        context,
        hello,
        on_ready,
        on_failed,
        use_encryption=use_encryption,
        use_compression=use_compression,
    )
    call.make()
    return call


class WorkCall:
    """One call under way; see call_for_work."""

    __slots__ = ("_attempts", "_compress", "_context", "_encrypt", "_hello", "_on_failed",
                 "_on_ready", "_waiting")  # fmt: skip

    def __init__(
        self,
        context: ProxyContext,
        hello: StartWorkConn,
        on_ready: OnReady,
        on_failed: OnFailed,
        *,
        use_encryption: bool,
        use_compression: bool,
    ) -> None:
        self._context = context
        self._hello = encode_message(hello)
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._encrypt = use_encryption
        self._compress = use_compression
        self._attempts = context.work_conns.ready + 1
        self._waiting: Waiting | None = None

    def make(self) -> None:
        """Ask for a work connection."""
        try:
            self._waiting = self._context.work_conns.acquire(self._arrived, self._on_failed)
        except LimitError as error:
            self._on_failed(error)

    def cancel(self) -> None:
        """Call nothing any more; only before one of the two was called."""
        if self._waiting is not None:
            self._waiting.cancel()

    def _arrived(self, stream: WorkStream) -> None:
        work, seal = stream.endpoint, stream.seal
        hello = self._hello
        if seal is not None:
            hello = seal.writer.write(hello, final=not self._encrypt)
        try:
            sent = work.write(hello)
        except ConnectionLost:
            sent = 0
        if sent == len(hello):
            ready = self._wrap(work, seal)
            limiter = self._context.limiter
            self._on_ready(ready if limiter is None else limiter.limit(ready))
            return
        # Died in stock, or its trunk is jammed: no use to this visitor.
        work.abort()
        self._attempts -= 1
        if self._attempts > 0:
            self.make()
        else:
            self._on_failed(TransportError("no work connection takes bytes"))

    def _wrap(self, work: Endpoint, seal: StreamSeal | None) -> Endpoint:
        if not (self._encrypt or self._compress):
            return work
        context = self._context
        codecs = wrapper_stack(
            key=context.cipher_key if self._encrypt else None,
            compress=self._compress,
            iv=context.entropy.token_bytes(IV_BYTES) if self._encrypt else b"",
            deflate=native.DEFLATE in context.features,
            sealed=seal.payload() if self._encrypt and seal is not None else None,
        )
        return TransformEndpoint(work, codecs)
