"""frpd.admin.office: the loop's side: who gets to the web server, and when that is made."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from frpd.admin import office as office_module
from frpd.admin import peers
from frpd.admin.loop_calls import LoopBusyError, LoopCalls
from frpd.admin.office import CONTROL, MAX_PER_SOURCE, AdminOffice
from frpd.net.certificates import server_contexts
from frpd.net.listener import bind_tcp
from frpd.transports.tls import TlsServerLayer
from tests.helpers.world import World

Address = tuple[str, int]


class FakeServer:
    """Keeps what it is given."""

    def __init__(self, on_closed: Callable[[Address], None]) -> None:
        self.on_closed = on_closed
        self.adopted: list[tuple[socket.socket, Address]] = []
        self.stopped = threading.Event()

    def adopt(self, sock: socket.socket, address: Address) -> None:
        self.adopted.append((sock, address))

    def run(self) -> None:
        self.stopped.wait(60)

    def stop(self) -> None:
        self.stopped.set()


class Stage:
    """An office with a port and a fake server."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.made: list[FakeServer] = []
        self.failures: list[Exception] = []
        self.calls = LoopCalls(world.loop)
        self.office = AdminOffice(world.loop, self.calls, self._make)
        world.owners.callback(self._close)
        self.port = 0

    def listen(self, layer: TlsServerLayer | None = None) -> None:
        sock = bind_tcp("127.0.0.1", 0)
        self.port = sock.getsockname()[1]
        self.office.serve_tcp(sock, "dashboard", layer)

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.world.stack.callback(sock.close)
        self.world.settle()
        return sock

    @property
    def server(self) -> FakeServer:
        self.world.until(lambda: self.made, "a server is made")
        return self.made[0]

    def _make(self, on_closed: Callable[[Address], None]) -> FakeServer:
        if self.failures:
            raise self.failures.pop()
        self.made.append(FakeServer(on_closed))
        return self.made[-1]

    def _close(self) -> None:
        self.office.close()
        for server in self.made:
            for sock, _ in server.adopted:
                sock.close()


def test_no_server_is_made_before_somebody_comes(world: World) -> None:
    stage = Stage(world)
    stage.listen()
    world.settle()
    assert stage.made == []


def test_the_first_to_come_has_it_made_and_is_served(world: World) -> None:
    stage = Stage(world)
    stage.listen()
    visitors = [stage.connect() for _ in range(2)]
    server = stage.server
    world.until(lambda: len(server.adopted) == 2)
    assert {address for _, address in server.adopted} == {
        visitor.getsockname() for visitor in visitors
    }
    visitors.append(stage.connect())
    world.until(lambda: len(server.adopted) == 3)
    assert len(stage.made) == 1


