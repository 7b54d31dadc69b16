"""Who may visit, between processes."""

from __future__ import annotations

import socket

from tests.helpers.programs import SECONDS, wait_until
from tests.helpers.services import Service, echo
from tests.helpers.stage import Stage
from tests.helpers.visitors import echoes, exchange, visit


def is_refused(port: int, source: str = "127.0.0.1") -> bool:
    """Whether a visitor from there ends without a word for it, maybe while it connects."""
    try:
        with socket.create_connection(("127.0.0.1", port), SECONDS, (source, 0)) as visitor:
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
        assert is_refused(port, "127.0.0.2")
        with visit(port) as first:
            assert exchange(first, b"hello") == b"hello"
            assert is_refused(port)
        wait_until(lambda: echoes(port), "the next one is taken")
        tunnel.frps.wait_for(r"visitors are refused: not from this address: 127\.0\.0\.2:")
        tunnel.frps.wait_for(r"visitors are refused: too many visitors at a time: 127\.0\.0\.1:")
