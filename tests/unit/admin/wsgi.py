"""Requests to a WSGI application, without a web server; and a loop that answers on the spot."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote

from frpd.admin.loop_calls import LoopCalls
from tests.helpers.steps import outcome

T = TypeVar("T")
HOST = "127.0.0.1:7500"


class InlineCalls(LoopCalls):
    """Runs what is asked for at once: the test's thread is the loop's."""

    def ask_for(
        self, begin: Callable[[Callable[[T], None]], object], limit_seconds: float | None = None
    ) -> T:
        del limit_seconds
        answers: list[T] = []
        begin(answers.append)
        return answers[0]

    def ask_steps(self, begin: Callable[[], Generator[None, None, T]]) -> T:
        return outcome(begin())


@dataclass
class Response:
    """What an application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Caller:
    """Asks an application."""

    def __init__(self, app: Callable[..., Any], peer: str = "127.0.0.1") -> None:
        self._app = app
        self.peer = peer

    def __call__(self, method: str, url: str, body: object = None, **headers: str) -> Response:
        """Ask; ``Sec_Fetch_Site="none"`` is a header, and what is no string is sent as JSON."""
        if isinstance(body, str):
            data = body.encode()
        elif isinstance(body, bytes):
            data = body
        else:
            data = b"" if body is None else json.dumps(body).encode()
        path, _, parameters = url.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path).encode().decode("latin-1"),
            "QUERY_STRING": parameters,
            "CONTENT_LENGTH": str(len(data)),
            "SERVER_NAME": "frpd",
            "SERVER_PORT": "0",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.peer,
            "HTTP_HOST": HOST,
            "wsgi.input": io.BytesIO(data),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
        }
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        found: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _exc: object = None) -> None:
            found.append((status, headers))

        answer = b"".join(self._app(environ, start))
        (status, fields) = found[-1]
        return Response(int(status.split()[0]), dict(fields), answer)

    def get(self, url: str, **headers: str) -> Response:
        return self("GET", url, **headers)