def test_a_server_that_cannot_be_made_is_tried_again_for_the_next(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(world)
    stage.listen()
    stage.failures.append(ImportError("no module named bottle"))
    with caplog.at_level(logging.ERROR, "frpd"):
        visitor = stage.connect()
        world.until(lambda: caplog.records)
    assert "no module named bottle" in caplog.text
    assert visitor.recv(1) == b""
    stage.connect()
    world.until(lambda: stage.server.adopted)


def test_one_address_has_so_many_connections_and_no_more(world: World) -> None:
    stage = Stage(world)
    stage.listen()
    for _ in range(MAX_PER_SOURCE):
        stage.connect()
    server = stage.server
    world.until(lambda: len(server.adopted) == MAX_PER_SOURCE)
    surplus = stage.connect()
    with pytest.raises(ConnectionResetError):
        surplus.recv(1)
    sock, address = server.adopted.pop()
    sock.close()
    server.on_closed(address)
    world.settle()
    stage.connect()
    world.until(lambda: len(server.adopted) == MAX_PER_SOURCE)


def test_all_together_have_a_bound_and_the_control_socket_its_own(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office_module, "MAX_CONNECTIONS", 1)
    stage = Stage(world)
    stage.listen()
    path = serve_control(stage, tmp_path)
    stage.connect()
    server = stage.server
    world.until(lambda: server.adopted)
    with pytest.raises(ConnectionResetError):
        stage.connect().recv(1)
    connect_control(world, path)
    world.until(lambda: len(server.adopted) == 2)
    assert connect_control(world, path).recv(1) == b""


def serve_control(stage: Stage, folder: Path) -> str:
    path = str(folder / "control")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.bind(path)
    sock.listen(8)
    stage.office.serve_control(sock)
    return path


def connect_control(world: World, path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    world.stack.callback(sock.close)
    sock.settimeout(10)
    sock.connect(path)
    world.settle()
    return sock


def test_who_comes_by_the_control_socket_is_known_by_its_process(
    world: World, tmp_path: Path
) -> None:
    stage = Stage(world)
    connect_control(world, serve_control(stage, tmp_path))
    world.until(lambda: stage.server.adopted)
    assert stage.server.adopted[0][1] == (CONTROL, os.getpid())


def test_who_is_not_trusted_there_is_told_so(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers.Peer, "is_trusted", False)
    stage = Stage(world)
    sock = connect_control(world, serve_control(stage, tmp_path))
    head, _, body = sock.recv(4096).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert f"Content-Length: {len(body)}".encode() in head
    assert sock.recv(1) == b""
    assert stage.made == []


def test_the_end_frees_the_port_and_sends_everybody_away(world: World) -> None:
    stage = Stage(world)
    stage.listen()
    stage.connect()
    server = stage.server
    world.until(lambda: server.adopted)
    stage.office.close()
    stage.office.close()
    assert server.stopped.is_set()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", stage.port), timeout=10)
    with pytest.raises(LoopBusyError):
        stage.calls.ask(lambda: None)


def test_who_waits_for_the_server_at_the_end_is_sent_away(world: World) -> None:
    stage = Stage(world)
    held = threading.Event()

    def slowly(on_closed: Callable[[Address], None]) -> FakeServer:
        held.wait(60)
        return FakeServer(on_closed)

    stage.office._make_server = slowly
    stage.listen()
    visitor = stage.connect()
    stage.office.close()
    held.set()
    assert visitor.recv(1) == b""


@pytest.fixture
def tls() -> TlsServerLayer:
    return TlsServerLayer(server_contexts("", "", "", now=lambda: 0.0))


def test_with_tls_the_server_gets_what_is_inside(world: World, tls: TlsServerLayer) -> None:
    stage = Stage(world)
    stage.listen(tls)
    said: list[bytes] = []

    def visit() -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", stage.port), timeout=10) as sock,
            context.wrap_socket(sock) as inside,
        ):
            inside.sendall(b"question")
            said.append(inside.recv(100))

    visitor = threading.Thread(target=visit)
    visitor.start()
    world.until(lambda: stage.made and stage.made[0].adopted)
    sock, address = stage.server.adopted[0]
    assert address[0] == "127.0.0.1"
    sock.setblocking(False)
    heard = bytearray()

    def hear() -> bool:
        try:
            heard.extend(sock.recv(100))
        except BlockingIOError:
            return False
        return heard == b"question"

    world.until(hear)
    sock.send(b"answer")
    world.until(lambda: not visitor.is_alive())
    assert said == [b"answer"]


def test_who_does_not_speak_tls_gets_nowhere(world: World, tls: TlsServerLayer) -> None:
    stage = Stage(world)
    stage.listen(tls)
    sock = stage.connect()
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    world.settle()
    silent = stage.connect()
    world.advance(office_module.HANDSHAKE_SECONDS + 1)
    for one in (sock, silent):
        with contextlib.suppress(ConnectionResetError):
            assert not one.recv(100).startswith(b"HTTP")  # an alert, perhaps
    assert stage.made == []
    assert not stage.office._open
