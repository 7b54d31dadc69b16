"""Plugins http2http, http2https, https2http and https2https: in front of one local web server.

Requests are passed on one by one, over connections that are kept for the visitor that
caused them. As in frp nobody asks whether a local service's certificate is right: it is
reached by an address that the operator wrote. What X-Forwarded fields say is left alone
where visitors come by plain HTTP, which frps has seen; behind TLS we are the first to see
a request, and tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit

from frpd.client.plugins.base import Guest, GuestServer
from frpd.client.plugins.http_guest import HttpGuest
from frpd.client.plugins.http_origin import status_of
from frpd.client.plugins.tls_end import certificates, secured
from frpd.client.proxies.base import ProxyContext, ServesWork
from frpd.client.proxies.general import LOCAL_DIAL_SECONDS
from frpd.config.proxies import ProxyConfig
from frpd.errors import ConfigError, FrpError, ProxyError, TransportError
from frpd.http.site import Call
from frpd.log import PrefixLogger
from frpd.metrics.counters import ProxyCounters
from frpd.net.address import SockAddr
from frpd.net.endpoint import Endpoint
from frpd.net.pipes import PipePool
from frpd.net.stream import SocketStream
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import RequestHead
from frpd.proto.http.rewrite import AS_ANSWERED, AnswerRules, RequestRules
from frpd.proto.message.types import StartWorkConn
from frpd.selector_loop import Timer

if TYPE_CHECKING:
    from frpd.net.certificates import Contexts

HANDSHAKE_SECONDS: Final = 10.0
HEADER: Final = "plugin_header_"


def serve_http2http(context: ProxyContext, config: ProxyConfig) -> ServesWork:
    """Return who serves a proxy with this plugin; ProxyError if it cannot be."""
    return WebBridge(context, config, outer_tls=False, inner_tls=False).server


def serve_http2https(context: ProxyContext, config: ProxyConfig) -> ServesWork:
    """Return who serves a proxy with this plugin; ProxyError if it cannot be."""
    return WebBridge(context, config, outer_tls=False, inner_tls=True).server


def serve_https2http(context: ProxyContext, config: ProxyConfig) -> ServesWork:
    """Return who serves a proxy with this plugin; ProxyError if it cannot be."""
    return WebBridge(context, config, outer_tls=True, inner_tls=False).server


def serve_https2https(context: ProxyContext, config: ProxyConfig) -> ServesWork:
    """Return who serves a proxy with this plugin; ProxyError if it cannot be."""
    return WebBridge(context, config, outer_tls=True, inner_tls=True).server


class WebBridge:
    """What all visitors of one such proxy share. Loop thread only.

    Args:
        context: of the client.
        config: of the proxy.
        outer_tls: visitors speak TLS, which ends here.
        inner_tls: the local service speaks TLS.

    Raises:
        ProxyError: a key is missing, or cannot be used.
    """

    def __init__(
        self, context: ProxyContext, config: ProxyConfig, *, outer_tls: bool, inner_tls: bool
    ) -> None:
        params = config.plugin_params
        self.context = context
        self.host, self.port = local_address(params.get("plugin_local_addr", ""))
        self.outer: Contexts | None = certificates(context, params) if outer_tls else None
        self.inner = _trusting_everybody(context) if inner_tls else None
        self._host_rewrite = params.get("plugin_host_header_rewrite", "")
        self._headers = {
            name.removeprefix(HEADER): value
            for name, value in params.items()
            if name.startswith(HEADER) and name != HEADER
        }
        self.rules_for("")  # what is wrong with them is to be told at start
        self.server = GuestServer(context, config, self._welcome)

    def rules_for(self, visitor_ip: str) -> RequestRules:
        """Return how requests of this visitor are rewritten.

        Raises:
            ProxyError: a configured header cannot be one.
        """
        is_first = self.outer is not None
        try:
            return RequestRules(
                host_rewrite=self._host_rewrite,
                headers=self._headers,
                visitor_ip=visitor_ip,
                x_forwarded_proto="https" if is_first else "http",
                forwards=is_first,
            )
        except ValueError as error:
            raise ProxyError(str(error)) from error

    def _welcome(self, server: GuestServer, work: Endpoint, start: StartWorkConn) -> Guest:
        return BridgeGuest(server, work, start, self)


class BridgeGuest(HttpGuest):
    """One visitor."""

    def __init__(
        self, server: GuestServer, work: Endpoint, start: StartWorkConn, bridge: WebBridge
    ) -> None:
        super().__init__(server, work, start)
        self._bridge = bridge
        self._site = LocalSite(bridge, self.web, bridge.rules_for(start.src_addr))
        self._handshake: Call | None = None

    def begin(self) -> None:
        """See Guest.begin."""
        if self._bridge.outer is None:
            super().begin()
            return
        self.set_deadline(HANDSHAKE_SECONDS)
        self._handshake = secured(self.work, self._bridge.outer, self._secure, self._insecure)

    def serve(self, head: RequestHead, body: bytes, behind: bytes) -> None:
        """See HttpGuest.serve."""
        self.ask(self._site, head, body, behind)

    def retire(self) -> None:
        """See Guest.retire."""
        if self._handshake is not None:
            self.drop("the proxy has changed")
        else:
            super().retire()

    def left(self) -> None:
        """See Guest.left."""
        if self._handshake is not None:
            self._handshake.cancel()
            self._handshake = None
        super().left()

    def _secure(self, endpoint: Endpoint) -> None:
        self._handshake = None
        self.take_over(endpoint)
        super().begin()

    def _insecure(self, error: TransportError) -> None:
        self._handshake = None
        self.context.log.info("%s: %s", self.source, error)
        self.drop("no TLS")


@dataclass(frozen=True, slots=True)
class LocalSite:
    """The local service, for one visitor."""

    unserved_status: ClassVar[int] = 502
    half_closes: ClassVar[bool] = True
    access: ClassVar[None] = None
    gate: ClassVar[None] = None
    answer_rules: ClassVar[AnswerRules] = AS_ANSWERED

    bridge: WebBridge
    counters: ProxyCounters = field(compare=False, repr=False)
    rules: RequestRules = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """See Site.name."""
        return self.bridge.context.name

    @property
    def log(self) -> PrefixLogger:
        """See Site.log."""
        return self.bridge.context.log

    @property
    def pipes(self) -> PipePool | None:
        """See Site.pipes."""
        return self.bridge.context.pipes

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """See Site.admits: whom to admit is the service's affair."""
        del credentials
        return True

    def rules_for(self, visitor_ip: str) -> RequestRules:
        """See Site.rules_for."""
        del visitor_ip
        return self.rules

    def call(
        self,
        visitor: SockAddr,
        on_work: Callable[[Endpoint], None],
        on_failed: Callable[[FrpError], None],
    ) -> Call:
        """See Site.call."""
        del visitor
        return LocalCall(self.bridge, on_work, on_failed)


