"""Health checks beside Go: our member of a group at Go's server, and Go's member at ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_health import Named
from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.services import Service
from tests.helpers.visitors import read_to_end, visit

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer
    from tests.helpers.stage import Stage

SINCE = (0, 22)


@pytest.mark.parametrize("go_end", ["frps", "frpc"])
def test_an_ill_member_leaves_its_group_and_comes_back(
    stage: Stage, peer: GoPeer, go_end: str
) -> None:
    if peer.number < SINCE:
        pytest.skip("this version has no health checks")
    bind_port, remote, ill_port = free_port(), free_port(), free_port()
    frps, frpc = peer.folders(go_end)
    stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port}, folder=frps)
    to_server = {"server_addr": "127.0.0.1", "server_port": bind_port}
    group = {"type": "tcp", "remote_port": remote, "group": "g", "group_key": "k"}
    with Service(Named(b"a").serve) as a:
        client = {**to_server, **peer.client_settings(go_end)}
        stage.frpc(client, {"a": {**group, "local_port": a.port}}, folder=frpc, wait_for=["a"])
        check = {"health_check_type": "tcp", "health_check_interval_s": 1}
        checked = stage.frpc(
            client, {"b": {**group, "local_port": ill_port, **check}}, folder=frpc, wait_for=()
        )

        def heard() -> bytes:
            with visit(remote) as visitor:
                visitor.sendall(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n")
                return read_to_end(visitor)[-1:]

        with Service(Named(b"b").serve, port=ill_port):
            checked.wait_for(r"\[b\] start proxy success")
            wait_until(lambda: {heard() for _ in range(4)} == {b"a", b"b"}, "both answer")
        checked.wait_for(r"\[b\] health check failed")
        wait_until(lambda: {heard() for _ in range(4)} == {b"a"}, "only a answers")
        with Service(Named(b"b").serve, port=ill_port):
            wait_until(lambda: {heard() for _ in range(4)} == {b"a", b"b"}, "b is back")
