"""A client that dies without a word: it logs in, opens a proxy, and then only keeps its socket."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from frpd.auth.token import Credential, privilege_key
from frpd.client.login_attempt import Entry, LoginAttempt, Offer, make_login
from frpd.clock import unix_now
from frpd.config.client import ClientConfig
from frpd.entropy import SystemEntropy
from frpd.errors import FrpError, TransportError
from frpd.net.connector import Connector
from frpd.net.stream import SocketStream
from frpd.proto.ciphers import derive_key
from frpd.proto.message.types import Message, NewProxy, NewProxyResp, ReqWorkConn
from frpd.proto.seal_keys import stretch
from frpd.proto.yamux.session import YamuxSession
from frpd.transports.mux import MuxLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from frpd.net.endpoint import Endpoint
    from tests.helpers.world import World

LOCAL = "127.0.0.1"
stretched = cache(stretch)


class MortalClient:
    """One session with a real frps.

    Args:
        world: its loop.
        connector: of the same.
        bind_port: of frps.
        token: of frps.
        mux: whether everything goes over one connection.
        sealed: whether we offer what two frpd ends can do.
        run_id: of the client that has died before; "" for the first.

    Attributes:
        run_id: that frps has given us.
        wanted: how often frps has asked for us to serve a visitor.
    """

    def __init__(
        self,
        world: World,
        connector: Connector,
        bind_port: int,
        token: str,
        *,
        mux: bool,
        sealed: bool,
        run_id: str,
    ) -> None:
        self.run_id = run_id
        self.wanted = 0
        self._world = world
        self._token = token
        self._mux = mux
        self._config = replace(
            ClientConfig(), tcp_mux=mux, native="auto" if sealed else "off", protocol="tcp"
        )
        self._carrier: SocketStream | None = None
        self._link: MuxLink | None = None
        self._attempt: LoginAttempt | None = None
        self._entry: Entry | None = None
        self._proxy: list[str] = []  # what was said of it
        self._fault = ""
        connector.connect(LOCAL, bind_port, self._connected, self._failed, timeout_seconds=60)
        self._until(lambda: self._entry, "a session")

    def open_proxy(self, name: str, port: int) -> None:
        """Open a tcp proxy."""
        assert self._entry is not None
        request = NewProxy(proxy_name=name, proxy_type="tcp", remote_port=port)
        self._entry.stream.send(request)
        self._until(lambda: self._proxy, "an answer to a proxy")
        assert self._proxy == [""]

    def die(self) -> None:
        """Say nothing more, hear nothing more; the socket stays as it is."""
        assert self._carrier is not None
        self._carrier.watch(None, None)

    def close(self) -> None:
        """Let the socket go."""
        assert self._carrier is not None
        self._carrier.close()

    def wait_for_visitor(self) -> None:
        """Wait until frps wants a visitor served."""
        self._until(lambda: self.wanted, "a visitor")

    def _connected(self, carrier: SocketStream) -> None:
        self._carrier = carrier
        if not self._mux:
            self._log_in(carrier)
            return
        loop = self._world.loop
        session = YamuxSession(is_client=True, now=loop.now(), keepalive_seconds=None)
        self._link = MuxLink(
            loop, carrier, session, on_stream=lambda _: self._want(), on_closed=self._lost
        )
        self._link.open_stream(self._log_in, self._failed)

    def _log_in(self, endpoint: Endpoint) -> None:
        now = unix_now()
        credential = Credential(privilege_key(self._token, now), now)
        psk = stretched(self._token) if self._config.native != "off" else None
        self._attempt = LoginAttempt(
            self._world.loop,
            endpoint,
            make_login(self._config, credential, self.run_id),
            Offer(self._config, psk, SystemEntropy()),
            cipher_key=derive_key(self._token),
            on_entered=self._entered,
            on_refused=self._lost,
            on_failed=self._failed,
        )

    def _entered(self, entry: Entry) -> None:
        self._entry = entry
        self.run_id = entry.answer.run_id
        entry.stream.on_message = self._heard
        entry.stream.on_end = self._ended

    def _heard(self, message: Message) -> None:
        if isinstance(message, NewProxyResp):
            self._proxy.append(message.error)
        elif isinstance(message, ReqWorkConn):
            self._want()

    def _want(self) -> None:
        self.wanted += 1

    def _ended(self, error: FrpError | None) -> None:
        self._lost(str(error))

    def _failed(self, error: TransportError) -> None:
        self._lost(str(error))

    def _lost(self, reason: str) -> None:
        self._fault = self._fault or reason

    def _until(self, fact: Callable[[], object], what: str) -> None:
        self._world.until(lambda: fact() or self._fault, what)
        assert not self._fault, self._fault
