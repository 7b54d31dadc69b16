"""Real proxies on the way to a server: tinyproxy for HTTP CONNECT, microsocks for SOCKS5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.helpers.programs import free_port, need_tool
from tests.helpers.services import wait_for_port

if TYPE_CHECKING:
    from tests.helpers.programs import Program
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
