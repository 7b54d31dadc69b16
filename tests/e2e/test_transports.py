"""How clients reach frps: each protocol, with TLS and without, over tcp_mux and without it.

The ways of the table share one frps. What only time can show is begun with it and
looked at in the last tests.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from frpd.auth.token import privilege_key
from frpd.clock import unix_now
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import Login, LoginResp
from tests.helpers.authority import Authority
from tests.helpers.front import SOURCE, Front, start_front
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, SECONDS, Program, wait_until
from tests.helpers.services import Service, flood, late_answer, late_answer_to
from tests.helpers.stage import READY, TOKEN, WRAPPERS, Stage, tcp
from tests.helpers.visitors import (
    exchange,
    read_all,
    read_to_end,
    visit,
    wait_for_echo,
)
from tests.helpers.websocket_frames import BINARY, TEXT, WebSocketVisitor

if TYPE_CHECKING:
    from collections.abc import Iterator

MEBIBYTE = 1 << 20
SPEECH = os.urandom(4 * MEBIBYTE) * 2
KEEPALIVE_SECONDS = 600
FRONT_IDLE_SECONDS = 5

TLS: dict[str, object] = {"tls_enable": True}
WEBSOCKET: dict[str, object] = {"protocol": "websocket"}
WSS: dict[str, object] = {"protocol": "wss"}
WAYS: dict[str, dict[str, object]] = {
    "tcp": {},
    "tcp, tls": TLS,
    "websocket": WEBSOCKET,
    "websocket, tls": {**WEBSOCKET, **TLS},
    "wss": WSS,
}
FRONTED: dict[str, dict[str, object]] = {
    "websocket, nginx": WEBSOCKET,
    "websocket, tls, nginx": {**WEBSOCKET, **TLS},
    "wss, nginx": WSS,
}


class Key(NamedTuple):
    """Which way, and whether with tcp_mux."""

    way: str
    mux: bool


KEYS = [Key(way, mux) for mux in (True, False) for way in (*WAYS, *FRONTED)]
BY_KEY = pytest.mark.parametrize(
    "key", KEYS, ids=[f"{key.way}, {'mux' if key.mux else 'direct'}" for key in KEYS]
)


@dataclass(slots=True)
class Way:
    """A client that has come by one way; ``ports`` are the visitors', by proxy."""

    frpc: Program
    ports: dict[str, int]


@dataclass(slots=True)
class Ways:
    """All of them, and the server that they came to."""

    stage: Stage
    server_file: Path
    server_port: int
    front: Front
    frps: Program
    clients: dict[Key, Way]

    def start_server(self) -> None:
        self.frps = start(self.stage, "frps", self.server_file)
        self.frps.wait_for(READY)


def start(stage: Stage, name: str, path: Path) -> Program:
    return stage.start(name, str(BIN / name), "-c", str(path))


def settings_of(key: Key) -> dict[str, object]:
    """Return what frpc has in [common] beside the server, with as many keys as there are ways."""
    settings = {**(WAYS | FRONTED)[key.way], "tcp_mux": key.mux}
    settings["disable_custom_tls_first_byte"] = not key.mux
    if key.way in FRONTED:
        # nginx drops who is silent; one kind of heartbeat is enough.
        by_mux: dict[str, object] = {"heartbeat_interval": -1, "tcp_mux_keepalive_interval": 1}
        settings |= by_mux if key.mux else {"heartbeat_interval": 1}
    else:
        settings |= {"connect_server_local_ip": local_ip(key)}
        settings |= {"dial_server_keepalive": KEEPALIVE_SECONDS}
    return settings


def local_ip(key: Key) -> str:
    return f"127.0.0.{100 + KEYS.index(key)}"


@pytest.fixture(scope="module")
def authority(module_stage: Stage) -> Authority:
    return Authority(module_stage.folder)


@pytest.fixture(scope="module")
def ways(module_stage: Stage, authority: Authority, echo_port: int) -> Iterator[Ways]:
    """Everything of the table, started side by side."""
    server_port = free_port()
    common = {"bind_addr": "127.0.0.1", "bind_port": server_port, "token": TOKEN}
    server_file = module_stage.write({"common": {**common, "heartbeat_timeout": -1}})
    frps = start(module_stage, "frps", server_file)
    pair = authority.issue("127.0.0.1")
    front = start_front(module_stage, server_port, pair, idle_seconds=FRONT_IDLE_SECONDS)
    frps.wait_for(READY)
    ways = Ways(module_stage, server_file, server_port, front, frps, {})
    with Service(late_answer) as late, Service(flood(SPEECH)) as speaker:
        local = {"plain": echo_port, "both": echo_port, "late": late.port, "speaker": speaker.port}
        for key in KEYS:
            ways.clients[key] = start_client(ways, key, local, authority)
        for way in ways.clients.values():
            for name in way.ports:
                way.frpc.wait_for(rf"\[(\w+\.)?{name}\] start proxy success")
        yield ways
        module_stage.close()


def start_client(ways: Ways, key: Key, local: dict[str, int], authority: Authority) -> Way:
    port, trusted = ways.server_port, {}
    if key.way in FRONTED:
        is_wss = key.way.startswith("wss")
        port = ways.front.tls_port if is_wss else ways.front.port
        trusted = {"tls_trusted_ca_file": authority.ca_file} if is_wss else {}
    ports = {name: free_port() for name in local}
    common = {"server_addr": "127.0.0.1", "server_port": port, "token": TOKEN}
    path = ways.stage.write(
        {
            "common": {**common, "user": user(key), **trusted, **settings_of(key)},
            **{name: {**tcp(local[name], ports[name]), **WRAPPERS.get(name, {})} for name in local},
        }
    )
    return Way(start(ways.stage, "frpc", path), ports)


