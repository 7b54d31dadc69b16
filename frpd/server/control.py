"""ControlSession: one logged-in client, its proxies and its work connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from frpd.auth.oidc import OidcAuthenticator
from frpd.auth.token import TokenAuthenticator
from frpd.errors import AuthError, FrpError, LimitError, PluginError, ProxyError
from frpd.log import get_logger
from frpd.net.visitor_gate import Crowd
from frpd.proto import native
from frpd.proto.message.types import (
    CloseProxy,
    Login,
    Message,
    NatHoleClient,
    NatHoleReport,
    NatHoleVisitor,
    NewProxy,
    NewProxyResp,
    Ping,
    Pong,
    ReqWorkConn,
)
from frpd.proto.seal_session import SessionSeal
from frpd.selector_loop import SelectorLoop, Timer
from frpd.server.connection import Connection
from frpd.server.direct_streams import DirectStreams
from frpd.server.inbox import Inbox
from frpd.server.login_keys import LoginKeys
from frpd.server.plugins.chain import Decision, Hooks
from frpd.server.plugins.content import CLOSE_PROXY, NEW_PROXY, PING, user_facts
from frpd.server.proxies.base import Proxy
from frpd.server.work_conns import WorkConnPool, WorkSource
from frpd.transports.messages import MessageStream
from frpd.transports.work import WorkStream

_M = TypeVar("_M", bound=Message)

_log = get_logger("frpd.server.control")


class Registry(Protocol):
    """Who makes and keeps proxies: the proxy desk."""

    def new_proxy(self, control: ControlSession, request: NewProxy) -> Proxy:
        """Register a proxy; ProxyError if it cannot be."""

    def proxy_closed(self, proxy: Proxy) -> None:
        """A proxy of a client is no more."""


class Keeper(Protocol):
    """Who keeps sessions: the service."""

    def told(self, detail: str, summary: str) -> str:
        """What a client may hear of an error, by ``detailed_errors_to_client``."""

    def control_closed(self, control: ControlSession, reason: str) -> None:
        """A client is gone, with all its proxies."""

    def nat_hole(self, control: ControlSession, message: Message) -> None:
        """A client has something to say about hole punching."""


class ControlSession:
    """One client. Loop thread only.

    Args:
        loop: the loop.
        keeper: the service.
        registry: makes its proxies.
        connection: what the client came on; closed with the session.
        stream: its control stream, encrypted already.
        login: what it said.
        run_id: its name.
        features: what both ends are able to, see frpd.proto.native.
        seal: of a sealed session.
        keys: that it logged in with.
        auth: checks its pings and work connections.
        hooks: are asked about its messages.
        pool_count: work connections to keep ready.
        user_conn_timeout_seconds: how long a visitor waits for one.
        heartbeat_timeout_seconds: silence after which the client is dropped;
            <= 0 for never.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        keeper: Keeper,
        registry: Registry,
        connection: Connection,
        stream: MessageStream,
        *,
        login: Login,
        run_id: str,
        features: frozenset[str],
        seal: SessionSeal | None,
        keys: LoginKeys,
        auth: TokenAuthenticator | OidcAuthenticator,
        hooks: Hooks,
        pool_count: int,
        user_conn_timeout_seconds: float,
        heartbeat_timeout_seconds: float,
    ) -> None:
        self.loop = loop
        self.connection = connection
        self.login = login
        self.run_id = run_id
        self.features = features
        self.seal = seal
        self.keys = keys
        self.auth = auth
        self._hooks = hooks
        self.log = _log.prefixed(run_id)
        self.since = loop.now()
        self.proxies: dict[str, Proxy] = {}
        self.visitors = Crowd()
        self.work_conns = self._work_source(pool_count, user_conn_timeout_seconds)
        self._keeper = keeper
        self._registry = registry
        self._stream = stream
        self._heartbeat_timeout = heartbeat_timeout_seconds
        self._last_ping = loop.now()
        self._timer: Timer | None = None
        self._closed = False
        self._handlers: dict[type[Message], Callable[[Message], None]] = {
            NewProxy: self._on_new_proxy,
            CloseProxy: self._on_close_proxy,
            Ping: self._on_ping,
            NatHoleVisitor: self._on_nat_hole,
            NatHoleClient: self._on_nat_hole,
            NatHoleReport: self._on_nat_hole,
        }
        self._inbox = Inbox(self._handle)
        self._decision: Decision[Any] | None = None
        stream.on_message = self._on_message
        stream.on_end = self._on_end
        self._arm_heartbeat()

    @property
    def is_sealed(self) -> bool:
        """Whether both ends have proved that they know the token, and all is under its keys."""
        return self.seal is not None

    @property
    def user(self) -> str:
        """As it said at login."""
        return self.login.user

    @property
    def source(self) -> str:
        """The host that it comes from."""
        return self.connection.source

    def send(self, message: Message) -> None:
        """Send it a message; nothing happens if it has gone."""
        self._stream.send(message)

    def work_arrived(self, work: WorkStream) -> bool:
        """Take a work connection; False if it is one too many."""
        return not self._closed and self.work_conns.arrived(work)

    def close(self, reason: str) -> None:
        """End the session: proxies, ports and connections are free at once. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._inbox.close()
        if self._decision is not None:
            self._decision.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self.work_conns.close()
        proxies, self.proxies = self.proxies, {}
        for proxy in proxies.values():
            proxy.close()
            self._forget_proxy(proxy)
        self._stream.close()
        self.connection.close()
        if self.seal is not None:
            self.seal.erase()
        self.log.info("client exit success: %s", reason)
        self._keeper.control_closed(self, reason)

    def _work_source(self, pool_count: int, wait_seconds: float) -> WorkSource:
        if native.DIRECT_STREAM in self.features:
            return DirectStreams(
                self.loop, self.connection.open_stream, seal=self.seal, wait_seconds=wait_seconds
            )
        return WorkConnPool(
            self.loop, self._request_work, pool_count=pool_count, wait_seconds=wait_seconds
        )

    def _request_work(self) -> None:
        self._stream.send(ReqWorkConn())

    def _on_message(self, message: Message) -> None:
        try:
            self._inbox.receive(message)
        except LimitError as error:
            self.close(str(error))

    def _handle(self, message: Message) -> None:
        handler = self._handlers.get(type(message))
        if handler is None:
            self.log.warning("ignored a %s on the control stream", type(message).__name__)
        else:
            handler(message)

    def _ask(
        self,
        op: str,
        message: _M,
        then: Callable[[_M], None],
        refused: Callable[[_M, FrpError], None],
    ) -> None:
        """Go on with a message as the server plugins leave it; the next one waits for that."""
        if not self._hooks.want(op):
            then(message)
            return

        def done(changed: _M) -> None:
            then(changed)
            self._inbox.go_on()

        def failed(error: PluginError) -> None:
            refused(message, error)
            self._inbox.go_on()

        self._inbox.hold()
        facts = user_facts(self.login, self.run_id)
        self._decision = self._hooks.ask(
            op, self.run_id, message, facts, on_done=done, on_refused=failed
        )

    def _on_new_proxy(self, message: Message) -> None:
        assert isinstance(message, NewProxy)
        self._ask(NEW_PROXY, message, self._make_proxy, self._refuse_proxy)

    def _refuse_proxy(self, message: NewProxy, error: FrpError) -> None:
        summary = f"new proxy [{message.proxy_name}] error"
        told = self._keeper.told(str(error), summary)
        self.log.warning("new proxy [%s] error: %s", message.proxy_name, error)
        self._stream.send(NewProxyResp(proxy_name=message.proxy_name, error=told))

    def _make_proxy(self, message: NewProxy) -> None:
        answer = NewProxyResp(proxy_name=message.proxy_name)
        try:
            proxy = self._registry.new_proxy(self, message)
        except ProxyError as error:
            self._refuse_proxy(message, error)
        else:
            self.proxies[message.proxy_name] = proxy
            answer.remote_addr = proxy.remote_addr
            self.log.info(
                "new proxy [%s] success: %s %s", proxy.name, proxy.proxy_type, proxy.remote_addr
            )
            self._stream.send(answer)

    def _forget_proxy(self, proxy: Proxy) -> None:
        self._registry.proxy_closed(proxy)
        if self._hooks.want(CLOSE_PROXY):
            self._hooks.tell_closed(self.run_id, proxy.name, user_facts(self.login, self.run_id))

    def _on_close_proxy(self, message: Message) -> None:
        assert isinstance(message, CloseProxy)
        proxy = self.proxies.pop(message.proxy_name, None)
        if proxy is not None:
            proxy.close()
            self._forget_proxy(proxy)
            self.log.info("close proxy [%s] success", proxy.name)

    def _on_nat_hole(self, message: Message) -> None:
        self._keeper.nat_hole(self, message)

    def _on_ping(self, message: Message) -> None:
        assert isinstance(message, Ping)
        self._ask(PING, message, self._check_ping, self._refuse_ping)

    def _refuse_ping(self, _message: Ping, error: FrpError) -> None:
        self.log.warning("received invalid ping: %s", error)
        self._stream.send(Pong(error=self._keeper.told(str(error), "invalid ping")))
        self.close("invalid ping")

    def _check_ping(self, message: Ping) -> None:
        if not self.auth.heartbeats:
            self._take_ping(message)
            return

        def ready() -> None:
            if not self._closed:
                self._take_ping(message)
                self._inbox.go_on()

        self._inbox.hold()
        self.keys.when_ready(message, ready)

    def _take_ping(self, message: Ping) -> None:
        try:
            self.auth.verify_ping(message)
        except AuthError as error:
            self._refuse_ping(message, error)
            return
        self._last_ping = self.loop.now()
        self.log.debug("receive heartbeat")
        self._stream.send(Pong())

    def _on_end(self, error: FrpError | None) -> None:
        self.close(str(error or "closed by the client"))

    def _arm_heartbeat(self) -> None:
        if self._heartbeat_timeout > 0:
            when = self._last_ping + self._heartbeat_timeout
            self._timer = self.loop.call_at(when, self._heartbeat_due)

    def _heartbeat_due(self) -> None:
        if self._inbox.is_held:  # a ping may wait behind what is being decided
            self._last_ping = self.loop.now()
        if self.loop.now() - self._last_ping >= self._heartbeat_timeout:
            self.close(f"no heartbeat for {self._heartbeat_timeout:g} s")
        else:
            self._arm_heartbeat()
