"""ConnectHost: the tcpmux virtual hosts: visitors name their host in an HTTP CONNECT.

One head is read; what follows is passed on unseen. With ``tcpmux_passthrough`` the head is
the service's to answer. Facts: frp's pkg/util/tcpmux. A wrong password is answered with 407
alone; frp says 200 before it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final, Protocol

from frpd.config.server import ServerConfig
from frpd.errors import ConnectionLost, ProxyError
from frpd.http.pages import error_response, retry_after
from frpd.http.tell import credentials
from frpd.log import get_logger
from frpd.net.address import host_of
from frpd.net.endpoint import Outcome
from frpd.net.stream import SocketStream
from frpd.net.visitor_gate import Refusal
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import RequestHead, head_end, parse_request
from frpd.proto.http.host import canonical_host
from frpd.selector_loop import SelectorLoop
from frpd.server.door import Door, Ticket
from frpd.server.guard.guesses import Guesses
from frpd.server.vhost.router import Router
from frpd.server.vhost.settings import head_limits, http_limits

READ_BYTES: Final = 16 * 1024
CONNECTED: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
"""As frp writes it."""

_log = get_logger("frpd.server.vhost.connect")


class ConnectSite(Protocol):
    """Who serves a name: a tcpmux proxy, or a group of them."""

    name: str

    def turned_away(self, stream: SocketStream) -> Refusal | None:
        """Return why this visitor may not connect, and count it; None if it may."""

    def admits(self, credentials: tuple[str, str] | None) -> bool:
        """Whether who names this user and password may connect."""

    def on_user(self, stream: SocketStream, opening: bytes) -> None:
        """Take over a visitor's connection.

        Args:
            stream: what is still to be read of it comes behind the opening.
            opening: what the service is to hear first; it may be said to several.
        """


class ConnectHost:
    """Visitors of all tcpmux proxies. Loop thread only.

    Args:
        loop: the loop.
        config: of the server.
        guesses: remembers wrong passwords.

    Attributes:
        port: that visitors come to; 0 while there is none.
        passthrough: whether services answer CONNECT themselves.
    """

    def __init__(self, loop: SelectorLoop, config: ServerConfig, guesses: Guesses) -> None:
        self.guesses = guesses
        self.door = Door(loop, head_limits(config), awaited="CONNECT")
        self._router: Router[ConnectSite] = Router()
        self.use(config)

    def use(self, config: ServerConfig) -> None:
        """Go on with another configuration; who is here stays."""
        self.port = config.tcpmux_httpconnect_port
        self.passthrough = config.tcpmux_passthrough
        self.limits = http_limits(config).head
        self.door.use(head_limits(config))

    def on_visitor(self, stream: SocketStream) -> None:
        """Take a visitor's connection."""
        _Asking(self, stream)

    def add(self, domains: Sequence[str], user: str, site: ConnectSite) -> None:
        """Let these names lead to a site, for an http user or ("") for all; all or none.

        Raises:
            ProxyError: one exists already.
        """
        added: list[str] = []
        try:
            for domain in domains:
                self._router.add(domain, "", user, site)
                added.append(domain)
        except ProxyError:
            self.remove(added, user)
            raise

    def remove(self, domains: Sequence[str], user: str) -> None:
        """Undo add(): no visitor is taken for these names from now on."""
        for domain in domains:
            self._router.remove(domain, "", user)

    def find(self, head: RequestHead, user: str) -> ConnectSite | None:
        """Return who serves the host that was named."""
        return self._router.find(canonical_host(head.host), "", user)

    def has_users(self, head: RequestHead) -> bool:
        """Whether somebody would serve this host, if only the right user asked."""
        return self._router.knows_users(canonical_host(head.host), "")

    def close(self) -> None:
        """Drop who has not said whom it wants. Idempotent."""
        self.door.close()


class _Asking:
    """One connection until its CONNECT has come."""

    __slots__ = ("_heard", "_host", "_searched", "_stream", "_ticket")

    def __init__(self, host: ConnectHost, stream: SocketStream) -> None:
        self._host = host
        self._stream = stream
        self._heard = b""
        self._searched = 0  # so much of it holds no end of a head
        self._ticket: Ticket = host.door.admit(host_of(stream.peer), self._too_late)
        stream.on_failure = self._gone
        stream.watch(self._listen, None)

    def _listen(self) -> None:
        try:
            data = self._stream.read(READ_BYTES)
        except ConnectionLost:
            self._gone()
            return
        if isinstance(data, Outcome):
            if data is Outcome.EOF:
                self._gone()
            return
        self._heard += bytes(data)
        limits = self._host.limits
        try:
            end = head_end(self._heard, self._searched, limits)
            if not end:
                self._searched = len(self._heard)
                return
            head = parse_request(self._heard[:end], limits)
        except HttpError as error:
            self._refuse(error.status, error.reason)
            return
        self._hand_on(head, end)

    def _hand_on(self, head: RequestHead, end: int) -> None:
        if head.method != "CONNECT":
            self._refuse(400, f"{head.method} where CONNECT is expected")
            return
        who, _ = credentials(head)
        site = self._host.find(head, who[0] if who else "")
        if site is None:
            status = 404 if who or not self._host.has_users(head) else 407
            self._refuse(status, f"nobody serves [{head.host}] for this user")
        elif (refusal := site.turned_away(self._stream)) is not None:
            self._answer(self._leave(), refusal.status, refusal.headers)
        elif who and (wait := self._host.guesses.wait_seconds(site, host_of(self._stream.peer))):
            self._answer(self._leave(), 429, retry_after(wait))
        elif not site.admits(who):
            if who:
                self._host.guesses.wrong(site, host_of(self._stream.peer))
            self._refuse(407, f"wrong user or password for [{head.host}]")
        else:
            self._let_in(site, end)

    def _let_in(self, site: ConnectSite, end: int) -> None:
        stream, heard = self._leave(), self._heard
        opening = heard[:end] if self._host.passthrough else b""
        try:
            if not opening and stream.write(CONNECTED) < len(CONNECTED):
                stream.abort()  # it reads nothing, and has been sent nothing before
                return
        except ConnectionLost:
            stream.close()
            return
        if heard[end:]:
            stream.unread(heard[end:])
        site.on_user(stream, opening)

    def _refuse(self, status: int, reason: str) -> None:
        stream = self._leave()
        _log.info("%s: answered %d: %s", stream.describe(), status, reason)
        self._answer(stream, status)

    def _answer(
        self, stream: SocketStream, status: int, extra: tuple[tuple[str, str], ...] = ()
    ) -> None:
        with contextlib.suppress(ConnectionLost):
            stream.write(error_response(status, close=True, extra=extra))
        stream.close()

    def _leave(self) -> SocketStream:
        self._host.door.leave(self._ticket)
        self._stream.on_failure = None
        self._stream.watch(None, None)
        return self._stream

    def _too_late(self, reason: str) -> None:
        _log.info("%s: closed before it said whom it wants: %s", self._stream.describe(), reason)
        self._stream.close()

    def _gone(self) -> None:
        self._host.door.leave(self._ticket)
        self._stream.close()
