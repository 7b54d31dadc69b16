"""WebSocket as a layer: its handshake on connections, and what can go wrong in it."""

from __future__ import annotations

import socket
import sys

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from frpd.net.endpoint import Endpoint
from frpd.proto.websocket.frames import xor_mask
from frpd.proto.websocket.handshake import accept_value
from frpd.selector_loop import SelectorLoop
from frpd.transports.websocket import (
    WebSocketClientLayer,
    WebSocketOpening,
    WebSocketServerLayer,
    fastest_xor,
)
from tests.helpers.clock import MockClock
from tests.helpers.duplex import Duplex
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import FixedEntropy, World

KEY = b"AAAAAAAAAAAAAAAAAAAAAQ=="  # what FixedEntropy draws first
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + accept_value(KEY) + b"\r\n\r\n"
)


class Side:
    """What became of one handshake."""

    def __init__(self, inner: Endpoint, layer: WebSocketClientLayer | WebSocketServerLayer) -> None:
        self.ready: list[Endpoint] = []
        self.failed: list[str] = []
        self.opening: WebSocketOpening = layer.begin(
            inner, self.ready.append, lambda error: self.failed.append(str(error))
        )

    @property
    def is_over(self) -> bool:
        return bool(self.ready or self.failed)


@pytest.fixture
def loop() -> SelectorLoop:
    return SelectorLoop(MockClock())


@pytest.fixture
def inner(loop: SelectorLoop) -> ScriptedEndpoint:
    return ScriptedEndpoint(loop)


def client(inner: Endpoint) -> Side:
    return Side(inner, WebSocketClientLayer("frp.test", 7000, FixedEntropy()))


def server(inner: Endpoint) -> Side:
    return Side(inner, WebSocketServerLayer())


def run(loop: SelectorLoop, turns: int = 10) -> None:
    for _ in range(turns):
        loop.run_turn()


def receive(world: World, sock: socket.socket) -> bytes:
    """Return what the loop's side has sent to a socket."""
    got = bytearray()

    def is_here() -> bool:
        try:
            got.extend(sock.recv(65536))
        except BlockingIOError:
            return False
        return True

    world.until(is_here)
    return bytes(got)


# Against another implementation.


def test_an_independent_server_serves_us(world: World) -> None:
    near, sock = world.pair()
    side = client(near)
    other = ServerProtocol()
    other.receive_data(receive(world, sock))
    [request] = other.events_received()
    other.send_response(other.accept(request))  # type: ignore[arg-type]  # it is a request
    other.send_ping(b"?")
    other.send_binary(b"early")
    sock.sendall(b"".join(other.data_to_send()))
    world.until(lambda: side.ready)
    user = Duplex(side.ready[0], b"from us")
    world.until(lambda: user.got == b"early" and user.is_sent)
    side.ready[0].close()
    world.settle()
    other.receive_data(receive(world, sock))
    frames = [
        (event.opcode, event.data) for event in other.events_received() if isinstance(event, Frame)
    ]
    assert sorted(frames[:2]) == [(Opcode.BINARY, b"from us"), (Opcode.PONG, b"?")]
    assert frames[2:] == [(Opcode.CLOSE, b"\x03\xe8")]


def test_an_independent_client_is_served(world: World) -> None:
    near, sock = world.pair()
    side = server(near)
    other = ClientProtocol(parse_uri("ws://frp.test:7000/~!frp"))
    other.send_request(other.connect())
    sock.sendall(b"".join(other.data_to_send()))
    other.receive_data(receive(world, sock))
    assert other.handshake_exc is None
    user = Duplex(side.ready[0], b"from us", shut=True)
    other.send_text(b"from them")
    other.send_close(1000)
    sock.sendall(b"".join(other.data_to_send()))
    world.until(lambda: user.end)
    assert (user.got, user.end) == (b"from them", "eof")
    other.receive_data(receive(world, sock))
    assert other.close_rcvd is not None
    side.ready[0].close()


# The course of a handshake.


def test_nothing_happens_before_a_later_turn(loop: SelectorLoop) -> None:
    for make in (client, server):
        inner = ScriptedEndpoint(loop)
        inner.reset()
        side = make(inner)
        assert not side.is_over
        run(loop)
        [text] = side.failed
        assert text.startswith("websocket: ")
        assert text.endswith(" during the handshake")
        assert inner.acts == ["close"]


