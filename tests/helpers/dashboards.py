"""Both programs with their dashboards, under some traffic, and a browser to look at them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.helpers.devtools import DESKTOP, Browser
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, wait_until
from tests.helpers.services import Service, echo
from tests.helpers.stage import READY, TOKEN, Tunnel, started, tcp
from tests.helpers.visitors import exchange, visit

if TYPE_CHECKING:
    import socket

    from tests.helpers.devtools import Page
    from tests.helpers.stage import Stage

LOGIN = "ops:s3cret pass"
BEAT_SECONDS = 0.1
NO_SUCH_PORT = 11


class Dashboards:
    """The scene: tcp, http, stcp and a proxy that is refused; one visitor who never stops."""

    def __init__(self, stage: Stage) -> None:
        self.echo = Service(echo)
        self.frps, self.frpc = free_port(), free_port()
        self.private = free_port()
        self.tunnel = self._start(stage)
        self.browser = Browser(stage)
        self._over = threading.Event()
        self._visitor = visit(self.tunnel.ports["web"])
        self._thread = threading.Thread(target=self._talk, name="visitor", daemon=True)
        self._thread.start()

    def _start(self, stage: Stage) -> Tunnel:
        user, _, password = LOGIN.partition(":")
        bind_port, web = free_port(), free_port()
        both = {"token": TOKEN, "server_addr": "127.0.0.1", "server_port": bind_port}
        server = {
            "bind_addr": "127.0.0.1",
            "bind_port": bind_port,
            "token": TOKEN,
            "dashboard_port": self.frps,
            "dashboard_user": user,
            "dashboard_pwd": password,
            "vhost_http_port": free_port(),
            "subdomain_host": "example.test",
            "allow_ports": "10000-39999",
        }
        client = {"user": "ann", "admin_port": self.frpc, "admin_user": user, "admin_pwd": password}
        server_file = stage.write({"common": server})
        client_file = stage.write(
            {
                "common": both | client,
                "web": tcp(self.echo.port, web),
                "shop": {
                    "type": "http",
                    "local_port": self.echo.port,
                    "subdomain": "shop",
                    "custom_domains": "shop.example.com",
                    "locations": "/,/api",
                },
                "private": {"type": "stcp", "sk": "s3cr3t-key", "local_port": self.echo.port},
                "low": tcp(self.echo.port, NO_SUCH_PORT),
                "visit": {
                    "type": "stcp",
                    "role": "visitor",
                    "server_name": "private",
                    "sk": "s3cr3t-key",
                    "bind_addr": "127.0.0.1",
                    "bind_port": self.private,
                },
            }
        )
        frps = stage.start("frps", str(BIN / "frps"), "-c", str(server_file))
        frps.wait_for(READY)
        frpc = stage.start("frpc", str(BIN / "frpc"), "-c", str(client_file))
        for name in ("web", "shop", "private"):
            frpc.wait_for(started(name))
        frpc.wait_for(r"\[low\] start error")
        return Tunnel(stage, frps, frpc, bind_port, {"web": web}, server_file, client_file)

    def open(
        self,
        program: str,
        hash_: str = "",
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        language: str = "en",
    ) -> Page:
        """Open a page of ``frps`` or ``frpc`` and wait until it is drawn."""
        page = self.browser.page(size=size, dark=dark, language=language, login=LOGIN)
        page.open(self.address(program, hash_))
        page.wait("document.querySelector('h1')", "the page is drawn")
        return page

    def address(self, program: str, hash_: str = "") -> str:
        """Return where a page is."""
        port = self.frps if program == "frps" else self.frpc
        return f"http://127.0.0.1:{port}/static/#/{hash_}"

    def close(self) -> None:
        """Stop the traffic. Idempotent."""
        self._over.set()
        self._thread.join()
        self._visitor.close()
        self.echo.close()

    def _talk(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            if not _still_talks(self._visitor):
                self._visitor.close()
                self._visitor = self._come_again()

    def _come_again(self) -> socket.socket:
        found: list[socket.socket] = []

        def connects() -> bool:
            try:
                found.append(visit(self.tunnel.ports["web"]))
            except OSError:
                return self._over.is_set()
            return True

        wait_until(connects, "a visitor comes again", 60)
        return found[0] if found else self._visitor


def _still_talks(visitor: socket.socket) -> bool:
    data = b"x" * 20_000
    try:
        return exchange(visitor, data) == data
    except OSError:
        return False
