"""Reception: what a new connection speaks decides who takes it, and no byte is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NoReturn

import pytest

from frpd.config.server import ServerConfig
from frpd.errors import TransportError
from frpd.net.address import host_of
from frpd.net.endpoint import Endpoint, Outcome
from frpd.net.listener import Listener, bind_tcp
from frpd.net.stream import SocketStream
from frpd.net.transform import TransformEndpoint
from frpd.server.door import Door, DoorLimits
from frpd.server.entrances import Speech
from frpd.server.guard.clients import ClientGuard
from frpd.server.reception import Carried, CarriedStreams, Reception
from frpd.transports.base import Dialing, OnEndpoint, OnFailed
from tests.helpers.compiled import needs_source
from tests.helpers.peers import Wire
from tests.helpers.world import World

ALL = Speech.FRP | Speech.HTTP | Speech.HTTPS


class Peel:
    """A layer that takes some bytes off, as a handshake would, when it is told to."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.saw = b""
        self.cancelled = False
        self.fail: Callable[[], None] | None = None

    def begin(self, endpoint: Endpoint, on_ready: OnEndpoint, on_failed: OnFailed) -> Dialing:
        def readable() -> None:
            data = endpoint.read(self.nbytes)
            assert not isinstance(data, Outcome)
            self.saw += bytes(data)
            if len(self.saw) >= self.nbytes:
                endpoint.watch(None, None)
                endpoint.unread(self.saw[self.nbytes :])
                self.saw = self.saw[: self.nbytes]
                on_ready(TransformEndpoint(endpoint, []))

        self.fail = lambda: on_failed(TransportError("bad handshake"))
        self._endpoint = endpoint
        endpoint.watch(readable, None)
        return self

    def cancel(self) -> None:
        self.cancelled = True
        self._endpoint.abort()


class Desk:
    """A reception on a port, and who came."""

    def __init__(self, world: World, speech: Speech, *, tls_only: bool = False) -> None:
        self.world = world
        self.door = Door(world.loop, DoorLimits(10, 9, 9))
        self.clients: list[Carried] = []
        self.links: list[CarriedStreams] = []
        self.http: list[SocketStream] = []
        self.https: list[SocketStream] = []
        self.tls, self.websocket = Peel(5), Peel(12)
        self.guard = ClientGuard(world.loop.now, ServerConfig())
        self.reception = Reception(
            guard=self.guard,
            door=self.door,
            on_client=self.client_came,
            on_http=self.http.append,
            on_https=self.https.append,
            layers={"tls": self.tls, "websocket": self.websocket},
            tls_only=tls_only,
        )
        self.listener = Listener(
            world.loop,
            bind_tcp("127.0.0.1", 0),
            lambda stream: self.reception.welcome(stream, speech),
        )
        world.owners.callback(self.close)

    def client_came(self, carried: Carried | CarriedStreams) -> None:
        if isinstance(carried, Carried):
            self.clients.append(carried)
        else:
            self.links.append(carried)

    def close(self) -> None:
        self.listener.close()
        self.door.close()
        for stream in (*[one.carrier for one in self.clients], *self.http, *self.https):
            stream.close()

    def send(self, data: bytes) -> Wire:
        wire = Wire.to(self.world, self.listener.address[1])
        self.world.settle()
        wire.write(data)
        self.world.settle()
        return wire

    def who(self) -> str:
        rooms = {"client": self.clients, "http": self.http, "https": self.https}
        return " ".join(name for name, came in rooms.items() if came)


def waiting(endpoint: Endpoint, world: World) -> bytes:
    """Return all that can be read now."""
    world.settle()
    got = b""
    while not isinstance(data := endpoint.read(65_536), Outcome):
        got += bytes(data)
    return got


@pytest.mark.parametrize(
    ("speech", "data", "who"),
    [
        (Speech.FRP, b"o" + bytes(30), "client"),
        (Speech.FRP, b"\0" + bytes(30), "client"),
        (Speech.FRP, b"GET / HTTP/1.1\r\n", "client"),
        (ALL, b"o" + bytes(30), "client"),
        (ALL, b"w", "client"),
        (ALL, b"\0\0\0\1", "client"),
        (ALL, b"GET / HTTP/1.1\r\n", "http"),
        (ALL, b"PROPFIND /a HTTP/1.1\r\n", "http"),
        (ALL, b"GET /~other", "http"),
        (ALL, b"\x16\3\1\2\0", "https"),
        (Speech.HTTP, b"\x16\3\1\2\0", "http"),
        (Speech.HTTPS, b"GET / HTTP/1.1\r\n", "https"),
        (Speech.HTTP | Speech.HTTPS, b"GET / HTTP/1.1\r\n", "http"),
        (Speech.HTTP | Speech.HTTPS, b"\x16\3\1\2\0", "https"),
        (Speech.HTTP | Speech.HTTPS, b"o nonsense", "http"),
    ],
)
@pytest.mark.parametrize("piece", [1, 1000], ids=["byte by byte", "at once"])
def test_the_first_bytes_tell_who_takes_it(
    world: World, speech: Speech, data: bytes, who: str, piece: int
) -> None:
    desk = Desk(world, speech)
    wire = desk.send(data[:piece])
    for start in range(piece, len(data), piece):
        wire.write(data[start : start + piece])
        world.settle()
    assert desk.who() == who
    stream = [*[one.carrier for one in desk.clients], *desk.http, *desk.https][0]
    assert waiting(stream, world) == data
    assert desk.door.pending == (1 if who == "client" else 0)


