"""The small web page that the demo carries through its tunnel: a local service to look at.

A process of its own, as a real local service would be: ``python -m frpd.cli.demo_page PORT MARK``.
Every answer carries MARK in a header, so that the demo knows its own page from a stranger's.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

MARK_HEADER: Final = "X-Frpd-Demo"
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>frpd: it works</title>
<style>
  body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 38rem; margin: 12vh auto;
         padding: 0 1rem; color: #1c2733; background: #f5f7f9 }
  main { background: #fff; border: 1px solid #dde3e8; border-radius: .6rem; padding: 1.5rem 2rem }
  code { background: #eef1f4; border-radius: .3rem; padding: .1rem .35rem }
  @media (prefers-color-scheme: dark) {
    body { color: #dde3e8; background: #12181e }
    main { background: #1a222a; border-color: #2c3740 }
    code { background: #26313a }
  }
</style>
<main>
<h1>It works</h1>
<p>This page is a local service. You reached it through the public port of <code>frps</code>, which
handed your connection to <code>frpc</code>, which opened one to here.</p>
<p>Put a service of yours behind it: name its port as <code>local_port</code> in
<code>etc/frp/frpc.ini</code>.</p>
</main>
</html>
"""


class PageHandler(BaseHTTPRequestHandler):
    """Answers every GET and HEAD with the page."""

    protocol_version = "HTTP/1.1"
    server_version = "frpd-demo"
    sys_version = ""
    timeout = 30
    mark = ""

    def do_GET(self) -> None:
        """Send the page."""
        self._send_head()
        self.wfile.write(_PAGE.encode())

    def do_HEAD(self) -> None:
        """Send the page's head."""
        self._send_head()

    def _send_head(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE.encode())))
        self.send_header(MARK_HEADER, self.mark)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Write nothing: the daemons' logs are what the demo shows."""


def make_server(port: int, mark: str) -> ThreadingHTTPServer:
    """Return a server of the page on a loopback port (0: any), bound and not yet serving."""
    handler = type("MarkedPageHandler", (PageHandler,), {"mark": mark})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> int:
    """Serve until killed."""
    port, mark = sys.argv[1:]
    make_server(int(port), mark).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
