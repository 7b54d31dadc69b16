"""A server with an http proxy, its scripted client, and visitors who write bytes."""

from __future__ import annotations

import socket
from typing import Any

from frpd.proto.message.types import StartWorkConn
from tests.helpers.peers import ScriptedClient, Talker, Wire
from tests.helpers.world import World
from tests.unit.server.house import House

HOST = "a.example.com"
CLOSE = b"Connection: close\r\n"
GET = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def request(method: str = "GET", path: str = "/", *lines: str, host: str = HOST) -> bytes:
    """Return a request's head."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


def reserved_port(world: World) -> int:
    """Return a port that a server may bind, and that no connection gets by chance."""
    holder = world.stack.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    return port


def passed_on(head: bytes, hop: bytes = b"") -> bytes:
    """Return a head as the service gets it: with what is told about the visitor.

    Args:
        head: as the visitor sends it.
        hop: lines about the connection to the service.
    """
    host = head.partition(b"Host: ")[2].partition(b"\r\n")[0]
    return (
        head[:-2]
        + hop
        + (
            b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: %b\r\n"
            b"X-Forwarded-Proto: http\r\nX-Real-IP: 127.0.0.1\r\n\r\n" % host
        )
    )


class Web:
    """One proxy called ``web`` for HOST; other fields as given."""

    def __init__(
        self, world: World, *, mux: bool = True, proxy: dict[str, Any] | None = None, **keys: Any
    ) -> None:
        self.world = world
        self.port = reserved_port(world)
        self.house = House(world, **({"vhost_http_port": self.port} | keys))
        self.client = self.house.client(mux=mux)
        self.add("web", **({"custom_domains": [HOST]} | (proxy or {})))

    def add(self, name: str, client: ScriptedClient | None = None, **fields: Any) -> str:
        """Register a proxy; return the error."""
        return (client or self.client).new_proxy(name, 0, "http", **fields).error

    def visit(self, data: bytes = b"") -> Wire:
        wire = Wire.to(self.world, self.port)
        if data:
            wire.write(data)
        return wire

    def work(self) -> Talker:
        """Bring a work connection and wait until it is used."""
        talker = self.client.work()
        talker.receive(StartWorkConn)
        return talker

    def hears(self, talker: Talker, data: bytes) -> None:
        """Wait until the service has got exactly this, and forget it."""
        self.world.until(lambda: len(talker.payload) >= len(data), f"the service gets {data!r}")
        self.world.settle()
        assert bytes(talker.payload) == data
        talker.payload.clear()

    def gets(self, wire: Wire, data: bytes) -> None:
        """Wait until the visitor has got exactly this, and forget it."""
        self.world.until(
            lambda: len(wire.received) >= len(data) or wire.end, f"the visitor gets {data!r}"
        )
        self.world.settle()
        assert bytes(wire.received) == data
        wire.received.clear()

    def gets_page(self, wire: Wire, status: int, *, closed: bool = False) -> bytes:
        """Wait until the visitor has a page of ours, whole; return it."""
        self.world.until(lambda: b"\r\n\r\n" in wire.received or wire.end, f"a page {status}")
        self.world.settle()
        page = bytes(wire.received)
        wire.received.clear()
        assert page.startswith(b"HTTP/1.1 %d " % status), page
        assert (b"Connection: close" in page) == closed
        assert (wire.end == "eof") == closed
        return page

    def is_quiet(self, *peers: Talker | Wire) -> bool:
        """Whether nothing comes for these."""
        self.world.settle()
        return not any(
            peer.payload if isinstance(peer, Talker) else peer.received for peer in peers
        )

    def leaves_nothing(self) -> None:
        """All peers go; the server is as it was."""
        for peer in list(self.world.peers):
            if isinstance(peer, Wire):
                peer.close()
        self.house.service._pipes.close()  # spare ones are descriptors too
        self.house.until_empty()
        http = self.house.service._vhosts.http
        assert http is not None
        assert (http.visitors, http.door.pending) == (0, 0)
