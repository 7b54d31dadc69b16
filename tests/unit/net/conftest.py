"""The fixtures of tests/loop, and pairs of connected TCP sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.loop.conftest import clock, loop, make_pair

__all__ = ["clock", "loop", "make_pair", "make_tcp", "needs_ipv6", "no_fd_leaks"]


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no ::1")

MakeTcp = Callable[[], tuple[socket.socket, socket.socket]]


@pytest.fixture
def make_tcp() -> Iterator[MakeTcp]:
    """Make connected pairs on loopback: ours, non-blocking, and the peer's, blocking."""
    with ExitStack() as stack:

        def make() -> tuple[socket.socket, socket.socket]:
            with socket.create_server(("127.0.0.1", 0)) as server:
                far = socket.create_connection(server.getsockname(), timeout=10)
                near, _ = server.accept()
            near.setblocking(False)
            stack.callback(near.close)
            stack.callback(far.close)
            return near, far

        yield make


@pytest.fixture
def no_fd_leaks() -> Iterator[None]:
    """Check that the test leaves no descriptor that it did not find; ask for it first."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) - before == set()
