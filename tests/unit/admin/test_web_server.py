"""frpd.admin.web_server: connections that it is given, bounds, and a clean end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from frpd.admin import web_server
from frpd.admin.web_server import MAX_BODY_BYTES, MAX_HEAD_BYTES, Address, WebServer
from tests.helpers.programs import SECONDS, wait_until

PEER = ("192.0.2.7", 5022)


def application(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
    body = environ["wsgi.input"].read()
    who = f"{environ['REMOTE_ADDR']} {environ['REMOTE_PORT']}"
    start("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['PATH_INFO']} {who} {len(body)}".encode()]


class Running:
    """A server in its thread."""

    def __init__(self) -> None:
        self.closed: list[Address] = []
        self.server = WebServer(application, self.closed.append)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def connect(self) -> socket.socket:
        near, far = socket.socketpair()
        near.settimeout(SECONDS)
        self.server.adopt(far, PEER)
        return near

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.stop()


def answer(sock: socket.socket) -> str:
    """Return one whole answer that has a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(fields[b"content-length"]):
        body += sock.recv(65536)
    return (head + b"\r\n\r\n" + body).decode()


def test_a_connection_is_served_under_the_address_it_was_given(running: Running) -> None:
    with running.connect() as sock:
        sock.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        first = answer(sock)
        assert first.startswith("HTTP/1.1 200 OK\r\n")
        assert first.endswith("/a 192.0.2.7 5022 0")
        assert "server: frpd" in first.lower()
        sock.sendall(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        assert answer(sock).endswith("/b 192.0.2.7 5022 3")
    wait_until(lambda: running.closed == [PEER], "it says that the connection is over")


def test_a_client_cannot_name_its_own_address(running: Running) -> None:
    with running.connect() as sock:
        fields = b"X-Forwarded-For: 127.0.0.1\r\nRemote-Addr: 127.0.0.1\r\nForwarded: for=::1\r\n"
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
        assert " 192.0.2.7 5022 " in answer(sock)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), "413"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n", "431"),
    ],
)
def test_what_is_too_large_is_refused(running: Running, request_head: bytes, status: str) -> None:
    with running.connect() as sock:
        sock.sendall(request_head)
        assert answer(sock).split()[1] == status


def test_many_silent_clients_take_no_worker(running: Running) -> None:
    silent = [running.connect() for _ in range(3 * web_server.THREADS)]
    try:
        for sock in silent:
            sock.sendall(b"GET / HTTP/1.1\r\nHost:")
        with running.connect() as sock:
            sock.sendall(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
            assert "/quick" in answer(sock)
    finally:
        for sock in silent:
            sock.close()


def test_a_request_that_takes_too_long_is_cut(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running.connect() as silent, running.connect() as slow, running.connect() as idle:
        idle.sendall(b"GET /idle HTTP/1.1\r\nHost: x\r\n\r\n")
        assert "/idle" in answer(idle)
        slow.sendall(b"GET / HTTP/1.1\r\nHost:")
        wait_until(lambda: len(_channels(running)) == 3, "all have come")
        monkeypatch.setattr(web_server, "REQUEST_SECONDS", -1.0)
        running.server.trigger.pull_trigger(lambda: running.server.maintenance(0.0))
        assert slow.recv(1) == b""
        assert silent.recv(1) == b""
        idle.sendall(b"GET /idle HTTP/1.1\r\nHost: x\r\n\r\n")
        assert "/idle" in answer(idle)


def test_the_end_closes_every_connection(running: Running) -> None:
    with running.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer(sock)
        running.stop()
        assert sock.recv(1) == b""
        running.stop()


def test_a_connection_that_comes_after_the_end_is_closed() -> None:
    running = Running()
    running.stop()
    with running.connect() as sock:
        assert sock.recv(1) == b""


def test_a_connection_that_comes_at_the_end_is_closed() -> None:
    server = WebServer(application, lambda _address: None)
    near, far = socket.socketpair()
    near.settimeout(SECONDS)
    with near:
        server.adopt(far, PEER)
        server.stop()
        server.run()
        assert near.recv(1) == b""


def _channels(running: Running) -> list[Any]:
    return list(running.server.active_channels.values())
