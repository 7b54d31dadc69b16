"""The server's side of a visit: a work connection as the plain bytes of a visitor, and its end."""

from __future__ import annotations

import contextlib
import struct
from typing import Final

from frpd.client.proxies.base import ProxyContext
from frpd.config.proxies import ProxyConfig
from frpd.errors import ConnectionLost
from frpd.metrics.counters import ProxyCounters
from frpd.net.address import join_host_port
from frpd.net.endpoint import Endpoint
from frpd.net.stream import SocketEnds, socket_of
from frpd.net.transform import TransformEndpoint
from frpd.proto import native, proxy_protocol
from frpd.proto.ciphers import IV_BYTES
from frpd.proto.message.types import StartWorkConn
from frpd.proto.wrappers import wrapper_stack
from frpd.relay.relay import Progress, Relay, RelayResult
from frpd.transports.work import WorkStream

UNKNOWN_HOST: Final = "127.0.0.1"
"""Where visitors came to, if the server does not say; with port 0, as frp has it."""


def open_work(context: ProxyContext, config: ProxyConfig, work: WorkStream) -> Endpoint | None:
    """Return what carries the visitor's own bytes: deciphered and decompressed as configured.

    None if the server disagrees about that; the work connection is over then, and it
    was logged. Nothing is read from it before somebody watches the endpoint.
    """
    endpoint, seal = limited(context, work.endpoint), work.seal
    if seal is not None and seal.reader.ended == config.use_encryption:
        context.log.warning("the server disagrees with us about use_encryption")
        endpoint.abort()
        return None
    if not (config.use_encryption or config.use_compression):
        return endpoint
    codecs = wrapper_stack(
        key=context.cipher_key if config.use_encryption else None,
        compress=config.use_compression,
        iv=context.entropy.token_bytes(IV_BYTES) if config.use_encryption else b"",
        deflate=native.DEFLATE in context.features(),
        sealed=seal.payload() if config.use_encryption and seal is not None else None,
    )
    return TransformEndpoint(endpoint, codecs)


def limited(context: ProxyContext, work: Endpoint) -> Endpoint:
    """Return what keeps to the bandwidth of the proxy, as the wire has it: as frp counts."""
    return work if context.limiter is None else context.limiter.limit(work)


def refuse_work(context: ProxyContext, work: Endpoint) -> None:
    """End a work connection that nothing was said on, so that its visitor hears it at once."""
    if native.HALF_CLOSE in context.features():
        work.abort()  # an end alone would leave the visitor half open
    else:
        work.close()


def introduce(config: ProxyConfig, start: StartWorkConn, local: Endpoint) -> None:
    """Tell a service who comes, in a PROXY protocol header, where the proxy is to and it is known.

    Args:
        config: of the proxy.
        start: what the server says of the visitor; http says no destination.
        local: the service, freshly connected: a header always fits.
    """
    if not (config.proxy_protocol_version and start.src_addr and start.src_port):
        return
    source = start.src_addr, start.src_port
    destination = start.dst_addr or UNKNOWN_HOST, start.dst_port
    # What is no address, and a loss, the service and the relay will find out.
    with contextlib.suppress(ValueError, struct.error, ConnectionLost):
        local.write(proxy_protocol.encode(config.proxy_protocol_version, source, destination))


def source_of(start: StartWorkConn) -> str:
    """Return a visitor's address for the log, as far as the server tells it."""
    return join_host_port(start.src_addr, start.src_port) if start.src_addr else "visitor"


def join(
    context: ProxyContext,
    counters: ProxyCounters,
    local: Endpoint,
    work: Endpoint,
    *,
    source: str,
    begun: float,
    local_half_closes: bool = True,
) -> None:
    """Relay between a service and a visitor until both are over; then count and log it.

    Args:
        context: of the client.
        counters: of the proxy; they know of this visitor already.
        local: the service.
        work: of open_work.
        source: of source_of.
        begun: when the visitor came, on the loop's clock.
        local_half_closes: False if the service's end means that it listens no more either.
    """
    LastLeg(
        context,
        counters,
        local,
        work,
        source=source,
        begun=begun,
        local_half_closes=local_half_closes,
    )


class LastLeg:
    """A service and a visitor that were joined; see join. Loop thread only."""

    __slots__ = ("_begun", "_context", "_counters", "_local", "_relay", "_source")

    def __init__(
        self,
        context: ProxyContext,
        counters: ProxyCounters,
        local: Endpoint,
        work: Endpoint,
        *,
        source: str,
        begun: float,
        local_half_closes: bool,
    ) -> None:
        self._context = context
        self._counters = counters
        self._source = source
        self._local = local
        self._begun = begun
        self._relay = Relay(
            context.loop,
            local,
            work,
            a_half_closes=local_half_closes,
            b_half_closes=native.HALF_CLOSE in context.features(),
            pipes=context.pipes,
            on_done=self._done,
        )
        context.relays.relay_started(self)

    def abort(self, reason: str) -> None:
        """See Running.abort."""
        self._relay.abort(reason)

    def progress(self) -> Progress:
        """See Running.progress."""
        relay, name = self._relay, self._context.name
        return Progress(name, self._source, self._begun, relay.b_to_a, relay.a_to_b)

    def socket(self) -> SocketEnds | None:
        """See Running.socket."""
        return socket_of(self._local)

    def _done(self, result: RelayResult) -> None:
        self._context.relays.relay_ended(self)
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
