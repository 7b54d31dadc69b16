"""The ways to a server with one Go end: tcp, websocket and wss, TLS, tcp_mux, private CAs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.helpers.authority import Authority
from tests.helpers.front import start_front
from tests.helpers.ports import free_port
from tests.helpers.stage import TOKEN, WRAPPERS, Stage, tcp
from tests.helpers.visitors import echoes, exchange, visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers.peers_go import GoPeer
    from tests.helpers.programs import Program, Settings

TLS: Settings = {"tls_enable": True}
PLAIN: Settings = {"tls_enable": False}
WEBSOCKET: Settings = {"protocol": "websocket"}
WSS: Settings = {"protocol": "wss"}

FIRST_TLS = (0, 25)
FIRST_OWN_CERTIFICATES = (0, 34)
FIRST_BARE_TLS = (0, 38)
FIRST_WSS = (0, 51)
FIRST_TOML = (0, 52)

GO_END = pytest.mark.parametrize("go_end", ["frpc", "frps"])


def ways_between(peer: GoPeer, go_end: str, *, mux: bool) -> dict[str, Settings]:
    """Return what frpc may have in [common], by a name; ", nginx" tells where to go."""
    ways: dict[str, Settings] = {"tcp": PLAIN, "websocket": {**WEBSOCKET, **PLAIN}}
    if peer.number >= FIRST_TLS:
        # Announced by a byte of frp's own, or not: with newer ones each gets its turn.
        announced = not mux or peer.number < FIRST_BARE_TLS
        tls = {**TLS, "disable_custom_tls_first_byte": not announced}
        ways |= {"tcp, tls": tls, "websocket, tls": {**WEBSOCKET, **tls}}
        ways["websocket, tls, nginx"] = ways["websocket, tls"]
    ways["websocket, nginx"] = ways["websocket"]
    if go_end == "frps" or peer.number >= FIRST_WSS:
        ways["wss, nginx"] = WSS
    if go_end == "frpc" and peer.number >= FIRST_WSS:
        ways["wss"] = WSS  # a Go frps sees no websocket inside TLS
    return ways


@dataclass(slots=True)
class Client:
    """One frpc, and its visitors' ports by wrapper."""

    program: Program
    ports: dict[str, int]


@pytest.fixture(scope="module", params=[True, False], ids=["mux", "direct"])
def mux(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module", params=["frpc", "frps"])
def clients(
    request: pytest.FixtureRequest,
    peer: GoPeer,
    mux: bool,
    echo_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Client]]:
    """A server, nginx in front of it, and a client for each way."""
    stage, go_end = Stage(tmp_path_factory.mktemp("ways")), request.param
    server_folder, client_folder = peer.folders(go_end)
    both = {"token": TOKEN, "tcp_mux": mux}
    try:
        port = free_port()
        stage.frps({"bind_addr": "127.0.0.1", "bind_port": port, **both}, folder=server_folder)
        front = start_front(stage, port, Authority(stage.folder).issue("127.0.0.1"))
        clients: dict[str, Client] = {}
        for name, settings in ways_between(peer, go_end, mux=mux).items():
            to = port
            if name.endswith("nginx"):
                to = front.tls_port if name.startswith("wss") else front.port
            clients[name] = start_client(
                stage,
                {"server_addr": "127.0.0.1", "server_port": to, **both, **settings},
                user=f"u{len(clients)}",
                local_port=echo_port,
                folder=client_folder,
            )
        yield clients
    finally:
        stage.close()


def start_client(
    stage: Stage, common: Settings, *, user: str, local_port: int, folder: Path
) -> Client:
    ports = {name: free_port() for name in ("plain", "both")}
    path = stage.write(
        {
            "common": {**common, "user": user},
            **{name: {**tcp(local_port, ports[name]), **WRAPPERS[name]} for name in ports},
        }
    )
    return Client(stage.start("frpc", str(folder / "frpc"), "-c", str(path)), ports)


def wait_for(client: Client) -> None:
    for name in client.ports:
        client.program.wait_for(rf"\[(\w+\.)?{name}\] start proxy success")


