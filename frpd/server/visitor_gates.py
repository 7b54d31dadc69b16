"""VisitorGates: the gates of all proxies, and the crowds that several of them count in.

There are up to four bounds for a visitor: of its proxy, of all proxies of its client, of the
server, and of the server's descriptors. The last one is always there: it leaves enough of them
for clients, the dashboard and the logs. Visitors that hold no descriptor do not count in it.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Mapping
from typing import Final
from weakref import WeakValueDictionary

from frpd.config.check import MAX_PROXY_NETWORKS
from frpd.config.server import ServerConfig
from frpd.errors import ProxyError
from frpd.log import PrefixLogger, get_logger
from frpd.net.access_list import AccessList
from frpd.net.visitor_gate import Crowd, VisitorGate
from frpd.proto.message.types import NewProxy
from frpd.selector_loop import SelectorLoop

MIN_RESERVE: Final = 64
MAX_RESERVE: Final = 4096
"""Descriptors that visitors leave to others: a quarter of all, within these."""

STREAMS: Final = frozenset(("", "tcp", "https", "tcpmux"))
SECRET: Final = frozenset(("stcp", "sudp"))
CARRIED: Final = STREAMS | SECRET | {"http"}
"""Who only sends datagrams holds nothing, and may have made up its address."""

_log = get_logger("frpd.server.visitors")


def open_files_limit() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft


class VisitorGates:
    """Makes them, and changes their limits. Loop thread only.

    Args:
        loop: the loop.
        config: of the server.
        open_files: how many there may be in all.

    Attributes:
        total: visitors of all proxies.
        held: descriptors that visitors hold, at least.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        config: ServerConfig,
        *,
        open_files: Callable[[], int] = open_files_limit,
    ) -> None:
        self.total = Crowd()
        self.held = Crowd()
        self._loop = loop
        self._ports_used = 0
        self._open_files = open_files
        self._gates: dict[str, VisitorGate] = {}
        self._host_gate: VisitorGate | None = None
        self._wishes: dict[str, int] = {}
        # Visitors outlive their proxy: with its name the next one takes them over.
        self._crowds: WeakValueDictionary[str, Crowd] = WeakValueDictionary()
        self.use(config)

    def use(self, config: ServerConfig) -> None:
        """Go by these limits from now on; who is here stays."""
        self._config = config
        self.total.limit = config.max_connections
        for name, wish in self._wishes.items():
            if (crowd := self._crowds.get(name)) is not None:  # an xtcp proxy has none
                crowd.limit = self._least(wish)
        self.ports_changed(self._ports_used)

    def ports_changed(self, ports_used: int) -> None:
        """Ports of proxies hold so many descriptors now."""
        self._ports_used = ports_used
        config, files = self._config, self._open_files()
        pipes = 2 * (config.splice_budget_bytes // config.splice_pipe_bytes)
        reserve = min(max(files // 4, MIN_RESERVE), MAX_RESERVE)
        self.held.limit = max(1, files - reserve - min(pipes, files // 8) - ports_used)

    @property
    def limit(self) -> int:
        """How many visitors there may be in all."""
        return min(self.total.limit or self.held.limit, self.held.limit)

    def host_gate(self) -> VisitorGate:
        """Return the gate of the http port: its visitors hold connections without a proxy."""
        crowds = self.total, self.held
        self._host_gate = VisitorGate(self._loop, _log.prefixed("http"), crowds=crowds)
        return self._host_gate

    def gate(
        self,
        request: NewProxy,
        log: PrefixLogger,
        client: Crowd,
        *,
        is_mux: bool,
        user: Crowd | None = None,
    ) -> VisitorGate:
        """Return the gate of a new proxy.

        Args:
            request: what its client asked for.
            log: of the proxy.
            client: visitors of all its client's proxies.
            is_mux: whether work connections cost no descriptor.
            user: visitors of all clients of its client's user; None where nobody counts them.

        Raises:
            ProxyError: what was asked for makes no sense.
        """
        name, kind = request.proxy_name, request.proxy_type
        crowd = self._crowds.get(name) or Crowd()
        crowds = [] if kind == "xtcp" else [crowd]  # there only its owner knows who has left
        if kind in CARRIED:
            crowds += [client] if user is None else [client, user]
            crowds += [self.held] * (not is_mux)
        if kind in STREAMS:
            crowds += [self.total, self.held]
        elif kind in SECRET:
            crowds.append(self.total)
        gate = VisitorGate(
            self._loop, log, access=_access(request), rate=_rate(request), crowds=crowds
        )
        known = self._gates.get(name)
        if known is not None:
            gate.refused = known.refused
        crowd.limit = self._least(request.max_connections)
        self._gates[name], self._wishes[name], self._crowds[name] = (
            gate,
            request.max_connections,
            crowd,
        )
        return gate

    def forget(self, name: str) -> None:
        """A proxy is no more; its visitors may be."""
        self._gates.pop(name, None)
        self._wishes.pop(name, None)

    def refused(self) -> Mapping[str, Mapping[str, int]]:
        """Return how many visitors were refused, by proxy ("" for none) and reason; a copy."""
        gates = dict(self._gates)
        if self._host_gate is not None:
            gates[""] = self._host_gate
        return {name: dict(gate.refused) for name, gate in gates.items() if gate.refused}

    def _least(self, wish: int) -> int:
        """Return the stricter of a proxy's own limit and everybody's; 0 is none."""
        limits = [limit for limit in (wish, self._config.max_connections_per_proxy) if limit > 0]
        return min(limits, default=0)


def _access(request: NewProxy) -> AccessList:
    for networks in (request.allow_cidrs, request.deny_cidrs):
        if len(networks) > MAX_PROXY_NETWORKS:
            raise ProxyError(f"a list of networks may have {MAX_PROXY_NETWORKS} of them")
    try:
        return AccessList(request.allow_cidrs, request.deny_cidrs)
    except ValueError as error:
        raise ProxyError(f"proxy [{request.proxy_name}]: {error}") from None


def _rate(request: NewProxy) -> float:
    try:
        rate = float(request.max_connection_rate or 0)
    except ValueError:
        rate = math.nan
    if not 0 <= rate < math.inf:
        text = request.max_connection_rate[:32]
        raise ProxyError(f"max_connection_rate of proxy [{request.proxy_name}] is {text!r}")
    return rate
