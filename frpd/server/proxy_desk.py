"""ProxyDesk: makes the proxies that clients ask for, and keeps them by name.

It owns what proxies share: the ports that they may have and the groups that they
are in. Which client has which proxy is in that client's session.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from weakref import WeakSet

from frpd.config.kinds import parse_bandwidth
from frpd.config.server import ServerConfig
from frpd.entropy import Entropy
from frpd.errors import LimitError, ProxyError
from frpd.log import get_logger
from frpd.metrics.access import ProxyAccess, Sink
from frpd.net.pipes import PipePool
from frpd.net.port_holder import port_holder
from frpd.net.socket_store import SocketStore
from frpd.proto.message.types import NewProxy
from frpd.relay.limiter import limiter_for
from frpd.relay.relay import Relays
from frpd.selector_loop import SelectorLoop
from frpd.server.balancers import Balancers
from frpd.server.books import Books
from frpd.server.control import ControlSession
from frpd.server.groups.book import GroupBook
from frpd.server.plugins.chain import Hooks
from frpd.server.plugins.content import user_facts
from frpd.server.plugins.visitors import VisitorHook
from frpd.server.ports import PortManager
from frpd.server.proxies import PROXIES
from frpd.server.proxies.base import Proxy, ProxyContext
from frpd.server.reload import strangers
from frpd.server.users import Users
from frpd.server.vhost.hosts import VirtualHosts
from frpd.server.visitor_gates import VisitorGates
from frpd.workers import WorkerPool

SERVER_MODE = "server"
# Six times this, as JSON may need, still fits into a message beside the addresses.
MAX_NAME_BYTES = 1024

_log = get_logger("frpd.server.service")


class ProxyDesk:
    """All proxies of all clients. Loop thread only.

    Args:
        loop: the loop.
        pool: finds out who holds a port.
        config: of the server.
        entropy: for ports and ciphers.
        hooks: are asked about visitors.
        books: keep what was asked for, and how much passed.
        relays: are told of visits.
        vhosts: the ports that proxies share by name.
        gates: say who may visit.
        users: say what is whose.
        balancers: who may say that a visitor is another.
        pipes: what bytes pass through without being seen.
        sockets: keeps ports for the next process.
        tell: the access log's; None where nobody wants to know.

    Attributes:
        proxies: all there are, by name.
        tcp_ports: who has which.
        udp_ports: who has which.
        groups: proxies that share what they are reached at.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        pool: WorkerPool,
        config: ServerConfig,
        entropy: Entropy,
        *,
        hooks: Hooks,
        books: Books,
        relays: Relays,
        vhosts: VirtualHosts,
        gates: VisitorGates,
        users: Users,
        balancers: Balancers,
        pipes: PipePool,
        sockets: SocketStore,
        tell: Sink | None,
    ) -> None:
        self._loop = loop
        self._pool = pool
        self._config = config
        self._entropy = entropy
        self._hooks = hooks
        self._books = books
        self._relays = relays
        self._vhosts = vhosts
        self._gates = gates
        self._users = users
        self._clients: WeakSet[ControlSession] = WeakSet()
        self._balancers = balancers
        self._pipes = pipes
        self._sockets = sockets
        self._tell = tell
        self._stopping = False
        self.proxies: dict[str, Proxy] = {}
        self.tcp_ports = PortManager(config.allow_ports.candidates(), entropy)
        self.udp_ports = PortManager(config.allow_ports.candidates(), entropy)
        self.groups = GroupBook()

    def use(self, config: ServerConfig) -> tuple[str, ...]:
        """Decide by these from now on; return what the operator should know, in sentences."""
        old, self._config = self._config, config
        self._gates.use(config)
        for control in self._clients:
            control.visitors.limit = config.max_connections_per_client
        return (*self._outside_of_ports(old, config), *self._outside_of_users(old, config))

    def _outside_of_users(self, old: ServerConfig, config: ServerConfig) -> Iterator[str]:
        if config.users == old.users:
            return
        known = [
            (control, self._books.requests[name])
            for control in self._clients
            for name in control.proxies
            if name in self._books.requests
        ]
        names = list(self._users.strangers(known))
        if names:
            yield f"not their user's now, and left as they are: {', '.join(names)}"

    def _outside_of_ports(self, old: ServerConfig, config: ServerConfig) -> Iterator[str]:
        if config.allow_ports == old.allow_ports:
            return
        names: list[str] = []
        for ports in (self.tcp_ports, self.udp_ports):
            ports.allowed = config.allow_ports.candidates()
            names += strangers(config, ports.used)
        if names:
            yield f"outside of allow_ports now, and left as they are: {', '.join(names)}"

    def stop(self) -> None:
        """Take no more visitors and make no more proxies; what runs goes on."""
        self._stopping = True
        for proxy in self.proxies.values():
            proxy.close()

    # Registry: what a client's session asks for.

    def new_proxy(self, control: ControlSession, request: NewProxy) -> Proxy:
        """See Registry.new_proxy; checks in frp's order."""
        name = request.proxy_name
        if self._stopping:
            raise ProxyError("the server is shutting down")
        build = self.groups.builder(request) or PROXIES.get(request.proxy_type)
        if build is None:
            raise ProxyError(f"proxy [{name}] type [{request.proxy_type}] error")
        limit = self._config.max_ports_per_client
        used = sum(proxy.ports_used for proxy in control.proxies.values())
        if 0 < limit <= used:
            raise ProxyError("exceed the max_ports_per_client")
        if 0 < self._config.max_proxies_per_client <= len(control.proxies):
            raise ProxyError("exceed the max_proxies_per_client")
        if name in self.proxies:
            raise ProxyError(_taken(name, self.proxies[name].proxy_type, request.proxy_type))
        if len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
            raise ProxyError(f"proxy name is longer than {MAX_NAME_BYTES} bytes")
        self._users.check_proxy(control, request)
        context = self.context(control, request)
        try:
            proxy = self.proxies[name] = build(context, request)
        except ProxyError:
            self._gates.forget(name)
            raise
        self._ports_changed()
        self._books.proxy_started(control.run_id, proxy, request)
        return proxy

    def proxy_closed(self, proxy: Proxy) -> None:
        """See Registry.proxy_closed."""
        if self.proxies.get(proxy.name) is proxy:
            del self.proxies[proxy.name]
            self._gates.forget(proxy.name)
            self._ports_changed()
            self._books.proxy_closed(proxy.name)

    def context(self, control: ControlSession, request: NewProxy) -> ProxyContext:
        """Return what a proxy of this client is made with."""
        name, tell = request.proxy_name, self._tell
        kind, log = request.proxy_type or "tcp", control.log.prefixed(name)
        control.visitors.limit = self._config.max_connections_per_client
        self._clients.add(control)
        tcp_ports, udp_ports = self._ports_of(control)
        gate = self._gates.gate(
            request,
            log,
            control.visitors,
            user=self._users.crowd(control),
            is_mux=control.connection.is_mux,
        )
        return ProxyContext(
            counters=self._books.counters(request),
            access=tell and ProxyAccess(tell, name, kind, control.run_id),
            visitor_hook=self._visitor_hook(control, name, kind),
            loop=self._loop,
            entropy=self._entropy,
            log=log,
            gate=gate,
            work_conns=control.work_conns,
            relays=self._relays,
            tcp_ports=tcp_ports,
            udp_ports=udp_ports,
            udp_packet_bytes=self._config.udp_packet_size,
            udp_session_seconds=self._config.udp_session_timeout,
            udp_max_sessions=self._config.udp_max_sessions,
            bind_addr=self._config.proxy_bind_addr,
            explain_taken_port=self.explain_taken_port,
            cipher_key=control.keys.cipher_key,
            balancers=self._balancers,
            limiter=limiter_for(self._loop, server_bytes_per_second(request)),
            pipes=self._pipes,
            features=control.features,
            peer_version=control.login.version,
            peer_user=control.login.user,
            owner=self._users.owner(control),
            nat_hole_port=self._config.bind_udp_port,
            vhosts=self._vhosts,
            sockets=self._sockets,
        )

    def _ports_of(self, control: ControlSession) -> tuple[PortManager, PortManager]:
        """Return the books of ports, tcp and udp, with what this client may have of them."""
        ports = self._users.ports(control)
        if ports is None:
            return self.tcp_ports, self.udp_ports
        return self.tcp_ports.narrowed(ports), self.udp_ports.narrowed(ports)

    def _ports_changed(self) -> None:
        self._gates.ports_changed(len(self.tcp_ports) + len(self.udp_ports))

    def _visitor_hook(self, control: ControlSession, name: str, kind: str) -> VisitorHook:
        facts = user_facts(control.login, control.run_id)
        facts |= {"proxy_name": name, "proxy_type": kind}
        return VisitorHook(self._hooks, control.run_id, facts)

    def explain_taken_port(self, address: str, port: int) -> None:
        """Log who holds a port that was not to be had, if that can be found out."""

        def tell(holder: str) -> None:
            if holder:
                _log.warning("%s is held by %s", address, holder)

        with contextlib.suppress(LimitError):  # it is only a hint
            self._pool.submit(lambda: port_holder(port), tell, lambda _error: None)


def server_bytes_per_second(request: NewProxy) -> int:
    """Return the limit that is ours to keep; 0 for none. What cannot be read is none, as in frp."""
    if request.bandwidth_limit_mode != SERVER_MODE:
        return 0
    quantity = parse_bandwidth(request.bandwidth_limit)
    return 0 if quantity is None else quantity.bytes_per_second


def _taken(name: str, owner_type: str, wanted_type: str) -> str:
    """Return frp's text: it asks for a visitors' listener before it asks for the name."""
    if {owner_type, wanted_type} <= {"stcp", "sudp"}:
        return f"custom listener for [{name}] is repeated"
    return f"proxy name [{name}] is already in use"
