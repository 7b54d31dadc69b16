"""PROXY protocol headers with a Go end: the same bytes, whoever writes them or says who comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from frpd.proto.proxy_protocol import VERSIONS, encode
from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.services import Service
from tests.helpers.stage import TOKEN, Stage
from tests.helpers.udp import UdpService, UdpVisitor
from tests.helpers.visitors import visit

if TYPE_CHECKING:
    from tests.helpers.peers_go import GoPeer

TCP_SINCE = (0, 26)
UDP_SINCE = (0, 63)


class Recorder:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        while data := await reader.read(65536):
            self.heard += data


@pytest.mark.parametrize("go_end", ["frps", "frpc"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_service_hears_the_same_header(
    stage: Stage, peer: GoPeer, go_end: str, version: str
) -> None:
    if peer.number < TCP_SINCE:
        pytest.skip("older than the PROXY protocol")
    recorder = Recorder()
    with Service(recorder.serve) as service:
        tunnel = stage.tunnel(
            {"web": service.port},
            client=peer.client_settings(go_end),
            proxy={"proxy_protocol_version": version},
            folders=peer.folders(go_end),
        )
        with visit(tunnel.ports["web"]) as visitor:
            header = encode(version, visitor.getsockname(), ("127.0.0.1", tunnel.ports["web"]))
            visitor.sendall(b"payload")
            wait_until(lambda: recorder.heard.endswith(b"payload"), "the payload")
        assert recorder.heard == header + b"payload"


@pytest.mark.parametrize("go_end", ["frps", "frpc"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_datagram_is_behind_the_same_header(
    stage: Stage, peer: GoPeer, go_end: str, version: str
) -> None:
    if go_end == "frpc" and peer.number < UDP_SINCE:
        pytest.skip("older than the PROXY protocol for udp")
    server, client = peer.folders(go_end)
    bind, port = free_port(), free_port()
    stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind, "token": TOKEN}, folder=server)
    with UdpService() as service, UdpVisitor(port) as visitor:
        stage.frpc(
            {
                "server_addr": "127.0.0.1",
                "server_port": bind,
                "token": TOKEN,
                **peer.client_settings(go_end),
            },
            {
                "dns": {
                    "type": "udp",
                    "local_ip": "127.0.0.1",
                    "local_port": service.port,
                    "remote_port": port,
                    "proxy_protocol_version": version,
                }
            },
            folder=client,
        )
        own = visitor.sock.getsockname()
        header = encode(version, own, ("127.0.0.1", service.port), datagram=True)
        answers = [visitor.ask_until_answered(b"ping"), visitor.ask(b"pong")]
        assert answers == [header + b"ping", b"pong"]
