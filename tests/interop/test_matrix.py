"""Go frpc against our frps and our frpc against Go frps: every kind of tcp proxy carries data."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from tests.helpers.ports import free_port
from tests.helpers.programs import wait_until
from tests.helpers.services import Service, says
from tests.helpers.stage import WRAPPERS, Stage, tcp
from tests.helpers.visitors import exchange, read_to_end, visit

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from tests.helpers.peers_go import GoPeer

MEBIBYTE = 1 << 20
SPEECH = os.urandom(MEBIBYTE // 2) + b"a" * (MEBIBYTE // 2)


class Ports:
    """The visitors' ports of one pair, by wrapper and service, and what the hearer heard."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.by_name = {
            f"{wrapper}-{service}": free_port()
            for wrapper in WRAPPERS
            for service in ("echo", "speaker", "hearer")
        }

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        self.heard.append(hashlib.sha256(await reader.read(-1)).digest())


@pytest.fixture(scope="session", params=[True, False], ids=["mux", "direct"])
def mux(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="session", params=["frpc", "frps"])
def go_end(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def ports(
    peer: GoPeer,
    go_end: str,
    mux: bool,
    echo_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ports]:
    """A pair with three proxies for each wrapper."""
    stage, ports, bind_port = Stage(tmp_path_factory.mktemp("pair")), Ports(), free_port()
    common = {"token": "interop", "tcp_mux": mux}
    frps, frpc = peer.folders(go_end)
    with Service(says(SPEECH)) as speaker, Service(ports.hear) as hearer:
        local = {"echo": echo_port, "speaker": speaker.port, "hearer": hearer.port}
        proxies = {
            name: {**tcp(local[name.split("-")[1]], port), **WRAPPERS[name.split("-")[0]]}
            for name, port in ports.by_name.items()
        }
        try:
            stage.frps({"bind_addr": "127.0.0.1", "bind_port": bind_port, **common}, folder=frps)
            to_server = {"server_addr": "127.0.0.1", "server_port": bind_port, "user": "ann"}
            client = {**to_server, **common, **peer.client_settings(go_end)}
            program = stage.frpc(client, proxies, folder=frpc, wait_for=())
            for name in proxies:
                program.wait_for(rf"\[(ann\.)?{name}\] start proxy success")
            yield ports
        finally:
            stage.close()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_binary_data_comes_back_as_it_was(ports: Ports, wrapper: str) -> None:
    data = os.urandom(MEBIBYTE) + bytes(range(256)) * 1024
    for _ in range(2):
        with visit(ports.by_name[f"{wrapper}-echo"]) as visitor:
            assert exchange(visitor, data) == data


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_single_bytes_are_not_held_back(ports: Ports, wrapper: str) -> None:
    with visit(ports.by_name[f"{wrapper}-echo"]) as visitor:
        for number in range(64):
            assert exchange(visitor, bytes([number])) == bytes([number])


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_the_service_said_before_its_end_arrives_whole(ports: Ports, wrapper: str) -> None:
    with visit(ports.by_name[f"{wrapper}-speaker"]) as visitor:
        assert read_to_end(visitor) == SPEECH


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_the_visitor_said_before_its_end_arrives_whole(ports: Ports, wrapper: str) -> None:
    ports.heard.clear()
    with visit(ports.by_name[f"{wrapper}-hearer"]) as visitor:
        visitor.sendall(SPEECH)
    wait_until(lambda: ports.heard, "the service heard the end")
    assert ports.heard == [hashlib.sha256(SPEECH).digest()]
