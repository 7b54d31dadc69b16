"""sudp beside Go frp, which has it since 0.33: each part of it played by Go once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.stage import WRAPPERS, Stage
from tests.helpers.udp import UdpService, UdpVisitor

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer

SINCE = (0, 33)
SIZES = (0, 1, 100, 1000, 1500)
PARTS = ["server", "owner", "visitor"]


@pytest.mark.parametrize("go", PARTS)
@pytest.mark.parametrize("mux", [True, False], ids=["mux", "direct"])
def test_datagrams_come_back_whole(stage: Stage, peer: GoPeer, go: str, mux: bool) -> None:
    if peer.number < SINCE:
        pytest.skip("this version has no sudp")
    bind_port, ports = free_port(), {wrapper: free_port() for wrapper in WRAPPERS}
    folders = peer.folders("frps")[0], peer.folders("frpc")[1]
    ours = peer.folders("frpc")[0]
    common = {"token": "interop", "tcp_mux": mux}
    to_server = {"server_addr": "127.0.0.1", "server_port": bind_port, **common}

    def client(part: str) -> dict[str, object]:
        return {**to_server, **(peer.client_settings("frpc") if part == go else {})}

    with UdpService() as service:
        stage.frps(
            {"bind_addr": "127.0.0.1", "bind_port": bind_port, **common},
            folder=folders[0] if go == "server" else ours,
        )
        local = {"type": "sudp", "sk": "key", "local_ip": "127.0.0.1", "local_port": service.port}
        owner = stage.frpc(
            client("owner"),
            {name: {**local, **WRAPPERS[name]} for name in WRAPPERS},
            folder=folders[1] if go == "owner" else ours,
            wait_for=(),
        )
        for name in WRAPPERS:
            owner.wait_for(rf"\[{name}\] start proxy success")
        visit = {"type": "sudp", "role": "visitor", "sk": "key", "bind_addr": "127.0.0.1"}
        guest = stage.frpc(
            client("visitor"),
            {
                f"{name}_v": {**visit, **WRAPPERS[name], "server_name": name, "bind_port": port}
                for name, port in ports.items()
            },
            folder=folders[1] if go == "visitor" else ours,
            wait_for=(),
        )
        done = "start visitor success"
        wait_until(lambda: guest.count(done) == len(ports), f"{len(ports)} times: {done}")
        for wrapper, port in ports.items():
            with UdpVisitor(port) as user:
                assert user.ask_until_answered(b"ready?") == b"ready?", wrapper
                for size in SIZES:
                    data = os.urandom(size)
                    assert user.ask(data) == data, f"{wrapper}: {size} bytes"
