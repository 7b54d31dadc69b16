"""A browser that goes to the web through frpc's http_proxy and socks5 plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import need_tool, wait_until
from tests.helpers.services import Service
from tests.helpers.web import answer, read_asked

if TYPE_CHECKING:
    import asyncio

    from tests.helpers.stage import Stage

SCRIPTS = 40
SECONDS = 60.0  # for a page, on a busy machine
PAGE = f"""<!doctype html><html><head><title>plugins</title></head><body>
{"".join(f'<script src="/{number}.js"></script>' for number in range(SCRIPTS))}
<script>
fetch("/sum", {{method: "POST", body: "x".repeat(300000)}})
  .then(answer => answer.text())
  .then(text => fetch("/report/" + window.ran + "-" + text))
</script></body></html>
"""


class Web:
    """A page with many scripts, which says in the end what it got."""

    def __init__(self) -> None:
        self.reports: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await read_asked(reader)
            body = await reader.readexactly(int(asked.first("content-length") or 0))
            if asked.target == "/":
                said = answer(PAGE.encode(), "Content-Type: text/html")
            elif asked.target.endswith(".js"):
                script = b"window.ran = (window.ran || 0) + 1"
                said = answer(script, "Content-Type: text/javascript", "Cache-Control: no-store")
            elif asked.target.startswith("/report/"):
                self.reports.append(asked.target.removeprefix("/report/"))
                said = answer(b"")
            else:
                said = answer(str(len(body)).encode())
            writer.write(said)
            await writer.drain()


@pytest.mark.parametrize(("plugin", "scheme"), [("http_proxy", "http"), ("socks5", "socks5")])
def test_a_page_comes_through_a_plugin(stage: Stage, plugin: str, scheme: str) -> None:
    web = Web()
    bind_port, port = free_port(), free_port()
    stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port})
    stage.frpc(
        {"server_addr": "127.0.0.1", "server_port": bind_port},
        {"out": {"type": "tcp", "remote_port": port, "plugin": plugin}},
    )
    with Service(web.serve) as service:
        browser = stage.start(
            "browser",
            need_tool("chromium-headless-shell"),
            *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"),
            *("--disable-background-networking", "--disable-sync", "--no-first-run"),
            "--remote-debugging-port=0",  # or it would end when the page is loaded
            f"--proxy-server={scheme}://127.0.0.1:{port}",
            "--proxy-bypass-list=<-loopback>",  # this machine is to be reached by the proxy, too
            f"--user-data-dir={stage.folder}/profile",
            f"http://127.0.0.1:{service.port}/",
            env={"HOME": str(stage.folder), "LANG": "C.UTF-8"},
        )
        ended = browser.process.poll
        wait_until(lambda: web.reports or ended() is not None, "a report", SECONDS)
        browser.kill()
    assert web.reports == [f"{SCRIPTS}-300000"]