def test_a_request_goes_out_as_the_connection_takes_it(
    loop: SelectorLoop, inner: ScriptedEndpoint
) -> None:
    inner.capacity = 10
    side = client(inner)
    run(loop)
    assert inner.got == b"GET /~!frp"
    inner.take()
    run(loop)
    assert inner.got.endswith(b"Sec-WebSocket-Version: 13\r\n\r\n")
    assert inner.wants == "r"
    inner.say(ANSWER[:20], ANSWER[20:] + b"\x82\x05early")
    run(loop)
    user = Duplex(side.ready[0])
    run(loop)
    assert user.got == b"early"


def test_what_comes_behind_a_request_is_not_lost(
    loop: SelectorLoop, inner: ScriptedEndpoint
) -> None:
    client(inner)
    run(loop)
    request, rest = inner.got, b"\x82\x85\0\0\0\0early"
    far = ScriptedEndpoint(loop)
    side = server(far)
    far.say(request[:50], request[50:] + rest)
    run(loop)
    assert far.got == ANSWER
    user = Duplex(side.ready[0])
    run(loop)
    assert user.got == b"early"


def test_each_connection_draws_its_own_key(loop: SelectorLoop) -> None:
    layer = WebSocketClientLayer("frp.test", 7000, FixedEntropy())
    requests = set()
    for _ in range(2):
        inner = ScriptedEndpoint(loop)
        Side(inner, layer)
        run(loop)
        requests.add(inner.got)
    assert len(requests) == 2


def test_an_address_in_brackets_keeps_one_pair(loop: SelectorLoop, inner: ScriptedEndpoint) -> None:
    Side(inner, WebSocketClientLayer("[::1]", 7000, FixedEntropy()))
    run(loop)
    assert b"\r\nHost: [::1]:7000\r\n" in inner.got


# What goes wrong.


def test_a_refused_request_is_answered(loop: SelectorLoop, inner: ScriptedEndpoint) -> None:
    side = server(inner)
    inner.say(b"GET /~!frpx HTTP/1.1\r\n\r\n")
    run(loop)
    assert side.failed == ["websocket: path '/~!frpx'"]
    assert inner.got.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert inner.acts == ["close"]


def test_a_refusal_to_a_lost_peer_is_no_error(loop: SelectorLoop, inner: ScriptedEndpoint) -> None:
    side = server(inner)
    inner.break_writes()
    inner.say(b"nonsense\r\n\r\n")
    run(loop)
    assert len(side.failed) == 1


def test_another_answer_is_told(loop: SelectorLoop, inner: ScriptedEndpoint) -> None:
    side = client(inner)
    inner.say(b"HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\n\r\n")
    run(loop)
    assert side.failed == [
        "websocket: the server answered '502 Bad Gateway' to a request for /~!frp"
    ]
    assert inner.acts == ["close"]


def test_a_peer_that_closes_is_told(loop: SelectorLoop) -> None:
    for make in (client, server):
        inner = ScriptedEndpoint(loop)
        side = make(inner)
        inner.end()
        run(loop)
        assert side.failed == ["websocket: the peer closed during the handshake"]


def test_a_write_that_fails_is_told(loop: SelectorLoop, inner: ScriptedEndpoint) -> None:
    side = client(inner)
    inner.break_writes()
    run(loop)
    assert side.failed == ["websocket: broken pipe during the handshake"]


def test_a_cancelled_handshake_tells_nobody(loop: SelectorLoop, inner: ScriptedEndpoint) -> None:
    side = client(inner)
    run(loop)
    for _ in range(2):
        side.opening.cancel()
    inner.say(ANSWER)
    run(loop)
    assert not side.is_over
    assert inner.acts == ["abort"]


def test_a_bug_during_the_handshake_fails_it(
    loop: SelectorLoop, inner: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = server(inner)

    def fail(self: WebSocketOpening, rest: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(WebSocketOpening, "_succeed", fail)
    client_side = ScriptedEndpoint(loop)
    client(client_side)
    run(loop)
    inner.say(client_side.got)
    run(loop)
    assert side.failed == ["websocket: internal error, see the log"]


# Masks.


def test_masks_need_no_other_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    assert fastest_xor() is xor_mask


def test_a_faster_way_to_mask_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    speedups = pytest.importorskip("websockets.speedups")
    assert fastest_xor() is speedups.apply_mask
    for size in (0, 1, 4, 5, 4097):
        data = bytes(range(256)) * 17
        view = memoryview(data)[3 : 3 + size]
        assert speedups.apply_mask(view, b"\1\2\3\4") == xor_mask(view, b"\1\2\3\4")
