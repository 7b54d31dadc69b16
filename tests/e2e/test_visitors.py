"""Who may visit, between processes."""

from __future__ import annotations

import socket

from tests.helpers.programs import SECONDS, wait_until
from tests.helpers.services import Service, echo
from tests.helpers.stage import Stage
from tests.helpers.visitors import echoes, exchange, visit


def visit_from(source: str, port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), SECONDS, source_address=(source, 0))


def is_refused(visitor: socket.socket) -> bool:
    """Whether it ends without a word for it; what it says meanwhile may be lost."""
    with visitor:
        try:
            visitor.sendall(b"ping")
            return visitor.recv(64) == b""
        except ConnectionError:
            return True


def test_only_so_many_may_come_and_not_from_everywhere(stage: Stage) -> None:
    with Service(echo) as service:
        tunnel = stage.tunnel(
            {"web": service.port},
            proxy={"deny_cidrs": "127.0.0.2", "max_connections": 1},
        )
        port = tunnel.ports["web"]
        assert is_refused(visit_from("127.0.0.2", port))
        with visit(port) as first:
            assert exchange(first, b"hello") == b"hello"
            assert is_refused(visit(port))
        wait_until(lambda: echoes(port), "the next one is taken")
        tunnel.frps.wait_for(r"visitors are refused: not from this address: 127\.0\.0\.2:")
        tunnel.frps.wait_for(r"visitors are refused: too many visitors at a time: 127\.0\.0\.1:")
