"""Who may visit through a Go frps: frpc keeps it where it is told enough; else nobody may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.test_visitors import is_refused
from tests.helpers.stage import Stage
from tests.helpers.visitors import echoes, visit

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer

TOLD_SINCE = (0, 26)


def test_frpc_keeps_the_list_and_the_number_itself(
    stage: Stage, peer: GoPeer, echo_port: int
) -> None:
    is_told = peer.number >= TOLD_SINCE
    tunnel = stage.tunnel(
        {"web": echo_port},
        proxy={"allow_cidrs": "127.0.0.1"},
        folders=peer.folders("frps"),
    )
    port = tunnel.ports["web"]
    assert is_refused(port, "127.0.0.2")
    assert echoes(port) is is_told
    reason = "not from this address" if is_told else "the server does not tell where"
    tunnel.frpc.wait_for(rf"visitors are refused: {reason}")


def test_frpc_counts_visitors_itself(stage: Stage, peer: GoPeer, echo_port: int) -> None:
    tunnel = stage.tunnel(
        {"web": echo_port}, proxy={"max_connections": 1}, folders=peer.folders("frps")
    )
    port = tunnel.ports["web"]
    with visit(port) as first:
        first.sendall(b"ping")
        assert first.recv(64) == b"ping"
        assert is_refused(port)
