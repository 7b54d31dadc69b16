"""HttpsHost: the https virtual hosts of a server.

Only the ClientHello is looked at, for the name in it. Then all bytes, from the
first on, are passed on as a tcp proxy does: the service ends TLS.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final, Protocol

from frpd.config.server import ServerConfig
from frpd.errors import ConnectionLost, ProxyError, RemoteProtocolError
from frpd.log import get_logger
from frpd.net.address import host_of
from frpd.net.endpoint import Outcome
from frpd.net.stream import SocketStream
from frpd.proto.tls_hello import MAX_HELLO_BYTES, UNRECOGNIZED_NAME, HelloReader, alert
from frpd.selector_loop import SelectorLoop
from frpd.server.door import Door, Ticket
from frpd.server.vhost.router import Router
from frpd.server.vhost.settings import hello_limits

READ_BYTES: Final = 16 * 1024

_log = get_logger("frpd.server.vhost.https")


class TlsSite(Protocol):
    """Who serves a name: an https proxy."""

    def on_user(self, stream: SocketStream) -> None:
        """Take over a visitor's connection, of which nothing was read."""


class HttpsHost:
    """Visitors of all https proxies. Loop thread only.

    Args:
        loop: the loop.
        config: of the server.

    Attributes:
        port: that visitors come to; 0 while there is none.
    """

    def __init__(self, loop: SelectorLoop, config: ServerConfig) -> None:
        self.port = config.vhost_https_port
        self.door = Door(loop, hello_limits(config), awaited="server name")
        self._router: Router[TlsSite] = Router()

    def use(self, config: ServerConfig) -> None:
        """Go on with another configuration; who is here stays."""
        self.port = config.vhost_https_port
        self.door.use(hello_limits(config))

    def on_visitor(self, stream: SocketStream) -> None:
        """Take a visitor's connection."""
        _Greeting(self, stream)

    def add(self, domains: Sequence[str], site: TlsSite) -> None:
        """Let these names lead to a site: all of them or none.

        Raises:
            ProxyError: one exists already.
        """
        added: list[str] = []
        try:
            for domain in domains:
                self._router.add(domain, "", "", site)
                added.append(domain)
        except ProxyError:
            self.remove(added)
            raise

    def remove(self, domains: Sequence[str]) -> None:
        """Undo add(): no visitor is taken for these names from now on."""
        for domain in domains:
            self._router.remove(domain, "", "")

    def find(self, name: str) -> TlsSite | None:
        """Return who serves a name; nobody serves those who name nobody."""
        return self._router.find(name, "", "") if name else None

    def close(self) -> None:
        """Drop who has not said a name. Idempotent."""
        self.door.close()


class _Greeting:
    """One connection until its ClientHello has come."""

    __slots__ = ("_heard", "_host", "_reader", "_stream", "_ticket")

    def __init__(self, host: HttpsHost, stream: SocketStream) -> None:
        self._host = host
        self._stream = stream
        self._reader = HelloReader()
        self._heard = bytearray()
        self._ticket: Ticket = host.door.admit(host_of(stream.peer), self._too_late)
        stream.on_failure = self._gone
        stream.watch(self._listen, None)

    def _listen(self) -> None:
        try:
            data = self._stream.read(min(READ_BYTES, MAX_HELLO_BYTES + 1 - len(self._heard)))
        except ConnectionLost:
            self._gone()
            return
        if isinstance(data, Outcome):
            if data is Outcome.EOF:
                self._gone()
            return
        self._heard += data
        try:
            self._reader.feed(data)
        except RemoteProtocolError as error:
            _log.info("%s: refused: %s", self._stream.describe(), error)
            self._host.door.leave(self._ticket)
            self._stream.abort()
            return
        if self._reader.done:
            self._host.door.leave(self._ticket)
            self._hand_on()

    def _hand_on(self) -> None:
        stream, name = self._stream, self._reader.server_name
        stream.on_failure = None
        stream.watch(None, None)
        site = self._host.find(name)
        if site is None:
            _log.info("%s: nobody serves [%s]", stream.describe(), name)
            with contextlib.suppress(ConnectionLost):
                stream.write(alert(UNRECOGNIZED_NAME))
            stream.close()
            return
        stream.unread(self._heard)
        site.on_user(stream)

    def _too_late(self, reason: str) -> None:
        _log.info("%s: closed before it said a name: %s", self._stream.describe(), reason)
        self._stream.close()

    def _gone(self) -> None:
        self._host.door.leave(self._ticket)
        self._stream.close()
