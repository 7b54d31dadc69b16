"""TLS between frpc and frps: private authorities, files that change, and what is no login."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.helpers.authority import Authority, Pair
from tests.helpers.ports import free_port
from tests.helpers.programs import BIN, Program, run, wait_until
from tests.helpers.stage import Stage, tcp
from tests.helpers.visitors import echoes, is_over, visit
from tests.helpers.websocket_frames import BINARY, PING, encode_frame

if TYPE_CHECKING:
    from tests.helpers.programs import Settings

TLS: Settings = {"tls_enable": True}
WEBSOCKET: Settings = {"protocol": "websocket"}
WSS: Settings = {"protocol": "wss"}


class Case(NamedTuple):
    """A client of a server with private certificates, and what both ends say of it."""

    server: str
    files: tuple[str, ...] = ()
    more: Settings = MappingProxyType({})
    frpc_says: str = ""
    frps_says: str = ""


WELCOME = {
    "a server of our authority": Case("one-way", ("ca",), TLS),
    "by another name of it": Case("one-way", ("ca",), {**TLS, "tls_server_name": "frps.example"}),
    "with a certificate": Case("mutual", ("ca", "own"), TLS),
    "with a certificate in wss": Case("mutual", ("ca", "own"), WSS),
}
UNKNOWN_CA = "TLS: the certificate of 127.0.0.1 is refused: .*; check tls_trusted_ca_file$"
TAKE_TLS = "; if it takes TLS only, set tls_enable = true$"
TLS_ONLY = r"this server takes TLS only \(tls_only\): set tls_enable = true"
STRANGERS = {
    "a server of another authority": Case(
        "one-way", ("other ca",), TLS, UNKNOWN_CA, "TLS: the peer does not trust our certificate"
    ),
    "a server of another name": Case(
        "one-way",
        ("ca",),
        {**TLS, "tls_server_name": "other.example"},
        "TLS: the certificate of other.example is refused: .*; set tls_server_name$",
        "TLS: the peer refuses our certificate",
    ),
    "without a certificate": Case(
        "mutual",
        (),
        TLS,
        "TLS: the peer demands a certificate: set tls_cert_file and tls_key_file$",
        "TLS: the peer sent no certificate, and tls_trusted_ca_file demands one",
    ),
    "with a certificate of another authority": Case(
        "mutual",
        ("other own",),
        TLS,
        "TLS: the peer does not trust our certificate$",
        r"TLS: the peer's certificate is refused: .* \(by tls_trusted_ca_file\)",
    ),
    "without TLS": Case("mutual", (), {"tcp_mux": True}, TAKE_TLS, TLS_ONLY),
    "without TLS, websocket": Case("mutual", (), WEBSOCKET, TAKE_TLS, TLS_ONLY),
}


class Client(NamedTuple):
    """A client with one proxy, and its visitors' port."""

    frpc: Program
    port: int


@dataclass(slots=True)
class Private:
    """Servers with certificates of our authority, and their clients."""

    servers: dict[str, Program]
    ports: dict[str, int]
    first: dict[str, bytes]
    """The certificates that they served first."""
    clients: dict[str, Client]


@pytest.fixture(scope="module")
def authority(module_stage: Stage) -> Authority:
    return Authority(module_stage.folder)


@pytest.fixture(scope="module")
def private(module_stage: Stage, authority: Authority, echo_port: int) -> Private:
    """Two servers, whose files have changed since, and whoever comes to them."""
    stage, other = module_stage, Authority(module_stage.folder, "another authority")
    private = Private({}, {}, {}, {})
    files = {"ca": trusted(authority), "other ca": trusted(other)}
    files |= {"own": shown(authority.issue()), "other own": shown(other.issue())}
    for name in ("one-way", "mutual"):
        start_server(stage, private, name, authority)
    for number, (name, case) in enumerate((WELCOME | STRANGERS).items()):
        visitors = free_port()
        common: dict[str, object] = {
            "server_addr": "127.0.0.1",
            "server_port": private.ports[case.server],
            "user": f"p{number}",
            "tcp_mux": False,  # so that each visitor makes a connection to the server
        }
        for kind in case.files:
            common |= files[kind]
        path = stage.write({"common": {**common, **case.more}, "echo": tcp(echo_port, visitors)})
        frpc = stage.start("frpc", str(BIN / "frpc"), "-c", str(path))
        private.clients[name] = Client(frpc, visitors)
    return private


def start_server(stage: Stage, private: Private, name: str, authority: Authority) -> None:
    port, pair = free_port(), authority.issue("127.0.0.1", "frps.example")
    demand = trusted(authority) if name == "mutual" else {}
    common = {"bind_addr": "127.0.0.1", "bind_port": port}
    private.servers[name] = stage.frps({**common, **shown(pair), **demand})
    private.ports[name] = port
    private.first[name] = served_certificate(port)
    # Seen in five seconds, and looked at by the last tests.
    if name == "one-way":
        for old, new in zip(pair, authority.issue("127.0.0.1", "frps.example"), strict=True):
            os.replace(new, old)
    else:
        Path(pair.key).write_text("-----BEGIN PRIVATE KEY-----\n")


def trusted(authority: Authority) -> dict[str, str]:
    return {"tls_trusted_ca_file": authority.ca_file}


def shown(pair: Pair) -> dict[str, str]:
    return {"tls_cert_file": pair.cert, "tls_key_file": pair.key}


