"""A server plugin that a test scripts: a real HTTP server, with its questions written down."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

KEEP: dict[str, Any] = {"reject": False, "unchange": True}
Answer = dict[str, Any] | bytes | int
"""An object to say, bytes to say as they are, or a status without any."""


class Question(NamedTuple):
    op: str
    content: dict[str, Any]
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: tuple[str, int]


class HookServer:
    """Answers on a loopback port until it is closed; ``answer`` runs on its threads.

    ``gate`` is open; a test that clears it keeps all answers back.
    """

    def __init__(self, answer: Callable[[Question], Answer] | None = None) -> None:
        self.answer = answer or (lambda _: KEEP)
        self.questions: list[Question] = []
        self.gate = threading.Event()
        self.gate.set()
        plugin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                question = Question(
                    body["op"],
                    body["content"],
                    self.path,
                    dict(self.headers),
                    body,
                    self.client_address,
                )
                plugin.questions.append(question)
                plugin.gate.wait(30)
                answer = plugin.answer(question)
                status = answer if isinstance(answer, int) else 200
                text = json.dumps(answer).encode() if isinstance(answer, dict) else b""
                text = answer if isinstance(answer, bytes) else text
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # whoever asked gave up

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def use_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def ops(self) -> list[str]:
        return [question.op for question in self.questions]

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
