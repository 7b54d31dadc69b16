"""Service: frpc as a whole. Reaches the server, logs in, and does so again for ever."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable

from frpd.auth.token import TokenAuthenticator
from frpd.client.control import PROBE_SECONDS, ControlSession
from frpd.client.login import Backoff
from frpd.client.proxies import PROXIES
from frpd.client.proxies.general import ProxyContext, ServesWork
from frpd.client.proxy_table import ProxyTable
from frpd.clock import unix_now
from frpd.config.client import ClientSetup
from frpd.config.proxies import ProxyConfig
from frpd.entropy import Entropy
from frpd.errors import FrpError, TransportError
from frpd.log import get_logger
from frpd.net.connector import Connector
from frpd.net.endpoint import Endpoint
from frpd.net.pipes import PipePool
from frpd.proto import deflate, native
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.types import EMULATED_VERSION, Login, LoginResp, Message
from frpd.proto.wrappers import CipherCodec
from frpd.proto.yamux.window import WindowBudget
from frpd.relay.relay import Relay
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports import TRANSPORTS
from frpd.transports.base import DirectLink, MuxedLink, ServerLink, Transport
from frpd.transports.messages import MessageStream
from frpd.transports.mux import MAX_WINDOW_BYTES

LOGIN_ANSWER_SECONDS = 10.0
# A session that lasted this long was a real one; after it we come back at once.
STABLE_SECONDS = 5.0

# Go's names for what uname calls otherwise.
GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}

_log = get_logger("frpd.client.service")


class Service:
    """The client. Loop thread only.

    Args:
        loop: the loop.
        connector: dials the server and the local services.
        setup: checked configuration.
        entropy: for jitter and ciphers.
        on_fatal: called when the first login fails and ``login_fail_exit``
            asks to give up, with the reason.
        on_first_login: called when the server has let us in for the first time.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        connector: Connector,
        setup: ClientSetup,
        entropy: Entropy,
        on_fatal: Callable[[str], None],
        *,
        on_first_login: Callable[[], None] = lambda: None,
    ) -> None:
        common = setup.common
        self._loop = loop
        self._common = common
        self._entropy = entropy
        self._on_fatal = on_fatal
        self._on_first_login = on_first_login
        self._transport: Transport = TRANSPORTS[common.protocol](
            connector,
            common.server_addr,
            common.server_port,
            timeout_seconds=common.dial_server_timeout,
            keepalive_seconds=common.dial_server_keepalive,
        )
        self._auth = TokenAuthenticator(
            common.token,
            0,
            heartbeats=common.authenticate_heartbeats,
            new_work_conns=common.authenticate_new_work_conns,
        )
        self._cipher_key = derive_key(common.token.reveal())
        self._pipes = PipePool(common.splice_pipe_bytes, common.splice_budget_bytes)
        self._windows = WindowBudget(common.window_budget_bytes, MAX_WINDOW_BYTES)
        self._backoff = Backoff(entropy)
        self._link: ServerLink | None = None
        self._login: LoginAttempt | None = None
        self._control: ControlSession | None = None
        self._retry: Timer | None = None
        self._features: frozenset[str] = frozenset()
        self._run_id = ""
        self._entered_once = False
        self._entered_at = 0.0
        self._on_idle: Callable[[], None] | None = None
        self._closed = False
        self.relays: set[Relay] = set()
        self.table = ProxyTable(setup.proxies, self._make_servers(setup, connector), _log)

    def start(self) -> None:
        """Connect and log in."""
        self._try_login()

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """Take no more visitors; call ``on_idle`` once no relay runs. Then close()."""
        self._on_idle = on_idle
        if self._control is not None:
            self._control.withdraw()
        self._report_idle()

    def close(self) -> None:
        """Drop everything. Idempotent."""
        self._closed = True
        self._on_idle = None
        if self._retry is not None:
            self._retry.cancel()
        self._drop_attempt()
        if self._control is not None:
            self._control.close()
        for entry in self.table.entries.values():
            if entry.server is not None:
                entry.server.close()
        for relay in list(self.relays):
            relay.abort("the client stops")
        self._pipes.close()

    def network_changed(self) -> None:
        """An address, a route or a link of this machine changed: act on what it may mean."""
        if self._closed:
            return
        if self._control is not None:
            self._control.probe()
        if self._retry is not None:  # perhaps because of the probe
            self._retry.cancel()
            self._try_login()
        elif self._link is not None:
            self._loop.call_later(PROBE_SECONDS, self._begin_anew, self._link)

    # Relays.

    def relay_started(self, relay: Relay) -> None:
        """A relay began."""
        self.relays.add(relay)

    def relay_ended(self, relay: Relay) -> None:
        """It is over."""
        self.relays.discard(relay)
        self._report_idle()

    def _report_idle(self) -> None:
        if self._on_idle is not None and not self.relays:
            on_idle, self._on_idle = self._on_idle, None
            self._loop.call_soon(on_idle)

    # Logging in.

    def _try_login(self) -> None:
        self._retry = None
        _log.debug("try to connect to server...")
        link = self._link = self._make_link()
        link.open_stream(self._stream_opened, self._unreachable)

    def _make_link(self) -> ServerLink:
        if not self._common.tcp_mux:
            return DirectLink(self._transport)
        return MuxedLink(
            self._loop,
            self._transport,
            keepalive_seconds=self._common.tcp_mux_keepalive_interval,
            windows=self._windows,
            on_lost=self._link_lost,
        )

    def _stream_opened(self, endpoint: Endpoint) -> None:
        credential = self._auth.login_fields(unix_now())
        login = Login(
            version=EMULATED_VERSION,
            hostname=platform.node(),
            os="linux",
            arch=GO_ARCHITECTURES.get(os.uname().machine, os.uname().machine),
            user=self._common.user,
            privilege_key=credential.privilege_key,
            timestamp=credential.timestamp,
            run_id=self._run_id,
            metas=dict(self._common.metas),
            pool_count=self._common.pool_count,
            frpd=native.offer(willing) if (willing := self._willing()) else None,
        )
        self._login = LoginAttempt(self._loop, endpoint, login, self._answered, self._unreachable)

    def _willing(self) -> frozenset[str]:
        return native.willing(
            self._common.native,
            mux=self._common.tcp_mux,
            deflates=deflate.IS_WORTH_IT,
            seals=False,
        )

    def _answered(self, stream: MessageStream, answer: LoginResp) -> None:
        self._login = None
        if answer.error:
            _log.error("%s", answer.error)
            stream.close()
            self._failed(answer.error, self._backoff.refused)
            return
        assert self._link is not None
        self._backoff.succeeded()
        first_login = not self._entered_once
        self._entered_once = True
        self._entered_at = self._loop.now()
        self._run_id = answer.run_id
        self._features = native.read_answer(answer.frpd, self._willing())
        stream.encrypt(CipherCodec(self._cipher_key, self._entropy.token_bytes(IV_BYTES)))
        log = _log.prefixed(self._run_id)
        log.info(
            "login to server success, get run id [%s], server udp port [%d]",
            answer.run_id,
            answer.server_udp_port,
        )
        if first_login:
            self._on_first_login()
        link, self._link = self._link, None
        self._control = ControlSession(
            self._loop,
            link,
            stream,
            run_id=answer.run_id,
            features=self._features,
            auth=self._auth,
            table=self.table,
            heartbeat_interval_seconds=self._common.heartbeat_interval,
            heartbeat_timeout_seconds=self._common.heartbeat_timeout,
            log=log,
            on_lost=self._session_lost,
        )
        self._control.start()

    def _unreachable(self, error: TransportError) -> None:
        self._failed(str(error), self._backoff.unreachable)

    def _failed(self, reason: str, pause: Callable[[], float]) -> None:
        self._drop_attempt()
        if self._closed:
            return
        _log.warning("login to server failed: %s", reason)
        if self._common.login_fail_exit and not self._entered_once:
            self._on_fatal(reason)
            return
        self._retry = self._loop.call_later(pause(), self._try_login)

    def _link_lost(self, reason: str) -> None:
        if self._control is not None:
            self._control.lost(reason)
        else:
            self._unreachable(TransportError(reason))

    def _session_lost(self, reason: str) -> None:
        self._control = None
        if self._closed:
            return
        _log.warning("session with the server lost: %s; try to reconnect to server...", reason)
        # At once, unless the server lets us in only to drop us again.
        lasted = self._loop.now() - self._entered_at
        pause = 0.0 if lasted >= STABLE_SECONDS else self._backoff.unreachable()
        self._retry = self._loop.call_later(pause, self._try_login)

    def _begin_anew(self, link: ServerLink) -> None:
        """Give up an attempt from before a change that has got nowhere since."""
        if self._link is link:
            self._drop_attempt()
            self._try_login()

    def _drop_attempt(self) -> None:
        if self._login is not None:
            self._login.close()
            self._login = None
        if self._link is not None:
            self._link.close()
            self._link = None

    def _make_servers(self, setup: ClientSetup, connector: Connector) -> dict[str, ServesWork]:
        def context(config: ProxyConfig) -> ProxyContext:
            return ProxyContext(
                loop=self._loop,
                entropy=self._entropy,
                connector=connector,
                relays=self,
                log=_log.prefixed(config.section),
                cipher_key=self._cipher_key,
                pipes=self._pipes,
                features=lambda: self._features,
            )

        return {
            config.name: PROXIES[config.proxy_type](context(config), config)
            for config in setup.proxies
            if config.proxy_type in PROXIES and not config.plugin
        }


