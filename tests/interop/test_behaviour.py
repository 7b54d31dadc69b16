"""How pairs with one Go end behave: refusals, restarts, dead services, ends of connections."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.helpers.modes import MODES
from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.services import Service, late_answer
from tests.helpers.stage import READY, Stage, Tunnel, started
from tests.helpers.visitors import (
    echoes,
    exchange,
    is_over,
    read_to_end,
    refuses,
    visit,
    wait_for_echo,
)

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer

GO_END = pytest.mark.parametrize("go_end", ["frpc", "frps"])
REFUSED = "authorization failed|token in login doesn't match token from configuration"


def pair(
    stage: Stage, peer: GoPeer, go_end: str, services: dict[str, int], *, mux: bool = True
) -> Tunnel:
    return stage.tunnel(
        services,
        mux=mux,
        client=peer.client_settings(go_end),
        folders=peer.folders(go_end),
    )


@GO_END
@MODES
def test_a_wrong_token_is_refused_in_frps_words(
    stage: Stage, peer: GoPeer, go_end: str, mux: bool
) -> None:
    bind_port = free_port()
    server, client = peer.folders(go_end)
    stage.frps({"bind_port": bind_port, "token": "right", "tcp_mux": mux}, folder=server)
    common = {
        "server_addr": "127.0.0.1",
        "server_port": bind_port,
        "token": "wrong",
        "tcp_mux": mux,
        **peer.client_settings(go_end),
    }
    frpc = stage.frpc(common, {}, folder=client)
    status = frpc.wait()
    assert frpc.count(REFUSED)
    # 0.51.3 forgets the status when it gives up.
    assert status == 1 or (go_end == "frpc" and peer.version == "0.51.3")


@GO_END
@MODES
def test_the_tunnel_is_back_after_the_server(
    stage: Stage, peer: GoPeer, go_end: str, mux: bool, echo_port: int
) -> None:
    tunnel = pair(stage, peer, go_end, {"echo": echo_port}, mux=mux)
    port = tunnel.ports["echo"]
    wait_for_echo(port)
    before = tunnel.frpc.descriptors()
    with visit(port) as visitor:
        assert exchange(visitor, b"hello") == b"hello"
        tunnel.frps.kill()
        wait_until(lambda: is_over(visitor), "the visitor sees the end")
    wait_until(lambda: refuses(port), "the port refuses")
    folder = peer.folders(go_end)[0]
    stage.start("frps", str(folder / "frps"), "-c", str(tunnel.server_file)).wait_for(READY)
    seconds = wait_for_echo(port, 25)  # Go frpc doubles its pauses
    if go_end == "frps":
        assert seconds < 2
        tunnel.frpc.wait_for_descriptors(before)


@GO_END
@MODES
def test_the_tunnel_is_back_after_the_client(
    stage: Stage, peer: GoPeer, go_end: str, mux: bool, echo_port: int
) -> None:
    tunnel = pair(stage, peer, go_end, {"echo": echo_port}, mux=mux)
    port = tunnel.ports["echo"]
    wait_for_echo(port)
    before = tunnel.frps.descriptors()
    with visit(port) as visitor:
        assert exchange(visitor, b"hello") == b"hello"
        tunnel.frpc.kill()
        wait_until(lambda: refuses(port), "the port refuses", 0.5 if go_end == "frpc" else 10)
        wait_until(lambda: is_over(visitor), "the visitor sees the end")
    folder = peer.folders(go_end)[1]
    again = stage.start("frpc", str(folder / "frpc"), "-c", str(tunnel.client_file))
    again.wait_for(started("echo"))
    wait_for_echo(port)
    if go_end == "frpc":
        tunnel.frps.wait_for_descriptors(before + 2)  # what is in stock differs by a little


@GO_END
@MODES
def test_a_dead_service_sends_its_visitor_away_at_once(
    stage: Stage, peer: GoPeer, go_end: str, mux: bool, echo_port: int
) -> None:
    tunnel = pair(stage, peer, go_end, {"dead": free_port(), "echo": echo_port}, mux=mux)
    with visit(tunnel.ports["dead"]) as visitor:
        wait_until(lambda: is_over(visitor), "the visitor is sent away", 2)
    tunnel.frpc.wait_for(r"dead.*connection refused")
    assert echoes(tunnel.ports["echo"])


@GO_END
@MODES
def test_a_visitors_end_is_the_end_as_with_go(
    stage: Stage, peer: GoPeer, go_end: str, mux: bool
) -> None:
    """Go frp closes both directions when one ends: no late answer, and nothing hangs either."""
    with Service(late_answer) as service:
        tunnel = pair(stage, peer, go_end, {"late": service.port}, mux=mux)
        with visit(tunnel.ports["late"]) as visitor:
            visitor.sendall(b"question")
            visitor.shutdown(socket.SHUT_WR)
            try:
                answer = read_to_end(visitor)
            except ConnectionResetError:
                answer = b""
        assert answer == b"" or answer.startswith(b"8 ")
        wait_until(lambda: service.connections == 1, "the service was asked")


@GO_END
def test_many_visitors_at_once(stage: Stage, peer: GoPeer, go_end: str, echo_port: int) -> None:
    tunnel = pair(stage, peer, go_end, {"echo": echo_port})
    visitors = [visit(tunnel.ports["echo"]) for _ in range(100)]
    try:
        for visitor in visitors:
            visitor.sendall(b"a question")
        for visitor in visitors:
            assert visitor.recv(10, socket.MSG_WAITALL) == b"a question"
    finally:
        for visitor in visitors:
            visitor.close()


@GO_END
def test_pings_keep_the_session(stage: Stage, peer: GoPeer, go_end: str, echo_port: int) -> None:
    """Both sides would give up after two seconds without a ping or its answer."""
    folders = peer.folders(go_end)
    bind_port, port = free_port(), free_port()
    server = {"bind_port": bind_port, "heartbeat_timeout": 2, "tcp_mux": False}
    frps = stage.frps({**server, "log_level": "debug"}, folder=folders[0])
    client = {
        "server_addr": "127.0.0.1",
        "server_port": bind_port,
        "tcp_mux": False,
        "heartbeat_interval": 1,
        "heartbeat_timeout": 2,
        "log_level": "debug",
        **peer.client_settings(go_end),
    }
    proxy = {"type": "tcp", "local_port": echo_port, "remote_port": port}
    frpc = stage.frpc(client, {"echo": proxy}, folder=folders[1])
    wait_until(lambda: frpc.count("receive heartbeat from server") >= 4, "four answers")
    assert frps.count("new proxy .echo. ") == 1
    assert echoes(port)
