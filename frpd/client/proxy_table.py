"""ProxyTable: the proxies of one client, and how far each has got with the server.

Sans sockets: messages go out through a function, time comes from the loop. A
proxy that the server refused, or did not answer for, is asked for again.

The server answers every NewProxy once, in order, and answers carry a name only. So
requests are counted: what a proxy asked before it was changed or removed is not taken
for an answer to who has its name now.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from frpd.client.proxies.base import ServesWork
from frpd.client.reload import Changes
from frpd.config.params import NO_PARAMS
from frpd.config.proxies import ProxyConfig
from frpd.config.secret import NO_SECRET
from frpd.errors import ProxyError
from frpd.log import PrefixLogger
from frpd.proto.message.types import CloseProxy, NewProxy, NewProxyResp

Send = Callable[[NewProxy | CloseProxy], None]
Build = Callable[[ProxyConfig], ServesWork]
"""Makes who serves a proxy; raises ProxyError if nobody can."""

UNCHECKED = "not checked yet"

RETRY_REFUSED_SECONDS = 30.0
RETRY_UNANSWERED_SECONDS = 20.0


class Phase(enum.Enum):
    """Where a proxy stands; the words are frp's."""

    NEW = "new"
    WAIT_START = "wait start"
    RUNNING = "running"
    START_ERROR = "start error"
    CHECK_FAILED = "check failed"
    CLOSED = "closed"


@dataclass(slots=True)
class ProxyEntry:
    """One proxy: its settings, who serves it, its phase."""

    config: ProxyConfig
    server: ServesWork | None
    log: PrefixLogger
    phase: Phase = Phase.NEW
    error: str = ""
    remote_addr: str = ""
    retry_at: float = 0.0
    since: float = 0.0
    """When it entered its phase, on the loop's clock; 0.0 before the first session."""
    stale: int = 0
    """Answers still to come to those who had the name before."""
    ill: str = ""
    """Why its local service is not to be offered now; see HealthWatch."""
    had_forerunner: bool = False
    """Whether visitors may still come for the settings that it had before in this session."""

    def enter(self, phase: Phase, now: float) -> None:
        """Change the phase; entering the same one again is no change."""
        if phase is not self.phase:
            self.phase = phase
            self.since = now

    @property
    def is_checked(self) -> bool:
        """Whether its health is watched: a plugin has no service unless it names a port."""
        return bool(self.config.health_check_type and self.config.local_port)

    @property
    def awaits_retry(self) -> bool:
        """Whether it was asked for and does not run."""
        asked = self.phase in (Phase.START_ERROR, Phase.WAIT_START)
        return asked and self.server is not None