class LoginAttempt:
    """Sends Login and waits for the answer, under a deadline.

    Exactly one of ``on_answer`` and ``on_failed`` is called, unless closed.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        endpoint: Endpoint,
        login: Login,
        on_answer: Callable[[MessageStream, LoginResp], None],
        on_failed: Callable[[TransportError], None],
    ) -> None:
        self._on_answer = on_answer
        self._on_failed = on_failed
        self._timer = loop.call_later(LOGIN_ANSWER_SECONDS, self._timed_out)
        self._stream = MessageStream(loop, endpoint, self._on_message, self._on_end)
        self._stream.send(login)

    def close(self) -> None:
        """Give up silently. Idempotent."""
        self._timer.cancel()
        self._stream.abort()

    def _on_message(self, message: Message) -> None:
        self._timer.cancel()
        if isinstance(message, LoginResp):
            self._on_answer(self._stream, message)
        else:
            self._fail(f"unexpected {type(message).__name__} as answer to login")

    def _on_end(self, error: FrpError | None) -> None:
        self._fail(str(error or "the server closed the connection without an answer"))

    def _timed_out(self) -> None:
        self._fail(f"no answer to login within {LOGIN_ANSWER_SECONDS:g} s")

    def _fail(self, reason: str) -> None:
        self.close()
        self._on_failed(TransportError(reason))
