"""http proxies: routes of the server's http port; each request is passed on by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from frpd.auth.basic import BasicLogin
from frpd.errors import FrpError, ProxyError
from frpd.net.address import SockAddr
from frpd.net.endpoint import Endpoint
from frpd.proto import native
from frpd.proto.http.rewrite import AnswerRules, RequestRules
from frpd.proto.message.types import NewProxy
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.work_call import WorkCall, call_for_work, introduction
from frpd.server.vhost.names import Route, locations_of, remote_addr, routes_of

if TYPE_CHECKING:
    from frpd.log import PrefixLogger
    from frpd.metrics.access import ProxyAccess
    from frpd.net.pipes import PipePool
    from frpd.net.visitor_gate import Refusal, VisitorGate
    from frpd.server.vhost.http_host import HttpHost

MAX_RULES: Final = 256
"""Visitors whose rules are kept ready."""


class HttpProxy:
    """One http proxy; a Site of the virtual hosts, and the only one of its Sites. Loop thread only.

    Args:
        context: of the client's session.
        request: what the client asked for.

    Raises:
        ProxyError: there is no http port, the domains are not to be had, or a
            header to set cannot be one.
    """

    proxy_type = "http"
    ports_used = 0
    unserved_status = 404
    spares = None

    def __init__(self, context: ProxyContext, request: NewProxy) -> None:
        if context.vhosts is None or not context.vhosts.http.port:
            raise ProxyError("type [http] not support when vhost_http_port is not set")
        self.name = request.proxy_name
        self.counters = context.counters
        self.access: ProxyAccess | None = context.access
        self.gate: VisitorGate | None = context.gate
        self.log: PrefixLogger = context.log
        self.pipes: PipePool | None = context.pipes
        self.half_closes = native.HALF_CLOSE in context.features
        self._context = context
        self._request = request
        self._login = BasicLogin(request.http_user, request.http_pwd)
        self._rules: dict[str, RequestRules] = {}
        self._make_rules("")  # what is wrong with them is the client's to hear
        self.answer_rules = self._make_answer_rules()
        self._host = host = context.vhosts.http
        self._routes = routes_of(request, context.vhosts.subdomain_host)
        self._enter(host, self._routes)
        self._closed = False

    @property
    def remote_addr(self) -> str:
        """See Proxy.remote_addr; a reload may move the port."""
        domains = dict.fromkeys(route.domain for route in self._routes)
        return remote_addr(domains, locations_of(self._request), self._host.port)

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """See Site.admits; takes the same time whatever is wrong with them."""
        return self._login.admits(credentials)

    def refusal(self, visitor_ip: str) -> tuple[HttpProxy, Refusal] | None:
        """See Sites.refusal."""
        refusal = None if self.gate is None else self.gate.refusal(visitor_ip)
        return None if refusal is None else (self, refusal)

    def choose(self, _visitor_ip: str) -> HttpProxy:
        """See Sites.choose."""
        return self

    def rules_for(self, visitor_ip: str) -> RequestRules:
        """See Site.rules_for."""
        rules = self._rules.get(visitor_ip)
        if rules is None:
            if len(self._rules) >= MAX_RULES:
                self._rules.clear()
            rules = self._rules[visitor_ip] = self._make_rules(visitor_ip)
        return rules

    def call(
        self,
        visitor: SockAddr,
        on_work: Callable[[Endpoint], None],
        on_failed: Callable[[FrpError], None],
    ) -> WorkCall:
        """See Site.call."""
        return call_for_work(
            self._context,
            introduction(self.name, visitor),
            on_work,
            on_failed,
            use_encryption=self._request.use_encryption,
            use_compression=self._request.use_compression,
        )

    def close(self) -> None:
        """Take no requests any more; those under way go on. Idempotent."""
        if not self._closed:
            self._closed = True
            self._leave(self._host, self._routes)

    def _enter(self, host: HttpHost, routes: list[Route]) -> None:
        """Take the routes; ProxyError if they are not to be had."""
        host.add(routes, self._request.route_by_http_user, self)

    def _leave(self, host: HttpHost, routes: list[Route]) -> None:
        """Undo _enter."""
        host.remove(routes, self._request.route_by_http_user)

    def _make_answer_rules(self) -> AnswerRules:
        try:
            return AnswerRules(self._request.response_headers)
        except ValueError as error:
            raise ProxyError(f"proxy [{self.name}]: {error}") from error

    def _make_rules(self, visitor_ip: str) -> RequestRules:
        try:
            return RequestRules(
                host_rewrite=self._request.host_header_rewrite,
                headers=self._request.headers,
                visitor_ip=visitor_ip,
            )
        except ValueError as error:
            raise ProxyError(f"proxy [{self.name}]: {error}") from error
