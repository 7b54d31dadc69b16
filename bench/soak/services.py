"""The web services behind the tunnel: python -m bench.soak.services HTTP_PORT HTTPS_PORT.

GET /SIZE/SEED answers with pattern(SEED, SIZE). The echo is load.c's.
"""

from __future__ import annotations

import ssl
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

from frpd.net.certificates import own_certificate


def pattern(seed: int, size: int) -> bytes:
    """Return bytes that only this seed gives; half of them compress."""
    noise = Random(seed).randbytes(1024)
    unit = noise + f"{seed:016x}".encode() * 64
    return (unit * (size // len(unit) + 1))[:size]


class Handler(BaseHTTPRequestHandler):
    """Answers as asked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Send a pattern."""
        _, size, seed = self.path.split("/")
        body = pattern(int(seed), int(size))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def main(http_port: int, https_port: int) -> None:
    """Serve until killed."""
    plain = ThreadingHTTPServer(("127.0.0.1", http_port), Handler)
    secure = ThreadingHTTPServer(("127.0.0.1", https_port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(own_certificate(int(time.time())))
        file.flush()
        context.load_cert_chain(file.name)
    # Each handshake is made in its own thread: a silent one stops nobody.
    secure.socket = context.wrap_socket(
        secure.socket, server_side=True, do_handshake_on_connect=False
    )
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    secure.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
