"""What the kernel knows of connections."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from frpd.cli.doctor.sockets import SocketFacts, connections_of, facts_of


class Row(dict[str, Any]):
    """An answer of inet_diag."""

    def get_attr(self, name: str) -> Any:
        return self["attrs"].get(name)


def row(**info: int) -> Row:
    attrs = {"INET_DIAG_INFO": info} if info else {}
    return Row(
        attrs=attrs,
        idiag_src="::ffff:127.0.0.1",
        idiag_sport=7000,
        idiag_dst="192.0.2.1",
        idiag_dport=5,
        idiag_wqueue=10,
        idiag_rqueue=20,
    )


def test_an_answer_becomes_facts_and_what_an_old_kernel_does_not_know_is_zero() -> None:
    facts = facts_of(row(tcpi_rtt=7000, tcpi_rwnd_limited=5))
    assert facts == SocketFacts(
        ("127.0.0.1", 7000), ("192.0.2.1", 5), unsent=10, unread=20, rtt_us=7000, window_us=5
    )


def test_an_error_is_no_answer() -> None:
    assert facts_of(row()) is None


def test_the_connections_of_a_process_are_found_with_their_queues() -> None:
    pytest.importorskip("pyroute2")
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        with near, far:
            near.sendall(b"unread")
            found = connections_of(os.getpid())
            assert found is not None
            sender = found[near.getsockname(), far.getsockname()]
            reader = found[far.getsockname(), near.getsockname()]
    assert reader.unread == len(b"unread")
    assert reader.received == len(b"unread")
    assert sender.rtt_us > 0
