"""http2https and its relatives, and tls2raw: TLS that ends or begins at frpc."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.helpers.authority import Authority
from tests.helpers.ports import free_port
from tests.helpers.programs import SECONDS
from tests.helpers.visitors import visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.stage import Stage

NAME = "web.example.com"
BODY = bytes(range(256)) * 4096


class Mirror(BaseHTTPRequestHandler):
    """Answers with the head that it heard, or with the body that it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(json.dumps({name.lower(): value for name, value in self.headers.items()}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def serve(context: ssl.SSLContext | None) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Bridges:
    """frps with both vhost ports, and frpc with a proxy for each plugin."""

    def __init__(self, stage: Stage, folder: Path, echo_port: int) -> None:
        self.authority = Authority(folder)
        pair = self.authority.issue(NAME)
        inner = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        inner.load_cert_chain(pair.cert, pair.key)
        self.servers = [serve(None), serve(inner)]
        plain, secure = (f"127.0.0.1:{server.server_port}" for server in self.servers)
        files = {"plugin_crt_path": pair.cert, "plugin_key_path": pair.key}
        bind_port, self.http_port, self.https_port = free_port(), free_port(), free_port()
        self.ports = {name: free_port() for name in ("own", "raw", "h2h")}
        stage.frps(
            {
                "bind_addr": "127.0.0.1",
                "bind_port": bind_port,
                "vhost_http_port": self.http_port,
                "vhost_https_port": self.https_port,
            }
        )
        rules = {"plugin_host_header_rewrite": "inner", "plugin_header_X-From-Where": "frp"}
        stage.frpc(
            {"server_addr": "127.0.0.1", "server_port": bind_port},
            {
                "a": {
                    "type": "http",
                    "custom_domains": "a.example.com",
                    "plugin": "http2https",
                    "plugin_local_addr": secure,
                    **rules,
                },
                "b": {
                    "type": "https",
                    "custom_domains": NAME,
                    "plugin": "https2http",
                    "plugin_local_addr": plain,
                    **files,
                    **rules,
                },
                "c": {
                    "type": "https",
                    "custom_domains": "*.more.example.com",
                    "plugin": "https2https",
                    "plugin_local_addr": secure,
                },
                "own": {
                    "type": "tcp",
                    "remote_port": self.ports["own"],
                    "plugin": "https2http",
                    "plugin_local_addr": plain,
                    "use_encryption": True,
                },
                "h2h": {
                    "type": "tcp",
                    "remote_port": self.ports["h2h"],
                    "plugin": "http2http",
                    "plugin_local_addr": plain,
                },
                "raw": {
                    "type": "tcp",
                    "remote_port": self.ports["raw"],
                    "plugin": "tls2raw",
                    "plugin_local_addr": f"127.0.0.1:{echo_port}",
                    **files,
                },
            },
        )

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority.ca_file)

    def close(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def bridges(
    module_stage: Stage, tmp_path_factory: pytest.TempPathFactory, echo_port: int
) -> Iterator[Bridges]:
    made = Bridges(module_stage, tmp_path_factory.mktemp("bridges"), echo_port)
    yield made
    made.close()
    module_stage.close()


def anything() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Secure(http.client.HTTPSConnection):
    """HTTPS to a port of this machine, under another name."""

    def __init__(self, port: int, name: str, context: ssl.SSLContext) -> None:
        super().__init__(name, port, timeout=SECONDS, context=context)
        self.context = context
        self.name = name

    def connect(self) -> None:
        self.sock = self.context.wrap_socket(visit(self.port), server_hostname=self.name)


def heard(connection: http.client.HTTPConnection, **fields: str) -> dict[str, str]:
    """Return the fields that the service has heard."""
    connection.request("GET", "/", headers=fields)
    answer = connection.getresponse()
    assert answer.status == 200
    found: dict[str, str] = json.loads(answer.read())
    return found


def gets_back(connection: http.client.HTTPConnection, **fields: str) -> None:
    connection.request("POST", "/", body=BODY, headers=fields)
    assert connection.getresponse().read() == BODY
    connection.close()


def test_http2https(bridges: Bridges) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", bridges.http_port, timeout=SECONDS)
    fields = heard(connection, Host="a.example.com", **{"X-Forwarded-For": "192.0.2.2"})
    assert (fields["host"], fields["x-from-where"]) == ("inner", "frp")
    assert fields["x-forwarded-for"] == "192.0.2.2, 127.0.0.1"
    assert fields["x-forwarded-host"] == "a.example.com"
    gets_back(connection, Host="a.example.com")


def test_https2http_shows_the_configured_certificate(bridges: Bridges) -> None:
    connection = Secure(bridges.https_port, NAME, bridges.trust())
    fields = heard(connection, **{"X-Forwarded-For": "192.0.2.2"})
    assert (fields["host"], fields["x-from-where"]) == ("inner", "frp")
    assert fields["x-forwarded-for"] == "192.0.2.2, 127.0.0.1"
    assert fields["x-forwarded-proto"] == "https"
    gets_back(connection)


def test_https2https(bridges: Bridges) -> None:
    connection = Secure(bridges.https_port, "x.more.example.com", anything())
    assert heard(connection)["host"].startswith("x.more.example.com")
    gets_back(connection)


def test_without_files_the_certificate_is_our_own(bridges: Bridges) -> None:
    gets_back(Secure(bridges.ports["own"], NAME, anything()))


def test_http2http(bridges: Bridges) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", bridges.ports["h2h"], timeout=SECONDS)
    assert "x-forwarded-for" not in heard(connection)
    gets_back(connection)


def test_tls2raw(bridges: Bridges) -> None:
    with bridges.trust().wrap_socket(visit(bridges.ports["raw"]), server_hostname=NAME) as visitor:
        visitor.sendall(BODY[:10_000])
        assert visitor.makefile("rb").read(10_000) == BODY[:10_000]
