"""frpd.net.tcp_info: what the kernel knows of a connection."""

from __future__ import annotations

import contextlib
import socket

from frpd.net.tcp_info import tcp_info
from tests.unit.net.conftest import MakeTcp


def test_a_connection_has_a_round_trip(make_tcp: MakeTcp) -> None:
    near, _ = make_tcp()
    known = tcp_info(near)
    assert known is not None
    assert known.rtt_ms is not None
    assert 0 < known.rtt_ms < 60_000
    assert known.retransmits == 0


def test_one_that_never_was_has_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert tcp_info(listener) == (None, 0)


def test_nothing_is_known_of_other_sockets_and_of_closed_ones() -> None:
    near, far = socket.socketpair()
    with contextlib.closing(far):
        assert tcp_info(near) is None
        near.close()
        assert tcp_info(near) is None
