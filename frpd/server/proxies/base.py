"""What every proxy type on the server shares: a visitor gets a work connection.

The path of one visitor: the type's listener hands over a connection, ``Visit``
takes a work connection from the client's pool, introduces the visitor with
StartWorkConn, and joins the two. No code of a proxy runs per byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from frpd.entropy import Entropy
from frpd.errors import ConnectionLost, LimitError, TransportError
from frpd.log import PrefixLogger
from frpd.metrics.counters import ProxyCounters
from frpd.net.endpoint import Endpoint
from frpd.net.pipes import PipePool
from frpd.net.transform import TransformEndpoint
from frpd.proto import native
from frpd.proto.ciphers import IV_BYTES
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import StartWorkConn
from frpd.proto.seal import StreamSeal
from frpd.proto.wrappers import wrapper_stack
from frpd.relay.relay import Relay, RelayResult, Relays
from frpd.selector_loop import SelectorLoop
from frpd.server.ports import PortManager
from frpd.server.work_conns import Waiting, WorkSource
from frpd.transports.work import WorkStream


class Proxy(Protocol):
    """One registered proxy."""

    name: str
    proxy_type: str
    remote_addr: str
    """What NewProxyResp tells the client, such as ``:6000``."""
    counters: ProxyCounters

    @property
    def ports_used(self) -> int:
        """How many of the client's ports it counts for."""

    def close(self) -> None:
        """Accept no visitors any more; those connected stay. Idempotent."""


@dataclass(frozen=True, slots=True)
class ProxyContext:
    """What a proxy may use of its client's session and the service."""

    loop: SelectorLoop
    entropy: Entropy
    log: PrefixLogger
    work_conns: WorkSource
    relays: Relays
    tcp_ports: PortManager
    udp_ports: PortManager
    bind_addr: str
    explain_taken_port: Callable[[str, int], None]
    """Finds out, without blocking, which process holds a port, and logs it."""
    cipher_key: bytes
    features: frozenset[str]
    """Of the session, see frpd.proto.native."""
    peer_version: str = ""
    """The client's, as it said at login: frp's number, such as ``0.21.0``."""
    udp_packet_bytes: int = 1500
    """The largest datagram that is carried."""
    pipes: PipePool | None = None
    """For relays that carry bulk; None to copy everything."""


class Visit:
    """One visitor on its way to the service. Loop thread only.

    Args:
        context: of the proxy.
        counters: of the proxy.
        visitor: its connection; owned from now on.
        hello: introduces it to the client.
        use_encryption: of the proxy.
        use_compression: of the proxy.
    """

    __slots__ = (
        "_attempts",
        "_begun",
        "_compress",
        "_context",
        "_counters",
        "_encrypt",
        "_hello",
        "_relay",
        "_visitor",
        "_waiting",
    )

    def __init__(
        self,
        context: ProxyContext,
        counters: ProxyCounters,
        visitor: Endpoint,
        hello: StartWorkConn,
        *,
        use_encryption: bool,
        use_compression: bool,
    ) -> None:
        self._context = context
        self._counters = counters
        self._visitor = visitor
        self._hello = encode_message(hello)
        self._encrypt = use_encryption
        self._compress = use_compression
        self._begun = context.loop.now()
        self._attempts = context.work_conns.ready + 1
        self._relay: Relay | None = None
        self._waiting: Waiting | None = None
        counters.opened()
        self._acquire()

    def _acquire(self) -> None:
        try:
            self._waiting = self._context.work_conns.acquire(self._got_work, self._no_work)
        except LimitError as error:
            self._no_work(error)

    def _got_work(self, stream: WorkStream) -> None:
        work, seal = stream.endpoint, stream.seal
        hello = self._hello
        if seal is not None:
            hello = seal.writer.write(hello, final=not self._encrypt)
        try:
            sent = work.write(hello)
        except ConnectionLost:
            sent = 0
        if sent < len(hello):
            # Died in stock, or its trunk is jammed: no use to this visitor.
            work.abort()
            self._attempts -= 1
            if self._attempts > 0:
                self._acquire()
            else:
                self._no_work(TransportError("no work connection takes bytes"))
            return
        self._join(work, seal)

    def _no_work(self, error: TransportError | LimitError) -> None:
        self._context.log.warning("visitor %s refused: %s", self._visitor.describe(), error)
        self._visitor.abort()
        self._counters.closed(0, 0)

    def _join(self, work: Endpoint, seal: StreamSeal | None) -> None:
        context = self._context
        if self._encrypt or self._compress:
            codecs = wrapper_stack(
                key=context.cipher_key if self._encrypt else None,
                compress=self._compress,
                iv=context.entropy.token_bytes(IV_BYTES) if self._encrypt else b"",
                deflate=native.DEFLATE in context.features,
                sealed=seal.payload() if self._encrypt and seal is not None else None,
            )
            work = TransformEndpoint(work, codecs)
        self._relay = Relay(
            context.loop,
            self._visitor,
            work,
            b_half_closes=native.HALF_CLOSE in context.features,
            pipes=context.pipes,
            on_done=self._done,
        )
        context.relays.relay_started(self._relay)

    def _done(self, result: RelayResult) -> None:
        context = self._context
        if self._relay is not None:
            context.relays.relay_ended(self._relay)
        self._counters.closed(result.a_to_b, result.b_to_a)
        context.log.info(
            "visitor %s %s after %.3f s: %d bytes in, %d bytes out%s",
            self._visitor.describe(),
            result.ending.value,
            context.loop.now() - self._begun,
            result.a_to_b,
            result.b_to_a,
            f" ({result.reason})" if result.reason else "",
        )
