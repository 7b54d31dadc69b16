"""Web services to expose: a mirror that tells what it was asked, and some with bad manners."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass

from tests.helpers.services import CHUNK
from tests.helpers.websocket_frames import (
    CLOSE,
    PING,
    PONG,
    accept_key,
    encode_frame,
    read_frame,
)

EVENTS = 5
CURT_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncurt"
OLD_PAGE = b"<p>from the last century</p>\n" * 1000


@dataclass(slots=True)
class Asked:
    """The head of a request."""

    method: str
    target: str
    version: str
    fields: list[tuple[str, str]]

    def first(self, name: str) -> str:
        """Return the first value of a header field, or nothing."""
        return next((value for key, value in self.fields if key.lower() == name), "")


async def read_asked(reader: asyncio.StreamReader) -> Asked:
    """Read the head of the next request."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, version = lines[0].split(" ")
    pairs = [line.partition(":")[::2] for line in lines[1:-2]]
    return Asked(method, target, version, [(name, value.strip()) for name, value in pairs])


async def read_body(
    asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[int, str]:
    """Read the body of a request; return its length and checksum."""
    if asked.first("expect").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    size, digest = 0, hashlib.sha256()
    chunked = asked.first("transfer-encoding").lower() == "chunked"
    while True:
        left = (
            int((await reader.readline()).partition(b";")[0], 16)
            if chunked
            else int(asked.first("content-length") or 0)
        )
        end = not left or not chunked
        while left:
            data = await reader.read(min(left, CHUNK))
            if not data:
                raise EOFError
            size, left = size + len(data), left - len(data)
            digest.update(data)
        if end:
            break
        assert await reader.readline() == b"\r\n"
    while chunked and await reader.readline() != b"\r\n":
        pass  # trailers
    return size, digest.hexdigest()


def answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    """Return a whole answer."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


class Mirror:
    """A web service that answers with what it was asked, by JSON; and some paths of its own.

    ``/ws`` is an echo by WebSocket, so is CONNECT by plain bytes. ``/events/NAME`` says one
    event at once and one more for each ``/tick/NAME``. ``/chunks`` answers in chunks.

    Args:
        name: what it calls itself.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._ticks: dict[str, asyncio.Queue[None]] = {}
        self._connections = 0
        self.reports: list[str] = []  # what was asked for below /report/

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self._connections += 1
        connection, number, ends = self._connections, 0, False
        while not ends:
            asked, number = await read_asked(reader), number + 1
            if asked.method == "CONNECT" or asked.first("upgrade").lower() == "websocket":
                await self._plain(asked, reader, writer)
                return
            size, digest = await read_body(asked, reader, writer)
            ends = asked.version == "HTTP/1.0" or asked.first("connection").lower() == "close"
            await self._answer(
                asked,
                writer,
                {"connection": connection, "number": number, "size": size, "sha256": digest},
            )
            await writer.drain()

    async def _answer(
        self, asked: Asked, writer: asyncio.StreamWriter, facts: dict[str, object]
    ) -> None:
        kind, _, name = asked.target.removeprefix("/").partition("/")
        if kind == "events":
            await self._say_events(name, writer)
            return
        if kind == "chunks":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"5\r\nfirst\r\n6;note=1\r\nsecond\r\n0\r\nX-Sum: 11\r\n\r\n")
            return
        if kind == "report":
            self.reports.append(name)
        if kind == "tick":
            self._queue(name).put_nowait(None)
        facts |= {
            "name": self._name,
            "method": asked.method,
            "target": asked.target,
            "version": asked.version,
            "fields": asked.fields,
        }
        whole = answer(
            json.dumps(facts).encode(),
            "Content-Type: application/json",
            "Access-Control-Allow-Origin: *",
            "X-Odd-Header:  kept as it is",
            "Set-Cookie: a=1",
            "Set-Cookie: b=2",
        )
        writer.write(whole[: whole.index(b"\r\n\r\n") + 4] if asked.method == "HEAD" else whole)

    def _queue(self, name: str) -> asyncio.Queue[None]:
        return self._ticks.setdefault(name, asyncio.Queue())

    async def _say_events(self, name: str, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
            b"Access-Control-Allow-Origin: *\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(EVENTS):
            event = f"data: {number}\n\n".encode()
            writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            await writer.drain()
            if number < EVENTS - 1:
                await self._queue(name).get()
        writer.write(b"0\r\n\r\n")

    async def _plain(
        self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Leave HTTP: echo frames of WebSocket, or plain bytes after CONNECT."""
        if asked.method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
            return
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: "
            + accept_key(asked.first("sec-websocket-key")).encode()
            + b"\r\n\r\n"
        )
        opcode = 0
        while opcode != CLOSE:
            opcode, payload, final = await read_frame(reader)
            back = PONG if opcode == PING else opcode
            writer.write(encode_frame(back, payload, masked=False, final=final))
            await writer.drain()


async def serve_old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak HTTP/1.0 only: the end of the connection is the end of the page."""
    await read_asked(reader)
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + OLD_PAGE)
    await writer.drain()


class Mute:
    """A service that takes whatever comes, and never answers."""

    def __init__(self) -> None:
        self.waiting = 0  # how many wait for an answer now

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        del writer
        self.waiting += 1
        try:
            while await reader.read(CHUNK):
                pass
        finally:
            self.waiting -= 1


async def shut_the_door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close at once."""
    del reader, writer


async def serve_curtly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request as if more were welcome, and close."""
    await read_asked(reader)
    writer.write(CURT_ANSWER)
    await writer.drain()
