"""xtcp between our own ends: users reach the owner past the server, or by it if they must."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.stun_server import StunServer
from tests.helpers.visitors import exchange, visit
from tests.helpers.xtcp import KINDS, SK, XtcpTrio, need_aioquic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.stage import Stage

DATA = os.urandom(200_000) + b"a" * 100_000


RELAY = {"type": "stcp", "sk": SK}
RELAY_VISITOR = {**RELAY, "role": "visitor", "server_name": "relay", "bind_port": -1}


class Ports:
    """Of the visitors that find no hole."""

    def __init__(self) -> None:
        self.guess, self.absent = free_port(), free_port()

    def visitors(self) -> dict[str, dict[str, object]]:
        one = {"type": "xtcp", "role": "visitor", "sk": SK, "bind_addr": "127.0.0.1"}
        known = {"server_name": "kcp-plain", "sk": "a guess", "bind_port": self.guess}
        unknown = {"server_name": "absent", "bind_port": self.absent, "fallback_to": "relay_v"}
        return {
            "guess_v": {**one, **known},
            "absent_v": {**one, **unknown},
            "relay_v": RELAY_VISITOR,
        }


@pytest.fixture(scope="module")
def ports() -> Ports:
    return Ports()


@pytest.fixture(scope="module")
def trio(module_stage: Stage, echo_port: int, ports: Ports) -> Iterator[XtcpTrio]:
    """Three programs, and a STUN server."""
    with StunServer() as stun:
        yield XtcpTrio(
            module_stage,
            echo_port,
            stun.where,
            kinds=KINDS,
            more=ports.visitors(),
            more_proxies={"relay": {**RELAY, "local_ip": "127.0.0.1", "local_port": echo_port}},
        )


@pytest.mark.parametrize("kind", KINDS)
def test_users_share_a_tunnel_that_the_server_does_not_carry(trio: XtcpTrio, kind: str) -> None:
    need_aioquic(kind)
    with visit(trio.ports[kind]) as first, visit(trio.ports[kind]) as second:
        assert exchange(first, DATA) == DATA
        assert exchange(second, b"ping") == b"ping"
    opened = rf"\[{kind}\] tunnel opened: {kind[: kind.index('-')]} "
    trio.owner.wait_for(opened)
    assert trio.owner.count(opened) == 1


def test_a_guessed_sk_opens_nothing_and_the_log_says_so(trio: XtcpTrio, ports: Ports) -> None:
    with visit(ports.guess):
        trio.visitor.wait_for(r"\[guess_v\] xtcp connection of \[kcp-plain\] auth failed")


def test_who_knows_of_no_owner_goes_by_another_visitor(trio: XtcpTrio, ports: Ports) -> None:
    with visit(ports.absent) as user:
        assert exchange(user, DATA) == DATA
    trio.visitor.wait_for(r"xtcp server for \[absent\] doesn't exist")


def test_a_user_outlives_the_server(stage: Stage, echo_port: int) -> None:
    with StunServer() as stun:
        trio = XtcpTrio(stage, echo_port, stun.where, kinds=["kcp-plain"])
        with visit(trio.ports["kcp-plain"]) as user:
            assert exchange(user, b"before") == b"before"
            trio.frps.process.kill()
            trio.visitor.wait_for("session with the server lost")
            trio.owner.wait_for("session with the server lost")
            assert exchange(user, DATA) == DATA


@pytest.mark.full
def test_a_silent_stun_server_is_no_reason_to_wait(stage: Stage, echo_port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", free_port()))
        host, port = silent.getsockname()
        trio = XtcpTrio(
            stage,
            echo_port,
            f"{host}:{port}",
            kinds=["kcp-plain"],
            visitor={"fallback_to": "relay_v", "fallback_timeout_ms": 200},
            more={"relay_v": RELAY_VISITOR},
            more_proxies={"relay": {**RELAY, "local_ip": "127.0.0.1", "local_port": echo_port}},
        )
        with visit(trio.ports["kcp-plain"]) as user:
            assert exchange(user, DATA) == DATA
        trio.visitor.wait_for("discover error: wait response from stun server timeout")
