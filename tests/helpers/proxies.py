"""Real proxies on the way to a server: tinyproxy for HTTP CONNECT, microsocks for SOCKS5."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.helpers.ports import free_port
from tests.helpers.programs import need_tool
from tests.helpers.services import CHUNK, wait_for_port

if TYPE_CHECKING:
    import ssl

    from tests.helpers.programs import Program
    from tests.helpers.services import Handler
    from tests.helpers.stage import Stage

USER, PASSWORD = "al.ice", "S3cret"


@dataclass(slots=True)
class Proxy:
    """A running proxy; it says a line for each connection that it makes."""

    scheme: str
    port: int
    program: Program

    def url(self, user: str = "", password: str = "") -> str:
        """Return what http_proxy takes."""
        credentials = f"{user}:{password}@" if user else ""
        return f"{self.scheme}://{credentials}127.0.0.1:{self.port}"

    def wait_for_tunnel(self, host: str, port: int) -> None:
        """Wait until it has said that it was asked for a tunnel to there."""
        before = "CONNECT" if self.scheme == "http" else "connected to"
        self.program.wait_for(rf"{before} {host}:{port}\b")

    def tunnels(self) -> int:
        """Return how many connections it was asked for."""
        return self.program.count("CONNECT .* HTTP|connected to")


def start_tinyproxy(stage: Stage, *, locked: bool = False) -> Proxy:
    """Start tinyproxy on loopback; if it is locked, with USER and PASSWORD."""
    program, port = need_tool("tinyproxy"), free_port()
    lock = f"BasicAuth {USER} {PASSWORD}\n" if locked else ""
    path = stage.write(
        f"Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 20\nLogLevel Connect\n{lock}"
    )
    proxy = Proxy("http", port, stage.start("tinyproxy", program, "-d", "-c", str(path)))
    wait_for_port(proxy.program, port)
    return proxy


def start_microsocks(stage: Stage, *, locked: bool = False) -> Proxy:
    """Start microsocks on loopback; if it is locked, with USER and PASSWORD."""
    program, port = need_tool("microsocks"), free_port()
    lock = ("-u", USER, "-P", PASSWORD) if locked else ()
    command = (program, "-i", "127.0.0.1", "-p", str(port), *lock)
    proxy = Proxy("socks5", port, stage.start("microsocks", *command))
    wait_for_port(proxy.program, port)
    return proxy


def in_tls(context: ssl.SSLContext, port: int) -> Handler:
    """Return a handler that takes TLS, and has the plain bytes served by another port."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.start_tls(context)
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(_move(reader, onward_writer), _move(onward_reader, writer))
        finally:
            onward_writer.transport.abort()

    return handler


async def _move(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    raise EOFError  # one end is enough: no half-close goes through TLS
