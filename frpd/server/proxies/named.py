"""NamedProxy: a proxy that has names on a shared port, and whose visitors' bytes pass unseen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from frpd.errors import ConnectionLost
from frpd.net.stream import SocketStream
from frpd.proto.message.types import NewProxy
from frpd.server.proxies.base import ProxyContext
from frpd.server.proxies.visit import Visit, is_turned_away
from frpd.server.proxies.work_call import introduction
from frpd.server.vhost.names import domains_of, remote_addr


class SharedPort(Protocol):
    """Where visitors say whom they want."""

    port: int


class NamedProxy(ABC):
    """One proxy with names. Loop thread only.

    Args:
        context: of the client's session.
        request: what the client asked for.
        host: whose names they are.
        subdomain_host: of the server.

    Raises:
        ProxyError: the names are not to be had.
    """

    proxy_type = ""
    ports_used = 0

    def __init__(
        self, context: ProxyContext, request: NewProxy, host: SharedPort, subdomain_host: str
    ) -> None:
        self.name = request.proxy_name
        self.counters = context.counters
        self.context = context
        self.gate = context.gate
        self.request = request
        self.domains = domains_of(request, subdomain_host)
        self._shared = host
        self._enter()
        self._closed = False

    @property
    def remote_addr(self) -> str:
        """See Proxy.remote_addr; a reload may move the port."""
        return remote_addr(self.domains, [""], self._shared.port)

    def visit(self, stream: SocketStream) -> None:
        """A visitor has said one of our names; what is still to be read is for the service."""
        if is_turned_away(self.context, stream):
            return
        try:
            destination = stream.local_address()
        except ConnectionLost:
            stream.abort()
            return
        Visit(
            self.context,
            self.counters,
            stream,
            introduction(self.name, stream.peer, destination),
            use_encryption=self.request.use_encryption,
            use_compression=self.request.use_compression,
        )

    def close(self) -> None:
        """Free the names; visitors that are connected stay. Idempotent."""
        if not self._closed:
            self._closed = True
            self._leave()

    @abstractmethod
    def _enter(self) -> None:
        """Take the names; ProxyError if they are not to be had."""

    @abstractmethod
    def _leave(self) -> None:
        """Undo _enter."""