@pytest.mark.parametrize("name", WELCOME)
def test_a_private_authority_lets_its_own_in(private: Private, name: str) -> None:
    client = private.clients[name]
    client.frpc.wait_for(r"echo\] start proxy success")
    assert echoes(client.port, b"in private " * 10_000)


@pytest.mark.parametrize("name", STRANGERS)
def test_who_is_not_trusted_is_refused_in_clear_words(private: Private, name: str) -> None:
    case, client = STRANGERS[name], private.clients[name]
    assert client.frpc.wait() == 1
    assert re.search(case.frpc_says, client.frpc.lines[-1])
    server = private.servers[case.server]
    server.wait_for(rf"127\.0\.0\.1:\d+: connection closed before login: .*{case.frps_says}")
    assert "Traceback" not in client.frpc.output + server.output


def served_certificate(port: int) -> bytes:
    """Return what a server shows; it need not let us in."""
    with visit(port) as sock, any_server().wrap_socket(sock) as tls:
        return tls.getpeercert(binary_form=True) or b""


def any_server() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize(("name", "more"), [("frps", ""), ("frpc", "tls_enable = true\n")])
def test_files_that_cannot_be_used_stop_the_start(
    stage: Stage, authority: Authority, name: str, more: str
) -> None:
    pair, other = authority.issue(), authority.issue()
    problems = {
        "-c": (
            f"tls_cert_file = /nowhere/x.pem\ntls_key_file = {pair.key}",
            "tls_cert_file: cannot read /nowhere/x.pem: no such file or directory\n",
        ),
        "verify -c": (
            f"tls_cert_file = {pair.cert}\ntls_key_file = {other.key}",
            f"tls_key_file: {other.key} is not the key of {pair.cert}\n",
        ),
    }
    for command, (lines, message) in problems.items():
        port = f"{'bind' if name == 'frps' else 'server'}_port = {free_port()}"
        path = stage.write(f"[common]\n{port}\n{more}{lines}\n")
        done = run(str(BIN / name), *command.split(), str(path))
        assert (done.returncode, done.stdout + done.stderr) == (1, message)


REQUEST = (
    b"GET /~!frp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
NOISE = bytes(range(255, 0, -1)) * 4
OPENINGS = {
    "announced TLS": b"\x17",
    "announced TLS, noise": b"\x17" + NOISE,
    "half a hello": b"\x16\x03\x01\x02\x00\x01",
    "a hello of noise": b"\x16\x03\x01\x02\x00" + NOISE,
    "half a request": REQUEST[:-2],
    "a request that grows": REQUEST[:-2] + b"x: y\r\n" * 10_000,
    "websocket, nothing": REQUEST,
    "websocket, noise": REQUEST + NOISE,
    "websocket, a huge frame": REQUEST + b"\x82\xff" + b"\x7f" + b"\xff" * 7,
    "websocket, a ping": REQUEST + encode_frame(PING, b"", masked=True),
    "websocket, announced TLS": REQUEST + encode_frame(BINARY, b"\x17", masked=True),
    "websocket, websocket": REQUEST + encode_frame(BINARY, REQUEST, masked=True),
}
INSIDE_TLS = {
    "nothing": b"",
    "noise": NOISE,
    "a huge login": b"o" + (1 << 62).to_bytes(8, "big"),
    "TLS again": b"\x16\x03\x01\x02\x00\x01",
    "half a request": REQUEST[:-2],
    "websocket, nothing": REQUEST,
}


def test_whoever_says_nothing_useful_is_sent_away_in_time(stage: Stage, echo_port: int) -> None:
    tunnel = stage.tunnel({"echo": echo_port}, server={"login_timeout_seconds": 2}, client=TLS)
    assert echoes(tunnel.ports["echo"])
    before = tunnel.frps.descriptors()
    with contextlib.ExitStack() as stack:
        strangers: dict[str, socket.socket] = {}
        for name, data in OPENINGS.items():
            strangers[name] = stack.enter_context(visit(tunnel.bind_port))
            say(strangers[name], data)
        for name, data in INSIDE_TLS.items():
            sock = stack.enter_context(visit(tunnel.bind_port))
            strangers[f"TLS, {name}"] = stack.enter_context(any_server().wrap_socket(sock))
            say(strangers[f"TLS, {name}"], data)
        left = dict(strangers)

        def are_gone() -> bool:
            for name in [name for name, sock in left.items() if is_over(sock)]:
                del left[name]
            return not left

        wait_until(are_gone, f"all but {left} are sent away")
    tunnel.frps.wait_for_descriptors(before)
    assert "Traceback" not in tunnel.frps.output
    assert echoes(tunnel.ports["echo"])


def say(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):  # those who talk nonsense may be gone
        sock.sendall(data)


def test_new_certificates_are_used_without_a_restart(private: Private) -> None:
    port, first = private.ports["one-way"], private.first["one-way"]
    wait_until(lambda: served_certificate(port) != first, "the new one is served")
    assert echoes(private.clients["a server of our authority"].port)


def test_broken_certificates_are_not_used_and_told_once(private: Private) -> None:
    server, told = private.servers["mutual"], "the certificates have changed and cannot be used"
    port, first = private.ports["mutual"], private.first["mutual"]
    wait_until(lambda: served_certificate(port) == first and server.count(told), "they are seen")
    assert echoes(private.clients["with a certificate"].port)
    assert server.count(told) == 1