def user(key: Key) -> str:
    return f"u{KEYS.index(key)}"


class LongRun(NamedTuple):
    """What was begun with the first test."""

    since: float
    idle: dict[Key, socket.socket]
    """Visitors that have said a word and wait."""


@pytest.fixture(scope="module", autouse=True)
def long_run(ways: Ways, echo_port: int) -> Iterator[LongRun]:
    """Begin what takes long."""
    idle = {}
    for key in KEYS:
        if key.way not in FRONTED or key.mux:  # without tcp_mux nginx ends whoever is silent
            idle[key] = visit(ways.clients[key].ports["plain"])
            assert exchange(idle[key], b"wait") == b"wait"
    yield LongRun(time.monotonic(), idle)
    for visitor in idle.values():
        visitor.close()


@BY_KEY
@pytest.mark.parametrize("wrapper", ["plain", "both"])
def test_binary_data_comes_back_as_it_was(ways: Ways, key: Key, wrapper: str) -> None:
    data = os.urandom(MEBIBYTE - 1000) + b"a" * 1000
    with visit(ways.clients[key].ports[wrapper]) as visitor:
        assert exchange(visitor, b"hello") == b"hello"
        assert exchange(visitor, data) == data


@BY_KEY
def test_bulk_arrives_whole(ways: Ways, key: Key) -> None:
    with visit(ways.clients[key].ports["speaker"]) as visitor:
        read_all([visitor], SPEECH, SECONDS)


@BY_KEY
def test_an_answer_after_the_visitors_end_arrives(ways: Ways, key: Key) -> None:
    data = os.urandom(MEBIBYTE)
    with visit(ways.clients[key].ports["late"]) as visitor:
        visitor.sendall(data)
        visitor.shutdown(socket.SHUT_WR)
        assert read_to_end(visitor) == late_answer_to(len(data), hashlib.sha256(data))


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_websocket_frames_may_be_of_either_kind(ways: Ways, opcode: int) -> None:
    now = unix_now()
    login = encode_message(
        Login(version="0.51.3", timestamp=now, privilege_key=privilege_key(TOKEN, now))
    )
    decoder = MessageDecoder()
    with WebSocketVisitor(visit(ways.server_port), "127.0.0.1", "/~!frp") as client:
        for begin in range(0, len(login), 50):
            client.send(login[begin : begin + 50], opcode)
        while (answer := decoder.next_message()) is None:
            decoder.receive_data(client.receive()[1])
    assert isinstance(answer, LoginResp)
    assert not answer.error


@BY_KEY
def test_the_server_sees_where_a_client_comes_from(ways: Ways, key: Key) -> None:
    source = SOURCE if key.way in FRONTED else local_ip(key)
    login = control_connection(ways, key)
    assert login.startswith(f"{source}:")
    if key.way not in FRONTED:
        wait_until(
            lambda: 0 < keepalive_timer(login) <= KEEPALIVE_SECONDS, "TCP keep-alive as it is set"
        )


def control_connection(ways: Ways, key: Key) -> str:
    """Return where the client's session comes from, as its server has seen it."""
    log = ways.frps.output
    match = re.search(rf"\[(\w+)\] new proxy \[{user(key)}\.plain\]", log)
    assert match is not None
    match = re.search(rf"\[{match[1]}\] client login info: ip \[(.*?)\]", log)
    assert match is not None
    return match[1]


def keepalive_timer(address: str) -> float:
    """Return how soon the kernel probes the connection from there; 0 if never or not now."""
    host, _, port = address.partition(":")
    here = f"{socket.inet_aton(host)[::-1].hex()}:{int(port):04x}".upper()
    for line in Path("/proc/net/tcp").read_text().splitlines():
        fields = line.split()
        if fields[1] == here:
            active, _, ticks = fields[5].partition(":")
            return int(ticks, 16) / os.sysconf("SC_CLK_TCK") if active == "02" else 0
    return 0


def test_dialling_takes_no_longer_than_it_may(stage: Stage) -> None:
    """The server accepts and says nothing, or the way to it swallows everything."""
    with socket.create_server(("127.0.0.1", 0)) as silent, blackhole() as nowhere:
        here, gone = silent.getsockname()[1], nowhere.getsockname()[1]
        late = rf"no end of the handshake with 127\.0\.0\.1:{here} within 1 s$"
        lost = rf"dial tcp 127\.0\.0\.1:{gone}: i/o timeout$"
        clients = {}
        for number, (port, settings) in enumerate(
            [(here, TLS), (here, WEBSOCKET), (here, WSS), (gone, {}), (gone, TLS)]
        ):
            common = {"server_addr": "127.0.0.1", "server_port": port, "dial_server_timeout": 1}
            clients[number] = stage.frpc({**common, **settings}, {}), late if port == here else lost
        for frpc, message in clients.values():
            assert frpc.wait() == 1
            assert re.search(message, frpc.lines[-1])


@contextlib.contextmanager
def blackhole() -> Iterator[socket.socket]:
    """Give a listener that answers nobody: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener


def test_idle_visitors_stay(ways: Ways, long_run: LongRun) -> None:
    """Also behind nginx, which ends a connection that carries nothing for so long."""
    wait_until(
        lambda: time.monotonic() - long_run.since > 1.2 * FRONT_IDLE_SECONDS, "time has passed"
    )
    for key, visitor in long_run.idle.items():
        assert exchange(visitor, b"still there") == b"still there", key
    for key, way in ways.clients.items():
        assert way.frpc.count("login to server success") == 1, key


def test_every_client_comes_back_after_the_servers_death(ways: Ways) -> None:
    ways.frps.kill()
    ways.start_server()
    for way in ways.clients.values():
        wait_for_echo(way.ports["both"], 2 * SECONDS)
