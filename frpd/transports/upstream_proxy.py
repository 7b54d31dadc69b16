"""UpstreamLayer: has a proxy on the way join us to the server (HTTP CONNECT, SOCKS5).

It begins on a connection to the proxy, and gives the connection to the server. It is the
outermost layer; only TLS to the proxy itself (https://) goes ahead of it.
"""

from __future__ import annotations

import socket
from typing import TypeAlias

from frpd.errors import (
    ConnectionLost,
    LocalProtocolError,
    RemoteProtocolError,
    TransportError,
)
from frpd.net.address import join_host_port, literal_family
from frpd.net.endpoint import Endpoint, Outcome
from frpd.proto.http_connect import HttpConnectClient
from frpd.proto.socks5 import Socks5Client
from frpd.selector_loop import SelectorLoop
from frpd.transports.base import Dialing, OnEndpoint, OnFailed

READ_BYTES = 16 * 1024

ProxyClient: TypeAlias = HttpConnectClient | Socks5Client


class UpstreamLayer:
    """A Layer: the handshake with a proxy.

    Args:
        loop: the loop.
        scheme: http or https (CONNECT), socks5 or socks5h (the same: names are looked up
            by the proxy).
        name: of the proxy, for errors; without its password.
        target_host: the server.
        target_port: its port.
        user: for the proxy; empty for no credentials.
        password: likewise. Bytes that are not UTF-8 are surrogates, as in ``user``.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        scheme: str,
        name: str,
        target_host: str,
        target_port: int,
        *,
        user: str = "",
        password: str = "",
    ) -> None:
        self._loop = loop
        self._is_socks = scheme.startswith("socks")
        self._where = f"proxy {name}, asked for {join_host_port(target_host, target_port)}"
        self._target = (target_host, target_port)
        self._credentials = (_octets(user), _octets(password)) if user else None

    def begin(self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed) -> Dialing:
        """See Layer.begin."""
        talk = _Talk(endpoint, self._where, on_ready, on_failed)
        try:
            talk.start(self._client())
        except LocalProtocolError as error:  # the proxy's protocol has no way to say it
            self._loop.call_soon(talk.fail, str(error))
        return talk

    def _client(self) -> ProxyClient:
        host, port = self._target
        if not self._is_socks:
            return HttpConnectClient(_ascii(host), port, self._credentials)
        family = literal_family(host)
        if family is None or "%" in host:
            return Socks5Client(_ascii(host), port, self._credentials)
        return Socks5Client(socket.inet_pton(family, host), port, self._credentials)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise LocalProtocolError(f"{host!r} is no host name") from error


class _Talk:
    """The handshake on one connection."""

    __slots__ = (
        "_client",
        "_endpoint",
        "_on_failed",
        "_on_ready",
        "_over",
        "_unsent",
        "_where",
    )

    def __init__(
        self, endpoint: Endpoint, where: str, on_ready: OnEndpoint, on_failed: OnFailed
    ) -> None:
        self._endpoint = endpoint
        self._where = where
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._client: ProxyClient
        self._unsent = b""
        self._over = False

    def start(self, client: ProxyClient) -> None:
        """Speak first, as soon as the connection takes it."""
        self._client = client
        self._unsent = client.data_to_send()
        self._endpoint.on_failure = self._callback_failed
        self._endpoint.watch(self._readable, self._writable)

    def cancel(self) -> None:
        """See Dialing.cancel. Idempotent."""
        if not self._over:
            self._over = True
            self._endpoint.abort()

    def fail(self, why: str) -> None:
        """Drop the connection and say why, unless it is over."""
        if not self._over:
            self.cancel()
            self._on_failed(TransportError(f"{self._where}: {why}"))

    def _writable(self) -> None:
        try:
            taken = self._endpoint.write(self._unsent)
        except ConnectionLost:  # what it said before can still be read, and so can the end
            taken = len(self._unsent)
        self._unsent = self._unsent[taken:]
        if not self._unsent:
            self._endpoint.watch(self._readable, None)

    def _readable(self) -> None:
        try:
            data = self._endpoint.read(READ_BYTES)
            if data is Outcome.EOF:
                self.fail("it closed the connection")
            if isinstance(data, Outcome):
                return
            self._client.receive_data(data)
        except (ConnectionLost, RemoteProtocolError) as error:
            self.fail(str(error))
            return
        self._unsent += self._client.data_to_send()
        if self._client.refusal is not None:
            self.fail(self._client.refusal)
        elif not self._client.is_ready:
            self._endpoint.watch(self._readable, self._writable if self._unsent else None)
        elif self._unsent:
            self.fail("it answered before it was asked")
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        self._over = True
        self._endpoint.on_failure = None
        self._endpoint.watch(None, None)
        rest = self._client.take_rest()
        if rest:
            self._endpoint.unread(rest)
        self._on_ready(self._endpoint)

    def _callback_failed(self) -> None:
        self.fail("internal error, see the log")
