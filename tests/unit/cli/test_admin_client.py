"""frpd.cli.admin_client: where an API is, one request, and errors in Go's words."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from frpd.admin import control_socket
from frpd.cli.admin_client import SECONDS, Answer, Target, call, client_target
from frpd.config.client import ClientConfig
from frpd.config.secret import Secret
from frpd.errors import TransportError
from tests.helpers.authority import Authority


class Api(HTTPServer):
    """Answers with what it was asked."""

    def __init__(self, family: socket.AddressFamily, address: Any) -> None:
        self.address_family = family
        super().__init__(address, _Handler)
        self.asked: list[tuple[str, str, str | None, bytes]] = []
        self.tls: ssl.SSLContext | None = None
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        sock, _ = self.socket.accept()
        if self.tls is not None:
            sock.settimeout(SECONDS)  # so that a client that goes away does not keep us
            sock = self.tls.wrap_socket(sock, server_side=True)
        return sock, ("peer", 0)


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        login = self.headers.get("Authorization")
        self.server.asked.append((self.command, self.path, login, body))
        self.send_response(202)
        self.end_headers()
        self.wfile.write(b'{"code": 1, "msg": "so so"}')

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api(socket.AF_INET, ("127.0.0.1", 0))
    yield made
    made.shutdown()
    made.thread.join()
    made.server_close()


@pytest.fixture
def unix_api(tmp_path: Path) -> Iterator[Api]:
    made = Api(socket.AF_UNIX, str(tmp_path / "s"))
    yield made
    made.shutdown()
    made.thread.join()
    made.server_close()


def test_a_port_is_asked_with_a_login(api: Api) -> None:
    port = api.server_address[1]
    target = Target(host="127.0.0.1", port=int(port), user="ops", password=Secret("p:w"))
    answer = call(target, "POST", "/api/x?y=1", body={"a": 1})
    assert (answer.status, answer.is_ok, answer.message()) == (202, False, "so so")
    assert api.asked == [("POST", "/api/x?y=1", "Basic b3BzOnA6dw==", b'{"a": 1}')]


def test_a_control_socket_is_asked_without_one(unix_api: Api) -> None:
    answer = call(Target(str(unix_api.server_address)), "GET", "/api/x")
    assert answer.json() == {"code": 1, "msg": "so so"}
    call(Target(str(unix_api.server_address)), "POST", "/api/y", body=b"as it is")
    assert unix_api.asked == [("GET", "/api/x", None, b""), ("POST", "/api/y", None, b"as it is")]


def test_a_port_with_https_is_known_by_its_certificate_alone(api: Api, tmp_path: Path) -> None:
    """Whatever name the certificate has, and whoever has signed it."""
    authority = Authority(tmp_path)
    pair, other = authority.issue("frps.example"), authority.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    api.tls = context
    target = Target(host="127.0.0.1", port=int(api.server_address[1]), certificate=pair.cert)
    assert call(target, "GET", "/api/x").status == 202
    with pytest.raises(TransportError, match=r'Get "https://.*certificate verify failed'):
        call(replace(target, certificate=other.cert), "GET", "/api/x")
    with pytest.raises(TransportError, match=r"none\.crt: no such file"):
        call(replace(target, certificate=str(tmp_path / "none.crt")), "GET", "/api/x")


def test_who_answers_before_it_has_read_is_heard(tmp_path: Path) -> None:
    """As a control socket does that somebody without the right to it has connected to."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()

        def talk() -> None:
            sock, _ = server.accept()
            with sock:
                sock.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

        other = threading.Thread(target=talk)
        other.start()
        answer = call(Target(str(tmp_path / "s")), "PUT", "/", body=bytes(4 << 20))
        other.join()
    assert (answer.status, answer.message()) == (403, "no")


def test_nobody_there_is_said_in_go_s_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransportError) as refused:
        call(Target(host="127.0.0.1", port=port), "GET", "/api/status")
    assert str(refused.value) == (
        f'Get "http://127.0.0.1:{port}/api/status": '
        f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    )
    path = tmp_path / "none"
    with pytest.raises(TransportError, match=f"dial unix {path}: connect: no such file"):
        call(Target(str(path)), "GET", "/")


def test_no_answer_in_time_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = Target(host="127.0.0.1", port=silent.getsockname()[1])
        with pytest.raises(TransportError, match="no answer in time"):
            call(target, "GET", "/", seconds=0.01)


def test_what_is_no_http_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = Target(host="127.0.0.1", port=server.getsockname()[1])

        def talk() -> None:
            sock, _ = server.accept()
            with sock:
                sock.sendall(b"SSH-2.0-x\r\n")
                sock.recv(1000)

        other = threading.Thread(target=talk)
        other.start()
        with pytest.raises(TransportError, match="malformed HTTP response"):
            call(target, "GET", "/")
        other.join()


def test_the_port_comes_before_the_control_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "RUN_FOLDER", str(tmp_path))
    assert client_target(ClientConfig()) is None
    (tmp_path / "frpc.sock").touch()
    assert client_target(ClientConfig()) == Target(str(tmp_path / "frpc.sock"))
    assert client_target(ClientConfig(control_socket="off")) is None
    found = client_target(ClientConfig(admin_port=7400, admin_user="u"))
    assert found == Target(host="127.0.0.1", port=7400, user="u")
    assert found.where == "127.0.0.1:7400"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"code": 2, "msg": "a"}', "a"),
        (b'{"Code": 400, "Msg": "b"}', "b"),
        (b"plain text\n", "plain text"),
        (b"", ""),
        (b'{"msg": 1}', ""),
    ],
)
def test_messages_of_every_era(body: bytes, message: str) -> None:
    assert Answer(400, body).message() == message