class LocalCall:
    """A connection to the local service that is being made; a Call of exchanges."""

    def __init__(
        self,
        bridge: WebBridge,
        on_work: Callable[[Endpoint], None],
        on_failed: Callable[[FrpError], None],
    ) -> None:
        self._bridge = bridge
        self._on_work = on_work
        self._on_failed = on_failed
        self._timer: Timer | None = None
        self._is_over = False
        self._step: Call | None = None
        step = bridge.context.connector.connect(
            bridge.host,
            bridge.port,
            self._connected,
            self._failed,
            timeout_seconds=LOCAL_DIAL_SECONDS,
        )
        if self._step is None:  # unless it has answered already
            self._step = step

    def cancel(self) -> None:
        """See Call.cancel. Idempotent."""
        if self._end() and self._step is not None:
            self._step.cancel()

    def _connected(self, local: SocketStream) -> None:
        bridge = self._bridge
        if bridge.inner is None:
            self._ready(local)
            return
        # The ssl module costs a tenth of the start; who gets here has it already.
        from frpd.net.tls import TlsHandshake  # noqa: PLC0415

        self._timer = bridge.context.loop.call_later(HANDSHAKE_SECONDS, self._too_slow)
        self._step = TlsHandshake(
            local,
            bridge.inner,
            server_side=False,
            server_hostname=bridge.host,
            on_ready=self._ready,
            on_failed=self._failed,
        )

    def _ready(self, endpoint: Endpoint) -> None:
        if self._end():
            self._on_work(endpoint)

    def _failed(self, error: TransportError) -> None:
        if self._end():
            self._on_failed(HttpError(status_of(error), str(error)))

    def _too_slow(self) -> None:
        self.cancel()
        self._on_failed(HttpError(504, f"no TLS handshake within {HANDSHAKE_SECONDS:g} s"))

    def _end(self) -> bool:
        was_over, self._is_over = self._is_over, True
        if self._timer is not None:
            self._timer.cancel()
        return not was_over


def local_address(text: str) -> tuple[str, int]:
    """Return host and port of ``plugin_local_addr``.

    Raises:
        ProxyError: it is none.
    """
    if not text:
        raise ProxyError("plugin_local_addr is required")
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "127.0.0.1", parts.port
    except ValueError:
        host, port = "", None
    if not host or not port or set("/?#@ ") & set(text):
        raise ProxyError(f"plugin_local_addr {text!r} is not host:port")
    return host, port


def _trusting_everybody(context: ProxyContext) -> Contexts:
    # Importing ssl costs a tenth of the start, so only who uses TLS pays.
    from frpd.net.certificates import client_contexts  # noqa: PLC0415

    try:
        return client_contexts("", "", "", now=context.loop.now)
    except ConfigError as error:
        raise ProxyError(str(error)) from error
