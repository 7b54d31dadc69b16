"""Bandwidth limits between processes.

That a limit is not passed is sure on any machine; how near to it the rate comes is for
bench/limits.py to say.
"""

from __future__ import annotations

import os
import time

import pytest

from tests.helpers.ports import free_port
from tests.helpers.services import Service, echo, flood
from tests.helpers.stage import TOKEN, WRAPPERS, Stage, tcp
from tests.helpers.udp import UdpService, UdpVisitor
from tests.helpers.visitors import exchange, visit

KIB = 1024
LIMIT = "200KB"
BUCKET_BYTES = 20 * KIB
"""What may pass at once: a tenth of a second's worth."""


def settings(mode: str) -> dict[str, object]:
    return {"bandwidth_limit": LIMIT, "bandwidth_limit_mode": mode}


def least_seconds(nbytes: int) -> float:
    return (nbytes - BUCKET_BYTES) / (200 * KIB)


@pytest.mark.parametrize(("mode", "wrapper"), [("client", "compressed"), ("server", "plain")])
def test_both_directions_of_all_visitors_keep_to_one_limit(
    stage: Stage, mode: str, wrapper: str
) -> None:
    data = os.urandom(160 * KIB)  # what compression cannot make less of
    with Service(echo) as service, Service(flood(data)) as other:
        tunnel = stage.tunnel(
            {"echo": service.port, "flood": other.port},
            proxy={**settings(mode), **WRAPPERS[wrapper]},
        )
        with visit(tunnel.ports["echo"]) as visitor:
            begun = time.monotonic()
            assert exchange(visitor, data[: 80 * KIB]) == data[: 80 * KIB]
            assert time.monotonic() - begun >= least_seconds(160 * KIB)
        ports = [tunnel.ports["flood"]] * 2
        begun = time.monotonic()
        visitors = [visit(port) for port in ports]
        for one in visitors:
            with one:
                heard = bytearray()
                while len(heard) < len(data) // 2:
                    part = one.recv(65536)
                    assert part
                    heard += part
                assert data.startswith(heard)
        assert time.monotonic() - begun >= least_seconds(len(data))


def test_datagrams_have_a_limit_too_and_are_none_of_them_spoilt(stage: Stage) -> None:
    bind, port = free_port(), free_port()
    stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind, "token": TOKEN})
    with UdpService() as service, UdpVisitor(port) as visitor:
        stage.frpc(
            {"server_addr": "127.0.0.1", "server_port": bind, "token": TOKEN},
            {"dns": {**tcp(service.port, port), "type": "udp", "bandwidth_limit": "50KB"}},
        )
        visitor.ask_until_answered(b"ready")
        begun = time.monotonic()
        for number in range(30):
            question = bytes([number]) * 1000
            assert visitor.ask(question) == question
        assert time.monotonic() - begun >= (60_000 - 5 * KIB) / (50 * KIB)