class ProxyTable:
    """Registers proxies with whatever session there is. Loop thread only.

    Args:
        configs: what to register.
        build: makes who serves each of them.
        log: of the client.
    """

    def __init__(self, configs: Sequence[ProxyConfig], build: Build, log: PrefixLogger) -> None:
        self._build = build
        self._log = log
        self._owed: Counter[str] = Counter()  # answers of the server, by name
        self.entries = {config.name: self._make(config) for config in configs}

    def reload(
        self, configs: Sequence[ProxyConfig], changes: Changes, send: Send | None, now: float
    ) -> list[ProxyEntry]:
        """Register these from now on; return the entries that are not in use any more.

        The unchanged keep theirs. All that go do so before anybody comes, so that ports
        and domains may change hands.

        Args:
            configs: all there are now.
            changes: what that means.
            send: to the server; None without a session.
            now: on the loop's clock.
        """
        before, fresh = self.entries, changes.fresh
        self.entries = {
            config.name: self._make(config) if config.name in fresh else before[config.name]
            for config in configs
        }
        for name in fresh:
            self.entries[name].had_forerunner = True
        gone = [before[name] for name in changes.gone]
        for entry in gone:
            self._withdraw(entry, send)
        if send is not None:
            for name in (*changes.changed, *changes.added):
                self._ask(self.entries[name], send, now)
        return gone

    def register(self, send: Send, now: float) -> None:
        """Ask for every proxy; call it with each new session."""
        for entry in self.entries.values():
            entry.had_forerunner = False
            self._ask(entry, send, now)

    def retry(self, send: Send, now: float) -> None:
        """Ask again for those whose time has come."""
        for entry in self.entries.values():
            if entry.awaits_retry and now >= entry.retry_at:
                self._ask(entry, send, now)

    def next_retry(self) -> float | None:
        """Return when retry() is due, or None."""
        waiting = (entry.retry_at for entry in self.entries.values() if entry.awaits_retry)
        return min(waiting, default=None)

    def answered(self, answer: NewProxyResp, now: float) -> None:
        """The server's answer for one proxy.

        Who asked twice gets two answers, the second of them a refusal: the name
        is in use by now. So only who waits is told.
        """
        name = answer.proxy_name
        self._owed[name] -= 1
        if self._owed[name] <= 0:
            del self._owed[name]
        entry = self.entries.get(name)
        if entry is not None and entry.stale:
            entry.stale -= 1
            return
        if entry is None or entry.phase is not Phase.WAIT_START:
            return
        if answer.error:
            entry.enter(Phase.START_ERROR, now)
            entry.error = answer.error
            entry.retry_at = now + RETRY_REFUSED_SECONDS
            entry.log.warning("start error: %s", answer.error)
        else:
            entry.enter(Phase.RUNNING, now)
            entry.error = ""
            entry.remote_addr = answer.remote_addr
            entry.log.info("start proxy success")

    def checked(self, entry: ProxyEntry, reason: str, send: Send | None, now: float) -> None:
        """The local service of a proxy is well again, or ill.

        Args:
            entry: the proxy.
            reason: why it is ill; "" if it is well.
            send: to the server; None without a session.
            now: on the loop's clock.
        """
        entry.ill = reason
        entry.log.info("health check %s", "failed" if reason else "success")
        if send is None:
            return
        if not reason:
            self._ask(entry, send, now)
            return
        self._withdraw(entry, send)
        entry.stale = self._owed[entry.config.name]
        self._ask(entry, send, now)

    def session_lost(self, now: float) -> None:
        """No session: nothing runs, and nothing will be answered."""
        self._owed.clear()
        for entry in self.entries.values():
            entry.stale = 0
            entry.enter(Phase.CLOSED, now)

    def running(self, name: str) -> ProxyEntry | None:
        """Return a proxy that the server is known to serve."""
        entry = self.entries.get(name)
        return entry if entry is not None and entry.phase is Phase.RUNNING else None

    def visited(self, name: str) -> ProxyEntry | None:
        """Return the proxy of a work connection, if it may have one.

        A visitor can overtake the answer that the proxy is there: on a stream of its own, when
        it has waited for that at a port which outlived a restart of the server.
        """
        entry = self.entries.get(name)
        if entry is None:
            return None
        early = entry.phase is Phase.WAIT_START and not entry.had_forerunner
        return entry if early or entry.phase is Phase.RUNNING else None

    def _make(self, config: ProxyConfig) -> ProxyEntry:
        log = self._log.prefixed(config.section)
        entry = ProxyEntry(config, None, log, stale=self._owed[config.name])
        if entry.is_checked:
            entry.ill = UNCHECKED
        try:
            entry.server = self._build(config)
        except ProxyError as error:
            entry.error = str(error)
        return entry

    def _withdraw(self, entry: ProxyEntry, send: Send | None) -> None:
        """Have the server close what it runs, or will as soon as it comes to our request."""
        name = entry.config.name
        if send is not None and (entry.phase is Phase.RUNNING or self._owed[name]):
            send(CloseProxy(proxy_name=name))

    def _ask(self, entry: ProxyEntry, send: Send, now: float) -> None:
        if entry.server is None:
            entry.enter(Phase.START_ERROR, now)
            entry.log.error("start error: %s", entry.error)
            return
        if entry.ill:
            is_new = entry.ill == UNCHECKED
            entry.enter(Phase.NEW if is_new else Phase.CHECK_FAILED, now)
            entry.error = "" if is_new else entry.ill
            return
        entry.enter(Phase.WAIT_START, now)
        entry.retry_at = now + RETRY_UNANSWERED_SECONDS
        self._owed[entry.config.name] += 1
        send(new_proxy_message(entry.config))


# What the two sides call the same; a type that lacks one leaves the message's default.
_SAME_NAMES = (
    "remote_port",
    "subdomain",
    "http_user",
    "host_header_rewrite",
    "route_by_http_user",
    "multiplexer",
)
_LISTS = ("custom_domains", "locations", "allow_users")
_SECRETS = ("group_key", "http_pwd", "sk")


def new_proxy_message(config: ProxyConfig) -> NewProxy:
    """Return what the server is told of a proxy."""
    message = NewProxy(
        proxy_name=config.name,
        proxy_type=config.proxy_type,
        use_encryption=config.use_encryption,
        use_compression=config.use_compression,
        group=config.group,
        metas=dict(config.metas),
        headers=dict(getattr(config, "headers", NO_PARAMS)),
        response_headers=dict(getattr(config, "response_headers", NO_PARAMS)),
    )
    if config.group and config.group_strategy != "round_robin":
        message.group_strategy = config.group_strategy  # the usual one goes without saying
    message.allow_cidrs = list(config.allow_cidrs)
    message.deny_cidrs = list(config.deny_cidrs)
    message.max_connections = config.max_connections
    if config.max_connection_rate:
        message.max_connection_rate = f"{config.max_connection_rate:.15g}"
    message.bandwidth_limit = config.bandwidth_limit.text
    if config.bandwidth_limit_mode != "client":  # likewise
        message.bandwidth_limit_mode = config.bandwidth_limit_mode
    for name in _SAME_NAMES:
        if hasattr(config, name):
            setattr(message, name, getattr(config, name))
    for name in _LISTS:
        setattr(message, name, list(getattr(config, name, ())))
    for name in _SECRETS:
        setattr(message, name, getattr(config, name, NO_SECRET).reveal())
    return message
