"""GeneralProxy: a work connection is joined to a connection to the local service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from frpd.config.proxies import ProxyConfig
from frpd.entropy import Entropy
from frpd.errors import TransportError
from frpd.log import PrefixLogger
from frpd.metrics.counters import ProxyCounters
from frpd.net.connector import Attempt, Connector
from frpd.net.endpoint import Endpoint
from frpd.net.pipes import PipePool
from frpd.net.stream import SocketStream
from frpd.net.transform import TransformEndpoint
from frpd.proto import native
from frpd.proto.ciphers import IV_BYTES
from frpd.proto.message.types import StartWorkConn
from frpd.proto.wrappers import wrapper_stack
from frpd.relay.relay import Relay, RelayResult, Relays
from frpd.selector_loop import SelectorLoop
from frpd.transports.work import WorkStream

# The local service is near: who does not answer within this is down.
LOCAL_DIAL_SECONDS = 10.0


class ServesWork(Protocol):
    """What a proxy type does with a work connection."""

    counters: ProxyCounters

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        """Take over a work connection that the server gave to this proxy."""

    def close(self) -> None:
        """Give up what is not a relay yet. Idempotent."""


@dataclass(frozen=True, slots=True)
class ProxyContext:
    """What a proxy may use of the client."""

    loop: SelectorLoop
    entropy: Entropy
    connector: Connector
    relays: Relays
    log: PrefixLogger
    cipher_key: bytes
    features: Callable[[], frozenset[str]]
    """Of the session with the server, see frpd.proto.native."""
    server_version: Callable[[], str] = str
    """What the server said it is, frp's number such as ``0.21.0``; "" before login."""
    udp_packet_bytes: int = 1500
    """The largest datagram that is carried."""
    udp_session_seconds: float = 60.0
    """Silence after which a UDP visitor is forgotten."""
    udp_max_sessions: int = 1024
    """UDP visitors at a time; the one silent longest gives way."""
    pipes: PipePool | None = None
    """For relays that carry bulk; None to copy everything."""


class GeneralProxy:
    """Serves tcp-like proxies. Loop thread only.

    Args:
        context: of the client.
        config: of this proxy.
    """

    def __init__(self, context: ProxyContext, config: ProxyConfig) -> None:
        self.counters = ProxyCounters()
        self._context = context
        self._config = config
        self._dialing: set[LocalVisit] = set()

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        """See ServesWork.on_work."""
        seal = work.seal
        if seal is not None and seal.reader.ended == self._config.use_encryption:
            self._context.log.warning("the server disagrees with us about use_encryption")
            work.endpoint.abort()
            return
        visit = LocalVisit(self._context, self._config, self.counters, work, start)
        visit.dial(self._dialing)

    def close(self) -> None:
        """See ServesWork.close."""
        for visit in list(self._dialing):
            visit.give_up()


class LocalVisit:
    """One visitor's last leg: dial the local service, then relay.

    Until the service answers nothing is read from the work connection, so the
    visitor's first bytes wait where they are.
    """

    __slots__ = (
        "_attempt",
        "_begun",
        "_config",
        "_context",
        "_counters",
        "_dialing",
        "_relay",
        "_source",
        "_work",
    )

    def __init__(
        self,
        context: ProxyContext,
        config: ProxyConfig,
        counters: ProxyCounters,
        work: WorkStream,
        start: StartWorkConn,
    ) -> None:
        self._context = context
        self._config = config
        self._counters = counters
        self._work = self._wrap(work)
        self._source = f"{start.src_addr}:{start.src_port}" if start.src_addr else "visitor"
        self._begun = context.loop.now()
        self._relay: Relay | None = None
        self._attempt: Attempt | None = None
        self._dialing: set[LocalVisit] = set()
        counters.opened()

    def dial(self, dialing: set[LocalVisit]) -> None:
        """Connect to the service; in the set until that has succeeded or failed."""
        self._dialing = dialing
        dialing.add(self)
        self._attempt = self._context.connector.connect(
            self._config.local_ip,
            self._config.local_port,
            self._connected,
            self._refused,
            timeout_seconds=LOCAL_DIAL_SECONDS,
            keepalive_seconds=0,  # the visitor's side notices
        )

    def give_up(self) -> None:
        """Drop the visitor; only while it is in the set given to dial."""
        self._dialing.discard(self)
        if self._attempt is not None:
            self._attempt.cancel()
        self._counters.closed(0, 0)
        self._work.abort()

    def _wrap(self, stream: WorkStream) -> Endpoint:
        config, context = self._config, self._context
        work, seal = stream.endpoint, stream.seal
        if not (config.use_encryption or config.use_compression):
            return work
        codecs = wrapper_stack(
            key=context.cipher_key if config.use_encryption else None,
            compress=config.use_compression,
            iv=context.entropy.token_bytes(IV_BYTES) if config.use_encryption else b"",
            deflate=native.DEFLATE in context.features(),
            sealed=seal.payload() if config.use_encryption and seal is not None else None,
        )
        return TransformEndpoint(work, codecs)

    def _connected(self, local: SocketStream) -> None:
        self._dialing.discard(self)
        self._relay = Relay(
            self._context.loop,
            local,
            self._work,
            b_half_closes=native.HALF_CLOSE in self._context.features(),
            pipes=self._context.pipes,
            on_done=self._done,
        )
        self._context.relays.relay_started(self._relay)

    def _refused(self, error: TransportError) -> None:
        self._dialing.discard(self)
        self._context.log.warning("local service refused %s: %s", self._source, error)
        self._counters.closed(0, 0)
        if native.HALF_CLOSE in self._context.features():
            self._work.abort()  # an end alone would leave the visitor half open
        else:
            self._work.close()

    def _done(self, result: RelayResult) -> None:
        if self._relay is not None:
            self._context.relays.relay_ended(self._relay)
        self._counters.closed(result.b_to_a, result.a_to_b)
        self._context.log.debug(
            "%s %s after %.3f s: %d bytes in, %d bytes out%s",
            self._source,
            result.ending.value,
            self._context.loop.now() - self._begun,
            result.b_to_a,
            result.a_to_b,
            f" ({result.reason})" if result.reason else "",
        )
