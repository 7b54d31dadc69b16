"""The HTTP exchange ahead of a WebSocket: as Go frp has it, strict, and bounded."""

from __future__ import annotations

import base64
import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from frpd.errors import RemoteProtocolError
from frpd.proto.websocket.handshake import (
    MAX_HEAD_BYTES,
    ClientHandshake,
    ServerHandshake,
    accept_value,
)
from tests.unit.proto.websocket.recordings import ALL, Recorded

KEY = bytes(range(16))
REQUEST = ClientHandshake("frp.example", 7000, KEY).request()
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + accept_value(base64.b64encode(KEY)) + b"\r\n\r\n"
)

RECORDED = pytest.mark.parametrize("connection", ALL, ids=range(len(ALL)))


def refused(request: bytes) -> bytes:
    """Return the answer to a request that must be refused."""
    handshake = ServerHandshake()
    with pytest.raises(RemoteProtocolError, match=r"^websocket: "):
        handshake.receive_data(request)
    return handshake.answer


def test_the_accept_value_is_the_one_of_the_rfc() -> None:
    assert accept_value(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


# Against Go frp, as recorded.


@RECORDED
def test_a_request_is_byte_for_byte_go_s(connection: Recorded) -> None:
    host, _, port = connection.field("Host").partition(":")
    key = base64.b64decode(connection.field("Sec-WebSocket-Key"))
    assert ClientHandshake(host, int(port), key).request() == connection.request


@RECORDED
def test_an_answer_is_byte_for_byte_go_s(connection: Recorded) -> None:
    handshake = ServerHandshake()
    assert handshake.receive_data(connection.request + b"\x81\x00") == b"\x81\x00"
    assert handshake.answer == connection.answer


@RECORDED
def test_go_s_answer_is_taken(connection: Recorded) -> None:
    key = base64.b64decode(connection.field("Sec-WebSocket-Key"))
    handshake = ClientHandshake("127.0.0.1", 1, key)
    assert handshake.receive_data(connection.answer + b"rest") == b"rest"


# Against another implementation.


def test_an_independent_client_is_answered() -> None:
    client = ClientProtocol(parse_uri("ws://frp.example:7000/~!frp"))
    client.send_request(client.connect())
    handshake = ServerHandshake()
    assert handshake.receive_data(b"".join(client.data_to_send())) == b""
    client.receive_data(handshake.answer)
    [response] = client.events_received()
    assert isinstance(response, Response)
    assert client.handshake_exc is None


def test_an_independent_server_takes_our_request() -> None:
    server = ServerProtocol()
    server.receive_data(REQUEST)
    [request] = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    handshake = ClientHandshake("frp.example", 7000, KEY)
    assert handshake.receive_data(b"".join(server.data_to_send())) == b""


# The request.


@pytest.mark.parametrize(
    ("host", "port", "named"),
    [
        ("frp.example", 7000, b"frp.example:7000"),
        ("::1", 7000, b"[::1]:7000"),
        ("frp.example", None, b"frp.example"),
    ],
)
def test_the_host_is_named_as_go_names_it(host: str, port: int | None, named: bytes) -> None:
    request = ClientHandshake(host, port, KEY).request()
    assert b"\r\nHost: %b\r\n" % named in request
    assert b"\r\nOrigin: http://%b\r\n" % named in request


def test_path_and_origin_may_be_others() -> None:
    request = ClientHandshake("h", 1, KEY, path="/x", origin="https://o").request()
    assert request.startswith(b"GET /x HTTP/1.1\r\n")
    assert b"\r\nOrigin: https://o\r\n" in request


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"GET ", b"POST ", b"405 "),
        (b"GET ", b"GET", b"400 "),
        (b"/~!frp", b"/~!frpd", b"404 "),
        (b"/~!frp", b"/~!frp\x7f\x00", b"400 "),
        (b"HTTP/1.1", b"HTTP/1.0", b"400 "),
        (b"HTTP/1.1", b"HTTP/2.0", b"400 "),
        (b"Upgrade: websocket", b"Upgrade: h2c", b"400 "),
        (b"Connection: Upgrade", b"Connection: keep-alive", b"400 "),
        (b"Version: 13", b"Version: 8", b"426 "),
        (b"Sec-WebSocket-Version: 13\r\n", b"", b"426 "),
        (b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: x", b"400 "),
        (b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: AAAA,", b"400 "),
        (b"Host: ", b"Host ", b"400 "),
        (b"Host: ", b" Host: ", b"400 "),
        (b"Host: ", b": ", b"400 "),
        (b"Host: ", b"Ho st: ", b"400 "),
        (b"Host: ", b"Host: \x00", b"400 "),
    ],
)
def test_a_request_for_something_else_is_refused(old: bytes, new: bytes, status: bytes) -> None:
    assert old in REQUEST
    answer = refused(REQUEST.replace(old, new, 1))
    assert answer.startswith(b"HTTP/1.1 " + status)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head
    assert b"\r\nConnection: close" in head
    assert (b"Sec-WebSocket-Version: 13" in head) == (status == b"426 ")


