"""Service: frps as a whole. Binds, lets connections identify themselves, keeps the books.

The books: which client has which run id, which relays run; of proxies the proxy desk
keeps them. Everything is on one loop.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.errors import FrpError
from frpd.log import get_logger
from frpd.metrics.access import Sink
from frpd.net.bearer import Bearer, BearerStream
from frpd.net.endpoint import Endpoint
from frpd.net.listener import ListenError
from frpd.net.pipes import PipePool
from frpd.net.socket_store import SocketStore
from frpd.net.stream import SocketStream
from frpd.proto import native
from frpd.proto.message.types import Login, Message, NewVisitorConn, NewWorkConn
from frpd.proto.yamux.window import WindowBudget
from frpd.relay.relay import Running
from frpd.selector_loop import SelectorLoop
from frpd.server.balancers import Balancers
from frpd.server.books import Books
from frpd.server.bound_ports import bind_ports, sort_out
from frpd.server.connection import Connection
from frpd.server.control import ControlSession
from frpd.server.datagram_port import DatagramPorts
from frpd.server.door import Door, login_limits
from frpd.server.entrances import Speech, entrances
from frpd.server.figures import ServerFigures, take_figures
from frpd.server.fittings import Fittings, load_fittings
from frpd.server.guard.clients import ClientGuard
from frpd.server.guard.guesses import Guesses
from frpd.server.kcp_port import KcpPort
from frpd.server.key_ring import KeyRing
from frpd.server.layers import has_files
from frpd.server.login import Arrival, LoginDesk
from frpd.server.nathole.late_desk import LateDesk
from frpd.server.open_entrances import OpenEntrances
from frpd.server.plugins.chain import Hooks
from frpd.server.proxy_desk import ProxyDesk
from frpd.server.quic_port import QuicPort
from frpd.server.reception import Carried, CarriedStreams, Reception
from frpd.server.reload import compare
from frpd.server.ssh_port import SshPort
from frpd.server.users import Users
from frpd.server.vhost.hosts import VirtualHosts
from frpd.server.visitor_desk import VisitorDesk
from frpd.server.visitor_gates import VisitorGates
from frpd.server.work_desk import WorkDesk
from frpd.transports.link import MakeLink
from frpd.transports.messages import MessageStream
from frpd.transports.mux import MAX_WINDOW_BYTES
from frpd.workers import WorkerPool

IDLE_POLL_SECONDS = 0.02

_log = get_logger("frpd.server.service")


class Service:
    """The server. Loop thread only.

    Args:
        loop: the loop.
        pool: for what blocks.
        config: checked.
        entropy: for ids, ports and ciphers.
        sockets: keeps what we listen on for the next process; None to keep nothing.
        tell: the access log's, of visits that are over; None where nobody wants to know.

    Raises:
        ConfigError: a certificate, a key or a page cannot be used.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        pool: WorkerPool,
        config: ServerConfig,
        entropy: Entropy,
        sockets: SocketStore | None = None,
        *,
        tell: Sink | None = None,
    ) -> None:
        self._sockets = SocketStore() if sockets is None else sockets
        self._loop = loop
        self._pool = pool
        self._config = config
        self._entropy = entropy
        self._keys = KeyRing.begin(pool, config, entropy)
        self._door = Door(loop, login_limits(config), expected=self._expected_connections)
        self._guard = ClientGuard(loop.now, config)
        self._guesses = Guesses(loop.now, config)
        self._balancers = Balancers(
            loop, config.accept_proxy_protocol, login_limits(config), self._guard.is_too_fast
        )
        self._pipes = PipePool(config.splice_pipe_bytes, config.splice_budget_bytes)
        self._windows = WindowBudget(config.window_budget_bytes, MAX_WINDOW_BYTES)
        fittings = load_fittings(loop, config)
        self._gates = VisitorGates(loop, config)
        self._vhosts = VirtualHosts(
            loop, config, self, fittings.page, tell, gate=self._gates.host_gate()
        )
        self._ssh = SshPort(loop, entropy, config, fittings.ssh, on_client=self._client_came)
        self._reception = self._make_reception(fittings)
        self._door.pace.is_busy = fittings.handshakes.is_long
        self._entrances = OpenEntrances(loop, self._came, self._sockets, self._reception.pace)
        self._datagram_ports = self._make_datagram_ports()
        self._on_idle: Callable[[], None] | None = None
        self._stopping = False
        self.controls: dict[str, ControlSession] = {}
        self._users = Users(config, self.controls)
        self.relays: set[Running] = set()
        self.books = Books(loop, self.relays)
        self.hooks = Hooks(loop, config.plugins, entropy)
        self.proxy_desk = self._make_proxy_desk(tell)
        self.proxies = self.proxy_desk.proxies
        self._desk = LoginDesk(
            config,
            self._keys,
            entropy,
            users=self._users,
            residents=self.controls,
            hooks=self.hooks,
            told=self.told,
            admit=self._admit,
        )
        self._visitors = self._make_visitor_desk()
        self._work_desk = WorkDesk(self.controls, self.hooks, self.told)
        self._nat_holes = self._make_nat_hole_desk()

    def _make_datagram_ports(self) -> DatagramPorts:
        loop, entropy, sockets = self._loop, self._entropy, self._sockets

        def turns_away(host: str) -> bool:
            return self._guard.turns_away(host, is_proven=False)

        self._kcp = KcpPort(loop, entropy, self._kcp_came, sockets, turns_away=turns_away)
        self._quic = QuicPort(
            loop,
            entropy,
            self._quic_came,
            sockets,
            turns_away=turns_away,
            config=lambda: self._config,
        )
        return DatagramPorts((self._kcp, self._quic), sockets)

    def _make_visitor_desk(self) -> VisitorDesk:
        return VisitorDesk(
            self._loop,
            self._pool,
            self._config,
            self._entropy,
            clients=self.controls,
            proxies=self.proxies,
            told=self.told,
            guesses=self._guesses,
        )

    def _make_nat_hole_desk(self) -> LateDesk:
        return LateDesk(
            self._loop,
            self._config,
            self._entropy,
            clients=self.controls,
            proxies=self.proxies,
            told=self.told,
            bars=self._guard.bars,
            guesses=self._guesses,
        )

    def _make_reception(self, fittings: Fittings) -> Reception:
        return Reception(
            door=self._door,
            guard=self._guard,
            on_client=self._client_came,
            on_http=self._vhosts.http.on_visitor,
            on_https=self._vhosts.https.on_visitor,
            on_connect=self._vhosts.connect.on_visitor,
            ssh=self._ssh,
            layers=fittings.layers,
            tls_only=self._config.tls_only,
        )

    def _make_proxy_desk(self, tell: Sink | None) -> ProxyDesk:
        return ProxyDesk(
            self._loop,
            self._pool,
            self._config,
            self._entropy,
            hooks=self.hooks,
            books=self.books,
            relays=self,
            vhosts=self._vhosts,
            gates=self._gates,
            users=self._users,
            balancers=self._balancers,
            pipes=self._pipes,
            sockets=self._sockets,
            tell=tell,
        )

    @property
    def config(self) -> ServerConfig:
        """What it runs on. Frozen; a reload puts another one in its place."""
        return self._config

    def listen(self, bound: Sequence[socket.socket] | None = None) -> None:
        """Take clients from these sockets of bind_ports, by default from new ones.

        Raises:
            ListenError: a port cannot be had; nothing stays bound.
        """
        socks = bind_ports(self._config, self._sockets) if bound is None else bound
        found = sort_out(self._config, socks)
        self._entrances.change(entrances(self._config), found.tcp)
        self._nat_holes.listen(found.holes)
        self._datagram_ports.change(self._config, found.datagrams)

    def reload(self, new: ServerConfig, fittings: Fittings) -> tuple[str, ...]:
        """Take over all of another configuration that can be live, or nothing.

        Args:
            new: checked.
            fittings: of the same.

        Returns:
            What the operator should know about those that stay as they were, in sentences.

        Raises:
            ListenError: a port cannot be had; nothing was changed.
            FrpError: we are stopping, or have too much to do; nothing was changed.
        """
        if self._stopping:
            raise FrpError("frps is stopping")
        config = compare(self._config, new).config
        keys = self._keys.renewed(config)
        wanted = entrances(config)
        datagrams: list[socket.socket | None] = []
        try:
            datagrams = self._datagram_ports.bind_missing(config)
            socks = self._entrances.bind_missing(wanted)
        except ListenError as error:
            self._datagram_ports.drop(datagrams)
            keys.retire(self._keys)
            if error.errno == errno.EADDRINUSE:
                self.proxy_desk.explain_taken_port(error.address, error.port)
            raise
        self._entrances.change(wanted, socks)
        self._datagram_ports.change(config, datagrams)
        return self._use(config, keys, fittings)

    def _use(self, config: ServerConfig, keys: KeyRing, fittings: Fittings) -> tuple[str, ...]:
        """Go on with another configuration; this cannot fail."""
        old, self._config = self._config, config
        former, self._keys = self._keys, keys
        self._users.use(config)
        self._desk.use(config, keys)
        former.retire(keys)
        self.hooks.use(config.plugins)
        self._visitors.use(config)
        self._nat_holes.use(config)
        self._guard.use(config)
        self._guesses.use(config)
        self._door.use(login_limits(config))
        self._ssh.use(config, fittings.ssh)
        self._balancers.use(config.accept_proxy_protocol, login_limits(config))
        self._vhosts.use(config, fittings.page)
        # A certificate of our own is made once.
        layers = self._reception.layers
        if has_files(old) or has_files(config):
            layers, self._door.pace.is_busy = fittings.layers, fittings.handshakes.is_long
        self._reception = replace(self._reception, layers=layers, tls_only=config.tls_only)
        return self.proxy_desk.use(config)

    def shut_down(self, on_idle: Callable[[], None]) -> None:
        """Take no more visitors or clients; call ``on_idle`` once no relay runs.

        Ports are free at once, but for those that are kept for the next process. Call
        close() afterwards.
        """
        self._on_idle = on_idle
        self._stopping = True
        self._entrances.close()
        self._datagram_ports.retire()
        self._balancers.close()
        self._door.close()
        self._ssh.retire()
        self._nat_holes.close()
        self._vhosts.go_away()
        self.proxy_desk.stop()
        for control in self.controls.values():
            # A client that was told brings no work connection for who has come already.
            if not control.work_conns.waiting:
                control.connection.go_away()
        self._report_idle()

    def close(self) -> None:
        """Drop all clients and relays. Idempotent."""
        self._on_idle = None
        self.books.close()
        self._keys.close()
        self._entrances.close()
        self._balancers.close()
        self._door.close()
        self._nat_holes.close()
        cut = len(self.relays) + self._visitors_waiting()
        if cut:
            _log.warning("connections cut: %d", cut)
        for relay in list(self.relays):
            relay.abort("the server stops")
        self._vhosts.close()
        for control in list(self.controls.values()):
            control.close("the server stops")
        self._ssh.close()
        self.hooks.close()
        self._datagram_ports.close()
        self._pipes.close()

    # What an operator may ask for.

    def figures(self) -> ServerFigures:
        """Return what is held, and what was refused."""
        return take_figures(
            (self._door, self._ssh.door),
            self._pool,
            self._pipes,
            self._windows,
            guard=self._guard,
            proxies=self.proxies,
            gates=self._gates,
        )

    @property
    def held(self) -> tuple[ClientGuard, Guesses]:
        """What is held against whom: at the door, and at proxies."""
        return self._guard, self._guesses

    def kick_client(self, run_id: str) -> bool:
        """End a client's session; False if there is none. It may log in again."""
        control = self.controls.get(run_id)
        if control is None:
            return False
        control.close("kicked by the operator")
        return True

    def cut_visitors(self, name: str) -> int:
        """End what runs for a proxy; return how many visitors that were."""
        theirs = [relay for relay in self.relays if relay.progress().owner == name]
        for relay in theirs:
            relay.abort("cut by the operator")
        return len(theirs)

    # Identities: what a connection's first message is worth.

    def login(self, connection: Connection, stream: MessageStream, login: Login) -> bool:
        """See Identities.login."""
        return self._desk.login(connection, stream, login)

    def _admit(self, arrival: Arrival) -> None:
        """Begin the session of a client that has proved itself."""
        old = self.controls.get(arrival.run_id)
        if old is not None:
            old.close("replaced by a new login of the same client")
        config, login, connection = self._config, arrival.login, arrival.connection
        connection.trust(rising_ids=arrival.seal is not None)
        self._guard.entered(connection.source)
        control = self.controls[arrival.run_id] = ControlSession(
            self._loop,
            self,
            self.proxy_desk,
            connection,
            arrival.stream,
            login=login,
            run_id=arrival.run_id,
            features=arrival.features,
            seal=arrival.seal,
            keys=arrival.keys,
            auth=arrival.auth or arrival.keys.auth,
            hooks=self.hooks,
            pool_count=max(0, min(login.pool_count, config.max_pool_count)),
            user_conn_timeout_seconds=config.user_conn_timeout,
            heartbeat_timeout_seconds=self._heartbeat_timeout(connection),
        )
        control.log.info(
            "client login info: ip [%s] version [%s] hostname [%s] os [%s] arch [%s]%s",
            connection.peer,
            login.version,
            login.hostname,
            login.os,
            login.arch,
            f" {native.describe(arrival.features)}" if arrival.features else "",
        )
        self.books.client_entered(control)
        control.work_conns.fill()

    def work_connection(self, connection: Connection, hello: NewWorkConn, work: Endpoint) -> bool:
        """See Identities.work_connection."""
        return self._work_desk.receive(connection, hello, work)

    def visitor_connection(
        self, connection: Connection, endpoint: Endpoint, request: NewVisitorConn
    ) -> None:
        """See Identities.visitor_connection."""
        self._visitors.receive(connection, endpoint, request)

    # Keeper: what a client's session tells and asks.

    def told(self, detail: str, summary: str) -> str:
        """See Keeper.told."""
        return detail if self._config.detailed_errors_to_client else summary

    def control_closed(self, control: ControlSession, reason: str) -> None:
        """See Keeper.control_closed."""
        self._guard.left(control.connection.source)
        if self.controls.get(control.run_id) is control:
            del self.controls[control.run_id]
            self.books.client_left(control.run_id)

    def nat_hole(self, control: ControlSession, message: Message) -> None:
        """See Keeper.nat_hole."""
        self._nat_holes.receive(control, message)

    # Relays.

    def relay_started(self, relay: Running) -> None:
        """See Relays.relay_started."""
        self.relays.add(relay)

    def relay_ended(self, relay: Running) -> None:
        """See Relays.relay_ended."""
        self.relays.discard(relay)
        self._report_idle()

    # Inside.

    def _came(self, stream: SocketStream, speech: Speech) -> None:
        self._balancers.welcome(
            stream,
            lambda known: self._reception.welcome(known, speech),
            self._reception.pace(speech).give_back,
        )

    def _kcp_came(self, stream: BearerStream) -> None:
        self._reception.welcome_client(stream)

    def _quic_came(self, bearer: Bearer, make_link: MakeLink) -> None:
        self._reception.welcome_link(bearer, make_link)

    def _client_came(self, carried: Carried | CarriedStreams, door: Door | None = None) -> None:
        Connection(
            self._loop,
            carried,
            door=door or self._door,
            guard=self._guard,
            identities=self,
            first_message_seconds=self._config.login_timeout_seconds,
            keepalive_seconds=self._config.tcp_mux_keepalive_interval,
            windows=self._windows,
        )

    def _report_idle(self) -> None:
        if self._on_idle is None or self.relays:
            return
        if self._visitors_waiting():  # for a work connection; nobody tells when they gave up
            self._loop.call_later(IDLE_POLL_SECONDS, self._report_idle)
            return
        on_idle, self._on_idle = self._on_idle, None
        self._loop.call_soon(on_idle)

    def _visitors_waiting(self) -> int:
        return sum(control.work_conns.waiting for control in self.controls.values())

    def _expected_connections(self, source: str | None) -> int:
        """Work connections asked of clients without tcp_mux, at one source or at all."""
        home = self._guard.source_of
        return sum(
            control.work_conns.asked
            for control in self.controls.values()
            if not control.connection.is_mux
            and (source is None or source == home(control.connection.source))
        )

    def _heartbeat_timeout(self, connection: Connection) -> float:
        config = self._config
        if connection.local or (connection.is_mux and not config.heartbeat_timeout_set):
            return 0.0  # yamux and SSH have their own; newer clients send no pings there
        return float(config.heartbeat_timeout)