def test_every_way_carries_data(clients: dict[str, Client]) -> None:
    data = os.urandom(1 << 20) + bytes(range(256)) * 256
    for name, client in clients.items():
        wait_for(client)
        for wrapper, port in client.ports.items():
            with visit(port) as visitor:
                assert exchange(visitor, data) == data, f"{name}, {wrapper}"


def needs(peer: GoPeer, version: tuple[int, ...], what: str) -> None:
    if peer.number < version:
        pytest.skip(f"frp {peer.version} has no {what}")


@GO_END
@pytest.mark.parametrize("mutual", [False, True], ids=["one-way", "mutual"])
def test_a_private_authority_is_enough_and_needed(
    stage: Stage, peer: GoPeer, go_end: str, mutual: bool, echo_port: int
) -> None:
    needs(peer, FIRST_OWN_CERTIFICATES, "tls_trusted_ca_file")
    good, other = Authority(stage.folder), Authority(stage.folder, "another authority")
    server, port = good.issue("127.0.0.1", "frps.example"), free_port()
    common = {"bind_addr": "127.0.0.1", "bind_port": port, **shown(server)}
    demand = {"tls_trusted_ca_file": good.ca_file} if mutual else {}
    frps = stage.frps({**common, **demand}, folder=peer.folders(go_end)[0])
    to_server = {"server_addr": "127.0.0.1", "server_port": port, **TLS}

    def come(authority: Authority, user: str) -> Client:
        own = shown(authority.issue("frpc.example")) if mutual else {}
        trust = {"tls_trusted_ca_file": good.ca_file if mutual else authority.ca_file}
        return start_client(
            stage,
            {**to_server, **own, **trust, "tls_server_name": "frps.example"},
            user=user,
            local_port=echo_port,
            folder=peer.folders(go_end)[1],
        )

    friend, stranger = come(good, "friend"), come(other, "stranger")
    wait_for(friend)
    assert echoes(friend.ports["both"], b"in private " * 10_000)
    stranger.program.wait()  # a Go program's status tells nothing
    if go_end == "frpc":
        frps.wait_for("closed before login: TLS: the peer")
    else:
        assert re.search(r"TLS: .*(certificate|demand)", stranger.program.lines[-1])


def shown(pair: tuple[str, str]) -> dict[str, str]:
    return dict(zip(("tls_cert_file", "tls_key_file"), pair, strict=True))


@GO_END
def test_a_plain_client_of_a_server_that_takes_tls_only_is_told(
    stage: Stage, peer: GoPeer, go_end: str
) -> None:
    needs(peer, FIRST_OWN_CERTIFICATES, "tls_only")
    server, client = peer.folders(go_end)
    port = free_port()
    frps = stage.frps(
        {"bind_addr": "127.0.0.1", "bind_port": port, "tls_only": True}, folder=server
    )
    common = {"server_addr": "127.0.0.1", "server_port": port, **PLAIN}
    frpc = stage.frpc(common, {}, folder=client)
    frpc.wait()
    if go_end == "frpc":
        frps.wait_for(r"takes TLS only \(tls_only\): set tls_enable = true")
    else:
        assert frpc.lines[-1].endswith("; if it takes TLS only, set tls_enable = true")


def test_a_stock_client_with_the_shortest_file_just_works(
    stage: Stage, peer: GoPeer, echo_port: int
) -> None:
    needs(peer, FIRST_TOML, "TOML")
    port, visitors = free_port(), free_port()
    stage.frps({"bind_port": port, "token": TOKEN})
    path = stage.write(
        f'serverAddr = "127.0.0.1"\nserverPort = {port}\nauth.token = "{TOKEN}"\n'
        f'[[proxies]]\nname = "ssh"\ntype = "tcp"\nlocalPort = {echo_port}\n'
        f"remotePort = {visitors}\n",
        "frpc.toml",
    )
    frpc = stage.start("frpc", str(peer.folder / "frpc"), "-c", str(path))
    frpc.wait_for(r"\[ssh\] start proxy success")
    assert echoes(visitors, b"just works " * 10_000)