def test_a_key_that_comes_twice_is_refused() -> None:
    line = b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
    assert line in REQUEST
    assert refused(REQUEST.replace(line, line * 2)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Origin: http://frp.example:7000\r\n", b""),
        (b"Connection: Upgrade", b"connection:keep-alive, upgrade"),
        (b"Connection: Upgrade", b"Connection: keep-alive\r\nConnection: upgrade"),
        (b"Upgrade: websocket", b"UPGRADE:\tWebSocket "),
        (b"/~!frp", b"/~!frp?x=1"),
        (b"Host: ", b"X-Forwarded-For: 10.0.0.1\r\nSec-WebSocket-Extensions: x\r\nHost: "),
    ],
)
def test_what_a_proxy_on_the_way_changes_does_not_matter(old: bytes, new: bytes) -> None:
    assert old in REQUEST
    handshake = ServerHandshake()
    assert handshake.receive_data(REQUEST.replace(old, new, 1)) == b""
    assert handshake.answer == ANSWER


def test_an_endless_head_is_refused() -> None:
    handshake = ServerHandshake()
    line = b"X: " + b"x" * 100 + b"\r\n"
    handshake.receive_data(REQUEST[:-2])
    for _ in range((MAX_HEAD_BYTES - len(REQUEST)) // len(line)):
        assert handshake.receive_data(line) is None
    with pytest.raises(RemoteProtocolError, match="head of more than 8192 bytes"):
        handshake.receive_data(line * 2)
    assert handshake.answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(("spare", "fits"), [(0, True), (1, False)])
def test_the_longest_head_fits_however_much_comes_behind_it(spare: int, fits: bool) -> None:
    bare = REQUEST[:-2] + b"X: "
    padding = b"x" * (MAX_HEAD_BYTES - len(bare) + spare)
    handshake = ServerHandshake()
    request = bare + padding + b"\r\n\r\n" + bytes(100_000)
    if fits:
        assert handshake.receive_data(request) == bytes(100_000)
    else:
        assert refused(request).startswith(b"HTTP/1.1 431 ")


def test_a_refusal_repeats_little_of_what_was_asked() -> None:
    answer = refused(REQUEST.replace(b"/~!frp", b"/" + b"y" * 5000))
    assert len(answer) < 500


# The answer.


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answered '404 Not Found' to a request for /~!frp"),
        (b"HTTP/1.1 1010 Odd\r\n\r\n", "answered '1010 Odd'"),
        (b"HTTP/1.1\r\n\r\n", "answered ''"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "'SSH-2.0-OpenSSH_9.2' is no HTTP answer"),
        (b"\r\n\r\n", "'' is no HTTP answer"),
        (ANSWER.replace(b"websocket", b"h2c", 1), "switched to something else"),
        (ANSWER.replace(b"Connection: Upgrade\r\n", b""), "switched to something else"),
        (ANSWER.replace(b"Accept: ", b"Accept: x"), "not to our request"),
        (ANSWER.replace(b"Sec-WebSocket-Accept", b"X-Accept"), "not to our request"),
        (
            ANSWER.replace(b"Upgrade: w", b"Sec-WebSocket-Extensions: x\r\nUpgrade: w"),
            "not offered",
        ),
        (ANSWER.replace(b"Upgrade: w", b"Sec-WebSocket-Protocol: x\r\nUpgrade: w"), "not offered"),
        (ANSWER.replace(b"Upgrade: w", b"no colon\r\nUpgrade: w"), "damaged header field"),
        (b"HTTP/1.1 101 " + b"x" * MAX_HEAD_BYTES, "head of more than 8192 bytes"),
        (b"\x00\r\n\r\n", "damaged start line"),
    ],
)
def test_an_answer_that_does_not_agree_is_refused(answer: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match="^websocket: .*" + reason.replace("?", r"\?")):
        ClientHandshake("frp.example", 7000, KEY).receive_data(answer)


def test_a_status_needs_no_words() -> None:
    answer = ANSWER.replace(b"101 Switching Protocols", b"101")
    assert ClientHandshake("frp.example", 7000, KEY).receive_data(answer) == b""


# Any cut, any bytes.


@given(cuts=st.lists(st.integers(0, len(REQUEST) + 5), max_size=8))
def test_heads_survive_any_cut(cuts: list[int]) -> None:
    for stream, side in (
        (REQUEST + b"\x82\x01x", ServerHandshake()),
        (ANSWER + b"\x82\x01x", ClientHandshake("h", 1, KEY)),
    ):
        bounds = [0, *sorted(cuts), len(stream)]
        pieces = [stream[start:end] for start, end in itertools.pairwise(bounds)]
        rest = None
        for index, piece in enumerate(pieces):
            rest = side.receive_data(piece)
            if rest is not None:
                rest += b"".join(pieces[index + 1 :])
                break
        assert rest == b"\x82\x01x"


@given(junk=st.lists(st.binary(max_size=40), max_size=10), at=st.integers(0, len(REQUEST)))
def test_no_bytes_raise_anything_else(junk: list[bytes], at: int) -> None:
    for stream, side in (
        (REQUEST, ServerHandshake()),
        (ANSWER, ClientHandshake("h", 1, KEY)),
    ):
        with contextlib.suppress(RemoteProtocolError):
            for piece in (stream[:at], *junk, b"\r\n\r\n"):
                if side.receive_data(piece) is not None:
                    break
