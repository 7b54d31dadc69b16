"""protocol = kcp with one Go end: with tcp_mux and without, plain and in TLS, over a bad line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.lossy import LossyRelay
from tests.helpers.ports import free_port
from tests.helpers.visitors import echoes, exchange, visit

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer
    from tests.helpers.programs import Settings
    from tests.helpers.stage import Stage, Tunnel

FIRST_TLS = (0, 25)
GO_END = pytest.mark.parametrize("go_end", ["frpc", "frps"])
KIB = 1024


def kcp_tunnel(
    stage: Stage,
    peer: GoPeer,
    go_end: str,
    echo_port: int,
    *,
    mux: bool,
    line: LossyRelay | None = None,
    **client: object,
) -> Tunnel:
    port = free_port() if line is None else line.target
    common: Settings = {
        **peer.client_settings(go_end),
        "protocol": "kcp",
        "server_port": port if line is None else line.port,
        **client,
    }
    return stage.tunnel(
        {"echo": echo_port},
        mux=mux,
        server={"kcp_bind_port": port},
        client=common,
        folders=peer.folders(go_end),
    )


@GO_END
@pytest.mark.parametrize("way", ["mux", "direct", "mux tls", "direct tls"])
def test_bytes_come_through_whole(
    stage: Stage, peer: GoPeer, echo_port: int, go_end: str, way: str
) -> None:
    mux, tls = "mux" in way, "tls" in way
    if tls and peer.number < FIRST_TLS:
        pytest.skip("this version has no TLS")
    tunnel = kcp_tunnel(stage, peer, go_end, echo_port, mux=mux, tls_enable=tls)
    data = os.urandom(300 * KIB)
    with visit(tunnel.ports["echo"]) as one, visit(tunnel.ports["echo"]) as other:
        other.sendall(b"beside it")
        assert exchange(one, data) == data
        assert other.recv(100) == b"beside it"
    for _ in range(3):
        assert echoes(tunnel.ports["echo"])


@GO_END
def test_parity_and_repetition_mend_a_bad_line(
    stage: Stage, peer: GoPeer, echo_port: int, go_end: str
) -> None:
    data = os.urandom(200 * KIB)
    with LossyRelay(free_port(), 20) as line:
        tunnel = kcp_tunnel(stage, peer, go_end, echo_port, mux=True, line=line)
        with visit(tunnel.ports["echo"]) as visitor:
            assert exchange(visitor, data) == data
        assert line.lost
