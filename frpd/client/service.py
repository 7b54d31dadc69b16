"""Service: frpc as a whole. Reaches the server, logs in, and does so again for ever."""

from __future__ import annotations

from collections.abc import Callable

from frpd.auth.token import Credential
from frpd.client.control import PROBE_SECONDS, ControlSession
from frpd.client.credentials import make_credentials, seals_with_token
from frpd.client.health.watch import HealthWatch
from frpd.client.history import Event, SessionHistory
from frpd.client.login import Backoff
from frpd.client.login_attempt import (
    NO_SEAL,
    Entry,
    LoginAttempt,
    Offer,
    closed_hint,
    make_login,
)
from frpd.client.nathole.generation import HoleContext
from frpd.client.proxies.base import ProxyContext
from frpd.client.proxy_table import Build, ProxyEntry, ProxyTable, Send
from frpd.client.reload import SetupChanges, compare, for_user
from frpd.client.retired import RetiredServers
from frpd.client.servers import DATAGRAM_TYPES, make_server
from frpd.client.session_facts import SessionFacts
from frpd.client.visitors import VISITORS
from frpd.client.visitors.base import Visitor, VisitorContext
from frpd.client.visitors.table import VisitorTable
from frpd.client.way import way_to_server
from frpd.clock import unix_now
from frpd.config.client import ClientConfig, ClientSetup
from frpd.config.proxies import ProxyConfig
from frpd.config.visitors import VisitorConfig
from frpd.entropy import Entropy
from frpd.errors import LimitError, TransportError
from frpd.log import get_logger
from frpd.net.connector import Connector
from frpd.net.endpoint import Endpoint
from frpd.net.pipes import PipePool
from frpd.proto import native
from frpd.proto.ciphers import derive_key
from frpd.proto.yamux.window import WindowBudget
from frpd.relay.limiter import limiter_for
from frpd.relay.relay import Running
from frpd.selector_loop import SelectorLoop, Timer
from frpd.transports.base import ServerLink, make_link
from frpd.transports.mux import MAX_WINDOW_BYTES
from frpd.transports.stretched import StretchedSecret
from frpd.workers import WorkerPool

# A session that lasted this long was a real one; after it we come back at once.
STABLE_SECONDS = 5.0

_log = get_logger("frpd.client.service")


