"""Go frpc on our frps and our frpc on Go frps: udp proxies of every kind."""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.stage import WRAPPERS, Stage, tcp
from tests.helpers.udp import UdpService, UdpVisitor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.peers_go import GoPeer

# Go's ends read at most 1500 bytes of a datagram, unless told otherwise (from 0.34 on).
SIZES = (0, 1, 100, 1000, 1500)
LONG_SIZES = (0, 1501, 4000, 7000)
UDP: dict[str, object] = {"type": "udp"}
HAS_PACKET_SIZE = (0, 34)


@pytest.fixture(scope="module")
def echo_service() -> Iterator[UdpService]:
    with UdpService() as service:
        yield service


@pytest.fixture(scope="module", params=[True, False], ids=["mux", "direct"])
def mux(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module", params=["frpc", "frps"])
def go_end(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def start_pair(
    stage: Stage, peer: GoPeer, go_end: str, service: UdpService, **common: object
) -> dict[str, int]:
    """Start a pair with a udp proxy for each wrapper; return the visitors' ports."""
    bind_port, ports = free_port(), {wrapper: free_port() for wrapper in WRAPPERS}
    settings = {"token": "interop", **common}
    frps, frpc = peer.folders(go_end)
    proxies = {
        name: {**tcp(service.port, ports[name]), **UDP, **WRAPPERS[name]} for name in WRAPPERS
    }
    server = {"bind_addr": "127.0.0.1", "bind_port": bind_port}
    stage.frps({**server, **settings}, folder=frps)
    to_server = {"server_addr": "127.0.0.1", "server_port": bind_port}
    client = {**to_server, **settings, **peer.client_settings(go_end)}
    program = stage.frpc(client, proxies, folder=frpc, wait_for=())
    for name in proxies:
        program.wait_for(rf"\[{name}\] start proxy success")
    return ports


@pytest.fixture(scope="module")
def ports(
    peer: GoPeer,
    go_end: str,
    mux: bool,
    echo_service: UdpService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, int]]:
    stage = Stage(tmp_path_factory.mktemp("pair"))
    try:
        yield start_pair(stage, peer, go_end, echo_service, tcp_mux=mux)
    finally:
        stage.close()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_datagrams_come_back_whole(ports: dict[str, int], wrapper: str) -> None:
    with UdpVisitor(ports[wrapper]) as visitor:
        assert visitor.ask_until_answered(b"ready?") == b"ready?"
        for size in SIZES:
            data = os.urandom(size)
            assert visitor.ask(data) == data, f"{size} bytes"


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_each_visitor_gets_its_own_in_order(ports: dict[str, int], wrapper: str) -> None:
    visitors = [UdpVisitor(ports[wrapper]) for _ in range(5)]
    visitors[0].ask_until_answered(b"ready?")
    for turn in range(5):
        for who, visitor in enumerate(visitors):
            for number in range(5):
                visitor.send(struct.pack("HHH", who, turn, number))
        for who, visitor in enumerate(visitors):
            got = [visitor.receive() for _ in range(5)]
            assert got == [struct.pack("HHH", who, turn, number) for number in range(5)]
    for visitor in visitors:
        visitor.sock.close()


def test_longer_datagrams_where_both_ends_allow_them(
    peer: GoPeer, go_end: str, echo_service: UdpService, stage: Stage
) -> None:
    if peer.number < HAS_PACKET_SIZE:
        pytest.skip("this version has no udp_packet_size")
    ports = start_pair(stage, peer, go_end, echo_service, udp_packet_size=7000)
    with UdpVisitor(ports["both"]) as visitor:
        visitor.ask_until_answered(b"ready?")
        for size in LONG_SIZES:
            data = os.urandom(size)
            assert visitor.ask(data) == data, f"{size} bytes"


@pytest.mark.full
@pytest.mark.timeout(150)
def test_a_quiet_proxy_keeps_its_work_stream(
    end_peer: GoPeer, go_end: str, echo_service: UdpService, stage: Stage
) -> None:
    ports = start_pair(stage, end_peer, go_end, echo_service)
    with UdpVisitor(ports["plain"]) as visitor:
        visitor.ask_until_answered(b"ready?")
        time.sleep(70)  # servers drop a stream that was silent for 60 s, were there no pings
        assert visitor.ask(b"still there?") == b"still there?"
    ours = [program for program in stage._programs if program.count("work connection lost")]
    assert ours == []
