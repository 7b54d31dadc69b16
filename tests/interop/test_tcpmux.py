"""tcpmux beside Go frp, which has it since 0.32: Go as either end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.stage import WRAPPERS, Stage
from tests.helpers.visitors import exchange, visit

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer

SINCE = (0, 32)
PASSTHROUGH_SINCE = (0, 43)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("go_end", ["frps", "frpc"])
@pytest.mark.parametrize("passthrough", [False, True], ids=["answered", "passthrough"])
def test_what_follows_connect_comes_back(
    stage: Stage, peer: GoPeer, go_end: str, passthrough: bool, echo_port: int
) -> None:
    if peer.number < (PASSTHROUGH_SINCE if passthrough else SINCE):
        pytest.skip("this version does not have it")
    bind_port, port = free_port(), free_port()
    frps, frpc = peer.folders(go_end)
    server = {"tcpmux_httpconnect_port": port, "tcpmux_passthrough": passthrough}
    stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port, **server}, folder=frps)
    proxy = {"type": "tcpmux", "multiplexer": "httpconnect", "local_port": echo_port}
    client = {"server_addr": "127.0.0.1", "server_port": bind_port}
    program = stage.frpc(
        {**client, **peer.client_settings(go_end)},
        {
            name: {**proxy, **flags, "custom_domains": f"{name}.example.com"}
            for name, flags in WRAPPERS.items()
        },
        folder=frpc,
        wait_for=(),
    )
    for name in WRAPPERS:
        program.wait_for(rf"\[{name}\] start proxy success")
    for name in WRAPPERS:
        request = f"CONNECT {name}.example.com:22 HTTP/1.1\r\nHost: {name}.example.com:22\r\n\r\n"
        expected = request.encode() if passthrough else OK
        with visit(port) as visitor:
            visitor.sendall(request.encode())
            answer = b""
            while len(answer) < len(expected):
                answer += visitor.recv(len(expected) - len(answer))
            assert answer == expected, name
            data = os.urandom(100_000)
            assert exchange(visitor, data) == data, name