class Service:
    """The client. Loop thread only.

    Args:
        loop: the loop.
        pool: for what takes long.
        connector: dials the server and the local services.
        setup: checked configuration.
        entropy: for jitter and ciphers.
        on_fatal: called when the first login fails and ``login_fail_exit``
            asks to give up, with the reason.
        on_first_login: called when the server has let us in for the first time.
        stretched: has the token stretched, since that was begun before; any thread.

    Raises:
        ConfigError: a certificate or a key cannot be used.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        pool: WorkerPool,
        connector: Connector,
        setup: ClientSetup,
        entropy: Entropy,
        *,
        on_fatal: Callable[[str], None],
        on_first_login: Callable[[], None] = lambda: None,
        stretched: Callable[[], bytes] | None = None,
    ) -> None:
        common = setup.common
        self._loop = loop
        self._common = common
        self._entropy = entropy
        self._on_fatal = on_fatal
        self._on_first_login = on_first_login
        self._transport = way_to_server(loop, connector, common, entropy)
        self._credentials = make_credentials(loop, pool, common)
        self._cipher_key = derive_key(common.token.reveal())
        seals = common.native != native.OFF and seals_with_token(common)
        self._secret = StretchedSecret(pool, common.token.reveal() if seals else None, stretched)
        self._pipes = PipePool(common.splice_pipe_bytes, common.splice_budget_bytes)
        self._holes = HoleContext(
            loop,
            entropy,
            connector.resolver,
            _log,
            stun_server=common.nat_hole_stun_server,
            quic_keepalive_seconds=common.quic_keepalive_period,
            quic_idle_seconds=common.quic_max_idle_timeout,
        )
        self._windows = WindowBudget(common.window_budget_bytes, MAX_WINDOW_BYTES)
        self._backoff = Backoff(entropy)
        self._link: ServerLink | None = None
        self._entering: Endpoint | None = None  # a control stream that has said nothing yet
        self._login: LoginAttempt | None = None
        self._control: ControlSession | None = None
        self._retry: Timer | None = None
        self._features: frozenset[str] = frozenset()
        self._server_version = ""
        self._run_id = ""
        self._entered_once = False
        self._entered_at = 0.0
        self._logins = 0
        self._last_error = ""
        self._history = SessionHistory()
        self.started_at = unix_now()
        self._on_idle: Callable[[], None] | None = None
        self._ending = False
        self._closed = False
        self.relays: set[Running] = set()
        self._setup = setup
        self._retired = RetiredServers(loop)
        self.table = ProxyTable(setup.proxies, self._server_maker(connector), _log)
        self._health = HealthWatch(loop, connector, entropy, self._health_changed)
        self.visitors = VisitorTable(setup.visitors, self._visitor_maker(pool))

    @property
    def config(self) -> ClientConfig:
        """What it runs on: [common]."""
        return self._common

    @property
    def setup(self) -> ClientSetup:
        """Its proxies and visitors. Frozen; a reload puts another one in its place."""
        return self._setup

    def start(self) -> None:
        """Connect and log in."""
        self._health.watch(self.table.entries.values())
        self._try_login()

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """Take no more visitors; call ``on_idle`` once no relay runs. Then close()."""
        self._ending = True
        self._on_idle = on_idle
        self.visitors.stop()
        if self._control is not None:
            self._control.withdraw()
        for entry in self.table.entries.values():
            if entry.server is not None and entry.config.proxy_type == "xtcp":
                entry.server.retire()  # its visitors do not ask the server
        self._report_idle()

    def close(self) -> None:
        """Drop everything. Idempotent."""
        self._health.close()
        self._closed = self._ending = True
        self._on_idle = None
        self._secret.close()
        if self._retry is not None:
            self._retry.cancel()
        self._drop_attempt()
        self.visitors.close()
        if self._control is not None:
            self._control.close()
        for entry in self.table.entries.values():
            if entry.server is not None:
                entry.server.close()
        self._retired.close_all()
        for relay in list(self.relays):
            relay.abort("the client stops")
        self._pipes.close()

    def compare(self, setup: ClientSetup) -> SetupChanges:
        """Return what reload() would change."""
        return compare(self._setup, for_user(setup, self._common.user))

    def reload(self, setup: ClientSetup) -> SetupChanges:
        """Serve other proxies and visitors from now on; return what that has changed.

        What is equal is not touched. Relays of what is removed are cut, those of what is
        changed live on. [common] stays as it is, and with it the user's name.

        Raises:
            LimitError: too late, the client is about to end.
        """
        if self._ending:
            raise LimitError("frpc is stopping")
        setup = for_user(setup, self._common.user)
        changes = compare(self._setup, setup)
        gone: list[ProxyEntry] = []

        def change(send: Send | None, now: float) -> None:
            gone.extend(self.table.reload(setup.proxies, changes.proxies, send, now))

        if self._control is not None:
            self._control.change_proxies(change)
        else:
            change(None, self._loop.now())
        self._setup = setup
        removed = frozenset(changes.proxies.removed)
        self._cut(removed | frozenset(changes.visitors.removed))
        self._health.watch(self.table.entries.values())
        for entry in gone:
            self._retire(entry, is_removed=entry.config.name in removed)
        self.visitors.reload(setup.visitors, changes.visitors, self._control)
        return changes

    def _health_changed(self, entry: ProxyEntry, reason: str) -> None:
        def change(send: Send | None, now: float) -> None:
            self.table.checked(entry, reason, send, now)

        if self._control is not None and not self._ending:
            self._control.change_proxies(change)
        else:
            change(None, self._loop.now())

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

    def session_facts(self) -> SessionFacts:
        """Return how things stand with the server."""
        control = self._control
        return SessionFacts(
            is_connected=control is not None,
            since=self._entered_at if control is not None else None,
            retry_at=None if self._retry is None else self._retry.when,
            run_id=self._run_id,
            server_version=self._server_version,
            features=self._features,
            is_sealed=control is not None and control.seal is not None,
            logins=self._logins,
            last_error=self._last_error,
            tcp=None if control is None else control.tcp_info(),
            history=self._history.newest_first(),
        )

    # Relays.

    def relay_started(self, relay: Running) -> None:
        """A relay began."""
        self.relays.add(relay)

    def relay_ended(self, relay: Running) -> None:
        """It is over."""
        self.relays.discard(relay)
        self._report_idle()

    def _report_idle(self) -> None:
        if self._on_idle is not None and not self.relays:
            on_idle, self._on_idle = self._on_idle, None
            self._loop.call_soon(on_idle)

    def _cut(self, owners: frozenset[str]) -> None:
        if owners:
            for relay in list(self.relays):
                if relay.progress().owner in owners:
                    relay.abort("removed by a reload")

    def _retire(self, entry: ProxyEntry, *, is_removed: bool) -> None:
        name, server = entry.config.name, entry.server
        if is_removed:
            self._retired.close(name)
        if server is None:
            return
        # The server ends the one work connection of a proxy for datagrams: nothing to drain.
        if is_removed or entry.config.proxy_type in DATAGRAM_TYPES:
            server.close()
        else:
            self._retired.add(name, server)

    # Logging in.

    def _try_login(self) -> None:
        self._retry = None
        _log.debug("try to connect to server...")
        link = self._link = self._make_link()
        link.open_stream(self._stream_opened, self._unreachable)

    def _make_link(self) -> ServerLink:
        return make_link(
            self._loop,
            self._transport,
            is_mux=self._common.tcp_mux,
            keepalive_seconds=self._common.tcp_mux_keepalive_interval,
            windows=self._windows,
            on_lost=self._link_lost,
        )

    def _stream_opened(self, endpoint: Endpoint) -> None:
        """Log in, once it is known what can be offered."""
        self._entering = endpoint
        self._secret.when_ready(
            lambda: self._credentials.for_login(
                lambda credential: self._say_login(endpoint, credential),
                lambda reason: self._no_credential(endpoint, reason),
            )
        )

    def _no_credential(self, endpoint: Endpoint, reason: str) -> None:
        if self._entering is endpoint:
            self._entering = None
            endpoint.abort()
            self._unreachable(TransportError(reason))

    def _say_login(self, endpoint: Endpoint, credential: Credential) -> None:
        if self._entering is not endpoint:
            return  # lost or given up meanwhile
        self._entering = None
        if self._common.native == native.REQUIRE and self._secret.value is None:
            endpoint.abort()
            self._refused(NO_SEAL)
            return
        self._login = LoginAttempt(
            self._loop,
            endpoint,
            make_login(self._common, credential, self._run_id),
            Offer(self._common, self._secret.value, self._entropy),
            cipher_key=self._cipher_key,
            on_entered=self._entered,
            on_refused=self._refused,
            on_failed=self._unreachable,
        )

    def _entered(self, entry: Entry) -> None:
        self._login = None
        assert self._link is not None
        first_login = not self._entered_once
        self._entered_once = True
        self._entered_at = self._loop.now()
        self._logins += 1
        answer = entry.answer
        self._run_id = answer.run_id
        self._features = entry.features
        self._server_version = answer.version
        log = _log.prefixed(self._run_id)
        log.info(
            "login to server success, get run id [%s], server udp port [%d]%s",
            answer.run_id,
            answer.server_udp_port,
            f" {native.describe(entry.features)}" if entry.features else "",
        )
        self._history.note(Event.CONNECTED, f"run id {answer.run_id}")
        if first_login:
            self._on_first_login()
        link, self._link = self._link, None
        self._control = ControlSession(
            self._loop,
            link,
            entry.stream,
            run_id=answer.run_id,
            features=self._features,
            server_version=answer.version,
            server_udp=self._helper_of(answer.server_udp_port),
            seal=entry.seal,
            entropy=self._entropy,
            credentials=self._credentials,
            table=self.table,
            heartbeat_interval_seconds=self._common.heartbeat_interval,
            heartbeat_timeout_seconds=self._common.heartbeat_timeout,
            log=log,
            on_lost=self._session_lost,
        )
        self._control.start()
        if not self._ending:
            self.visitors.start(self._control)

    def _helper_of(self, udp_port: int) -> tuple[str, int] | None:
        return (self._common.server_addr, udp_port) if udp_port > 0 else None

    def _refused(self, reason: str) -> None:
        self._login = None
        _log.error("%s", reason)
        self._failed(Event.REFUSED, reason, self._backoff.refused)

    def _unreachable(self, error: TransportError) -> None:
        self._failed(Event.UNREACHABLE, str(error), self._backoff.unreachable)

    def _failed(self, event: Event, reason: str, pause: Callable[[], float]) -> None:
        self._drop_attempt()
        if self._closed:
            return
        self._last_error = reason
        self._history.note(event, reason)
        _log.warning("login to server failed: %s", reason)
        if self._common.login_fail_exit and not self._entered_once:
            self._on_fatal(reason)
            return
        self._retry = self._loop.call_later(pause(), self._try_login)

    def _link_lost(self, reason: str) -> None:
        if self._control is not None:
            self._control.lost(reason)
        else:
            self._unreachable(TransportError(reason + closed_hint(self._common)))

    def _session_lost(self, reason: str) -> None:
        control, self._control = self._control, None
        self.visitors.stop()
        if self._closed:
            return
        if control is not None and control.refusal:
            if self._logins == 1:
                self._entered_once = False  # as if we had never been in
            self._refused(control.refusal)
            return
        self._last_error = reason
        self._history.note(Event.LOST, reason)
        _log.warning("session with the server lost: %s; try to reconnect to server...", reason)
        # At once, unless the server lets us in only to drop us again.
        lasted = self._loop.now() - self._entered_at
        pause = 0.0
        if lasted >= STABLE_SECONDS:
            self._backoff.succeeded()
        else:
            pause = self._backoff.unreachable()
        self._retry = self._loop.call_later(pause, self._try_login)

    def _begin_anew(self, link: ServerLink) -> None:
        """Give up an attempt from before a change that has got nowhere since."""
        if self._link is link:
            self._drop_attempt()
            self._try_login()

    def _drop_attempt(self) -> None:
        if self._entering is not None:
            self._entering.abort()
            self._entering = None
        if self._login is not None:
            self._login.close()
            self._login = None
        if self._link is not None:
            self._link.close()
            self._link = None

    def _visitor_maker(self, pool: WorkerPool) -> Callable[[VisitorConfig], Visitor | None]:
        def make(config: VisitorConfig) -> Visitor | None:
            build = VISITORS.get(config.visitor_type)
            if build is None:
                return None
            context = VisitorContext(
                loop=self._loop,
                pool=pool,
                entropy=self._entropy,
                relays=self,
                log=_log.prefixed(config.section),
                udp_packet_bytes=self._common.udp_packet_size,
                udp_session_seconds=self._common.udp_session_timeout,
                udp_max_sessions=self._common.udp_max_sessions,
                pipes=self._pipes,
                holes=self._holes,
                find=self._find_visitor,
            )
            return build(context, config)

        return make

    def _find_visitor(self, section: str) -> Visitor | None:
        return self.visitors.find(section)

    def _server_maker(self, connector: Connector) -> Build:
        def context(config: ProxyConfig) -> ProxyContext:
            return ProxyContext(
                loop=self._loop,
                entropy=self._entropy,
                connector=connector,
                relays=self,
                log=_log.prefixed(config.section),
                name=config.name,
                cipher_key=self._cipher_key,
                limiter=limiter_for(self._loop, config.client_bytes_per_second),
                pipes=self._pipes,
                features=lambda: self._features,
                server_version=lambda: self._server_version,
                udp_packet_bytes=self._common.udp_packet_size,
                udp_session_seconds=self._common.udp_session_timeout,
                udp_max_sessions=self._common.udp_max_sessions,
                holes=self._holes,
                session=lambda: self._control,
            )

        return lambda config: make_server(context(config), config)
