from __future__ import annotations

import os
import socket

import psutil
import pytest

from frpd.net import port_holder as module
from frpd.net.port_holder import port_holder
from tests.unit.net.conftest import needs_ipv6


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_a_port_of_ours_is_found(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        name = psutil.Process().name()
        assert port_holder(server.getsockname()[1]) == f"{name} (pid {os.getpid()})"


def test_a_port_that_is_only_connected_is_held_by_nobody() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname()) as client:
        assert port_holder(client.getsockname()[1]) == ""


def test_what_cannot_be_seen_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    assert port_holder(80) == ""


def test_in_a_sandbox_nobody_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEEDED", "/proc/nothing")
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert port_holder(server.getsockname()[1]) == ""
