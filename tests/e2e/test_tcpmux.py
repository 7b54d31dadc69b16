"""tcpmux: one port, and an HTTP CONNECT that says whose service is meant."""

from __future__ import annotations

import os
import socket
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.stage import WRAPPERS, Stage
from tests.helpers.visitors import exchange, visit

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Front:
    """frps with a CONNECT port, and frpc with a proxy for each wrapper and one with a password."""

    def __init__(self, stage: Stage, echo_port: int) -> None:
        bind_port, self.port = free_port(), free_port()
        common = {"token": "s3cret"}
        ports = {"bind_port": bind_port, "tcpmux_httpconnect_port": self.port}
        stage.frps({"bind_addr": "127.0.0.1", **ports, **common})
        proxy = {"type": "tcpmux", "multiplexer": "httpconnect", "local_port": echo_port}
        proxies: dict[str, dict[str, object]] = {
            name: {**proxy, **flags, "custom_domains": f"{name}.example.com"}
            for name, flags in WRAPPERS.items()
        }
        proxies["locked"] = {
            **proxy,
            "custom_domains": "locked.example.com",
            "http_user": "ann",
            "http_pwd": "secret",
        }
        stage.frpc({"server_addr": "127.0.0.1", "server_port": bind_port, **common}, proxies)

    def connect(self, name: str, login: str = "") -> tuple[socket.socket, bytes]:
        """Return a connection that has asked, and the first line that came back."""
        visitor = visit(self.port)
        field = f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}\r\n"
        host = f"{name}.example.com:22"
        request = f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{field if login else ''}\r\n"
        visitor.sendall(request.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = visitor.recv(len(OK))
            assert data, "an answer has an end"
            answer += data
        return visitor, answer


@pytest.fixture(scope="module")
def front(module_stage: Stage, echo_port: int) -> Iterator[Front]:
    yield Front(module_stage, echo_port)
    module_stage.close()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_any_bytes_follow_the_answer(front: Front, wrapper: str) -> None:
    visitor, answer = front.connect(wrapper)
    assert answer == OK
    data = os.urandom(300_000)
    with visitor:
        assert exchange(visitor, data) == data


@pytest.mark.parametrize(
    ("name", "login", "status"),
    [
        ("other", "", b"404"),
        ("locked", "", b"407"),
        ("locked", "ann:wrong", b"407"),
        ("locked", "ann:secret", b"200"),
    ],
)
def test_who_may_and_who_may_not(front: Front, name: str, login: str, status: bytes) -> None:
    visitor, answer = front.connect(name, login)
    visitor.close()
    assert answer.startswith(b"HTTP/1.1 " + status)