def test_yamux_is_noted(world: World) -> None:
    desk = Desk(world, Speech.FRP)
    desk.send(b"\0")
    desk.send(b"o")
    assert [one.is_mux for one in desk.clients] == [True, False]
    assert host_of(desk.clients[0].bearer.peer) == "127.0.0.1"


@pytest.mark.parametrize(
    ("data", "layers"),
    [
        (b"\x17hello\0mux", ("tls",)),
        (b"\x16hell\0mux", ("tls",)),
        (b"GET /~!frp??\0mux", ("websocket",)),
        (b"GET /~!frp??\x17hello\0mux", ("websocket", "tls")),
        (b"\x17helloGET /~!frp??\0mux", ("tls", "websocket")),
    ],
)
def test_clients_come_in_layers(world: World, data: bytes, layers: tuple[str, ...]) -> None:
    desk = Desk(world, Speech.FRP | Speech.HTTP)
    desk.send(data)
    [carried] = desk.clients
    assert (carried.layers, carried.is_mux) == (layers, True)
    assert desk.tls.saw in (b"", b"hello", b"\x16hell")
    assert waiting(carried.carrier, world) == b"\0mux"


class Datagrams(SocketStream):
    """A bearer that is no connection of TCP."""

    @property
    def carrier(self) -> str:
        return "kcp"


@needs_source(SocketStream)
@pytest.mark.parametrize(
    ("data", "layers"), [(b"\0mux", ("kcp",)), (b"\x17hello\0mux", ("kcp", "tls"))]
)
def test_another_bearer_than_tcp_is_named_outside_of_all_layers(
    world: World, data: bytes, layers: tuple[str, ...]
) -> None:
    desk = Desk(world, ALL)
    near, far = world.sockets()
    desk.reception.welcome_client(Datagrams(world.loop, near, ("203.0.113.5", 7)))
    far.send(data)
    world.settle()
    [carried] = desk.clients
    assert (carried.layers, carried.bearer.peer) == (layers, ("203.0.113.5", 7))


@needs_source(SocketStream)
def test_no_visitor_comes_but_by_tcp(world: World) -> None:
    desk = Desk(world, ALL)
    near, far = world.sockets()
    desk.reception.welcome_client(Datagrams(world.loop, near, ("203.0.113.5", 7)))
    far.send(b"GET / HTTP/1.1\r\n\r\n")
    world.settle()
    assert desk.who() == "client"  # and its reader says that this is nothing that frp knows


@needs_source(SocketStream)
def test_a_bearer_with_streams_of_its_own_is_pending_from_the_start(world: World) -> None:
    desk = Desk(world, Speech.FRP)
    bearer = Datagrams(world.loop, world.sockets()[0], ("203.0.113.5", 7))
    world.owners.callback(bearer.close)

    def never(*_: object) -> NoReturn:
        raise AssertionError

    desk.reception.welcome_link(bearer, never)
    [carried] = desk.links
    assert (carried.layers, desk.door.pending) == (("kcp",), 1)
    assert carried.ticket.source == "203.0.113.5"


def test_no_layer_comes_twice(world: World) -> None:
    desk = Desk(world, Speech.FRP)
    desk.send(b"\x17hello\x17hello\0mux")
    [carried] = desk.clients  # the second is nothing that frp knows, and its reader says so
    assert (carried.layers, carried.is_mux) == (("tls",), False)


def test_without_tls_nobody_comes_in_where_it_is_demanded(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(world, Speech.FRP, tls_only=True)
    wire = desk.send(b"\0mux")
    world.until(lambda: wire.end)
    assert (desk.clients, desk.door.pending) == ([], 0)
    assert "set tls_enable = true in frpc.ini" in caplog.text
    desk.send(b"\x17hello\0mux")
    assert len(desk.clients) == 1


def test_a_handshake_that_fails_ends_its_connection(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(world, Speech.FRP)
    wire = desk.send(b"\x17he")
    assert desk.tls.fail is not None
    desk.tls.fail()
    world.until(lambda: wire.end)
    assert desk.door.pending == 0
    assert "bad handshake" in caplog.text


@pytest.mark.parametrize("data", [b"", b"GET /~!f", b"\x17he"])
def test_the_deadline_is_for_all_of_it(
    world: World, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(world, ALL)
    wire = desk.send(data)
    world.advance(9.9)
    assert not wire.end
    world.advance(0.2)
    world.until(lambda: wire.end)
    assert desk.tls.cancelled == data.startswith(b"\x17")
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1


def test_who_leaves_before_saying_anything_leaves_nothing_behind(world: World) -> None:
    desk = Desk(world, ALL)
    for data in (b"", b"GET"):
        wire = desk.send(data)
        wire.close()
        world.until(lambda: not desk.door.pending)
    assert desk.who() == ""


def test_a_connection_that_is_lost_is_told_to_who_looks_closely(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk = Desk(world, ALL)
    desk.send(b"GET").reset()
    world.until(lambda: not desk.door.pending)
    [record] = [record for record in caplog.records if "connection lost" in record.message]
    assert record.levelno == logging.DEBUG
