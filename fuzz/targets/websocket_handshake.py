"""The HTTP exchange ahead of a WebSocket, both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from frpd.errors import RemoteProtocolError
from frpd.proto.websocket.handshake import (
    MAX_HEAD_BYTES,
    ClientHandshake,
    ServerHandshake,
    accept_value,
)
from fuzz.reading import Choices, cut

_KEY = bytes(range(16))


WORDS: Final = (
    *(
        b"GET /~!frp HTTP/1.1 101 Upgrade: websocket Connection: upgrade Sec-WebSocket-Key:"
        b" Sec-WebSocket-Version: 13 Sec-WebSocket-Accept: Sec-WebSocket-Protocol:"
    ).split(),
    b"\r\n",
    b"\r\n\r\n",
)


def one(data: bytes) -> None:
    """Any cut ends alike; a server answers whole heads only, and in its own lines."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    stream = choices.rest()
    if form & 1:
        assert _ask(stream, 0) == _ask(stream, plan)
    else:
        assert _serve(stream, 0) == _serve(stream, plan)


def _serve(stream: bytes, plan: int) -> tuple[object, ...]:
    server = ServerHandshake()
    rest = b""
    done = False
    try:
        for piece in cut(stream, plan):
            if done:
                rest += piece
                continue
            found = server.receive_data(piece)
            if found is not None:
                done, rest = True, found
    except RemoteProtocolError:
        head, _, _ = server.answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 4")
        assert head.count(b"\r\n") <= 6
        return "refused", head.split(b"\r\n")[0]
    if done:
        assert server.answer.startswith(b"HTTP/1.1 101 ")
        assert stream.endswith(rest)
    assert len(server._reader._held) <= max(MAX_HEAD_BYTES, len(stream)) + 4
    return done, rest, server.answer


def _ask(stream: bytes, plan: int) -> tuple[object, ...]:
    client = ClientHandshake("a.example", 80, _KEY)
    assert client.request().endswith(b"\r\n\r\n")
    rest = b""
    done = False
    try:
        for piece in cut(stream, plan):
            if done:
                rest += piece
                continue
            found = client.receive_data(piece)
            if found is not None:
                done, rest = True, found
    except RemoteProtocolError:
        return ("refused",)
    return done, rest


def seeds() -> Iterator[bytes]:
    """Yield a true exchange and some that are refused."""
    client = ClientHandshake("a.example", 80, _KEY)
    request = client.request()
    yield b"\0\0" + request + b"\x82\x80"
    yield b"\x05\0" + request.replace(b"13", b"12")
    yield b"\x05\0" + request.replace(b"GET", b"PUT")
    yield b"\x01\0" + request.replace(b"/~!frp", b"/~!frp?x=\xff")
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    answer += b"Sec-WebSocket-Accept: " + accept_value(client._key) + b"\r\n\r\n"
    yield b"\0\x01" + answer + b"\x82\0"
    yield b"\x05\x01" + answer.replace(b"101", b"404")
