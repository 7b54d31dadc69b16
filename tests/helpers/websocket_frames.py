"""WebSocket frames (RFC 6455), only as much as an echo and its visitor need."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    Frame = tuple[int, bytes]

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIN, _MASK = 0x80, 0x80


def accept_key(key: str) -> str:
    """Return the answer to a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def encode_frame(opcode: int, payload: bytes, *, masked: bool, final: bool = True) -> bytes:
    """Return a frame, by default one that is a whole message; visitors mask theirs."""
    size, flag = len(payload), _MASK if masked else 0
    first = opcode | (_FIN if final else 0)
    if size < 126:
        head = struct.pack(">BB", first, flag | size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", first, flag | 126, size)
    else:
        head = struct.pack(">BBQ", first, flag | 127, size)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + _mask(payload, key)


def _mask(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Return a visitor's next frame, and whether it ends a message."""
    first, second = await reader.readexactly(2)
    assert second & _MASK, "a visitor must mask"
    size = second & 127
    if size == 126:
        (size,) = struct.unpack(">H", await reader.readexactly(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", await reader.readexactly(8))
    key = await reader.readexactly(4)
    return first & 15, _mask(await reader.readexactly(size), key), bool(first & _FIN)


class WebSocketVisitor:
    """A visitor of an echo by WebSocket.

    Args:
        sock: connected; closed with the visitor.
        host: what to ask for.
        target: where the echo is.
    """

    def __init__(self, sock: socket.socket, host: str, target: str = "/ws") -> None:
        self._sock = sock
        self._file = sock.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket"
            f"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        status = self._file.readline()
        assert status.split()[1:2] == [b"101"], status
        fields = b"".join(iter(self._file.readline, b"\r\n")).decode().lower()
        assert f"sec-websocket-accept: {accept_key(key).lower()}" in fields, fields

    def __enter__(self) -> WebSocketVisitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._sock.close()

    def send(self, payload: bytes, opcode: int = BINARY) -> None:
        self._sock.sendall(encode_frame(opcode, payload, masked=True))

    def receive(self) -> Frame:
        """Return what comes next: opcode and payload."""
        first, second = self._read(2)
        assert not second & _MASK, "a server must not mask"
        size = second & 127
        if size == 126:
            (size,) = struct.unpack(">H", self._read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._read(8))
        return first & 15, self._read(size)

    def echo(self, payload: bytes, opcode: int = BINARY) -> bytes:
        """Send a message; return the one that comes back."""
        self.send(payload, opcode)
        got, answer = self.receive()
        assert got == opcode
        return answer

    def say_goodbye(self) -> None:
        """Close as the protocol wants it: the peer's close and its end must come."""
        self.send(struct.pack(">H", 1000), CLOSE)
        assert self.receive() == (CLOSE, struct.pack(">H", 1000))
        assert self._file.read(1) == b"", "the end follows the close"

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        assert len(data) == size, f"the end came {size - len(data)} bytes too early"
        return data
