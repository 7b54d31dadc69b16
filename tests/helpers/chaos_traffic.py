"""Traffic that never stops: visitors of all kinds, each byte checked, in a thread of its own.

A connection may break while something is wrong; what came over it until then must be right.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.helpers.programs import SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOCAL = "127.0.0.1"
SILENT_SECONDS = 15.0
"""So long nothing comes: the visitor gives up, as people do."""
DATAGRAM_SECONDS = 1.0
PAUSE_SECONDS = 0.02
BLOCKS = 4
MAX_BLOCK_BYTES = 40_000
DATAGRAMS = 4
BROKEN = (OSError, EOFError, TimeoutError, ssl.SSLError)


class Wrong(Exception):
    """Bytes came that nobody has sent."""


class Refused(OSError):
    """The server said that it cannot reach the service now."""


class Channel(ABC):
    """One visitor who comes again and again.

    Attributes:
        good: transfers, or parts of a steady one, that were complete.
        broken: those that were not, by what was seen.
        good_since: when the last good one began.
    """

    def __init__(self) -> None:
        self.good = 0
        self.broken: Counter[str] = Counter()
        self.good_since = 0.0

    def moved(self, begun: float) -> None:
        """Note that something begun then has come back whole."""
        self.good += 1
        self.good_since = begun

    def close(self) -> None:  # noqa: B027 - few keep anything
        """Let go of what is kept between transfers."""

    @abstractmethod
    async def transfer(self, traffic: Traffic) -> None:
        """Come once, and leave.

        Raises:
            Wrong: a byte is not what it should be.
            OSError, EOFError: it broke.
        """


class Talk(Channel):
    """A connection to an echo.

    Args:
        port: where.
        steady: it lasts until the traffic pauses.
        connect: a host to ask for by CONNECT.
        tls: a host to ask for by TLS, and whom to trust.
    """

    def __init__(
        self,
        port: int,
        *,
        steady: bool = False,
        connect: str = "",
        tls: tuple[str, ssl.SSLContext] | None = None,
    ) -> None:
        super().__init__()
        self._port = port
        self._steady = steady
        self._connect = connect
        self._host = tls[0] if tls else None
        self._context = tls[1] if tls else None

    async def transfer(self, traffic: Traffic) -> None:
        begun = time.monotonic()
        reader, writer = await _soon(
            asyncio.open_connection(
                LOCAL, self._port, ssl=self._context, server_hostname=self._host
            )
        )
        try:
            if self._connect:
                await self._ask(reader, writer)
            await self._talk(reader, writer, traffic)
            if self._context is None:
                writer.write_eof()
                if await _soon(reader.read(1)):
                    raise Wrong("more came than was sent")
        finally:
            writer.transport.abort()
        if not self._steady:
            self.moved(begun)

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, traffic: Traffic
    ) -> None:
        left = BLOCKS
        while traffic.runs if self._steady else left:
            begun = time.monotonic()
            left -= 1
            await _echo(reader, writer)
            if self._steady:
                self.moved(begun)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = f"{self._connect}:22"
        writer.write(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = await _soon(reader.readuntil(b"\r\n\r\n"))
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise Refused(head)


class Post(Channel):
    """Requests whose body comes back as the answer's."""

    def __init__(self, port: int, host: str) -> None:
        super().__init__()
        self._port, self._host = port, host

    async def transfer(self, traffic: Traffic) -> None:
        begun = time.monotonic()
        reader, writer = await _soon(asyncio.open_connection(LOCAL, self._port))
        try:
            for _ in range(BLOCKS):
                await self._post(reader, writer)
        finally:
            writer.transport.abort()
        self.moved(begun)

    async def _post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = _noise()
        head = f"POST / HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await _soon(reader.readuntil(b"\r\n\r\n"))
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise Refused(answer.partition(b"\r\n")[0])
        _compare(await _exactly(reader, length_of(answer)), body)


class Ask(Channel):
    """Datagrams that come back; some may be lost, none may be another or come twice."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._answered: set[bytes] = set()
        self._open: set[bytes] = set()
        self._sock: socket.socket | None = None  # one for all: each is a session for a minute

    async def transfer(self, traffic: Traffic) -> None:
        begun = time.monotonic()
        if self._sock is None:
            self._sock = socket.socket(type=socket.SOCK_DGRAM)
            self._sock.setblocking(False)
            self._sock.bind((LOCAL, 0))
            self._sock.connect((LOCAL, self._port))
        loop = asyncio.get_running_loop()
        for _ in range(DATAGRAMS):
            question = os.urandom(16 + os.urandom(1)[0] * 4)
            self._open.add(question)
            await loop.sock_sendall(self._sock, question)
            while question in self._open:
                answer = await asyncio.wait_for(
                    loop.sock_recv(self._sock, 65_536), DATAGRAM_SECONDS
                )
                if answer not in self._open:
                    twice = answer in self._answered
                    raise Wrong("an answer came twice" if twice else "nobody asked for that")
                self._open.remove(answer)
                self._answered.add(answer)
        self.moved(begun)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()


class Traffic:
    """Runs channels side by side until ``end``.

    Args:
        channels: by name.

    Attributes:
        runs: whether visitors come; false between pause() and resume().
    """

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self.channels = dict(channels)
        self.runs = True
        self._ended = False
        self._busy = 0
        self._wrong: list[str] = []
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def wait_until_back(self, seconds: float, *, without: Iterable[str] = ()) -> float:
        """Wait until all that begins from now on comes back; return the seconds that took."""
        begun = time.monotonic()
        wanted = {name: one for name, one in self.channels.items() if name not in set(without)}

        def missing() -> dict[str, Counter[str]]:
            return {name: one.broken for name, one in wanted.items() if one.good_since < begun}

        try:
            wait_until(lambda: not missing() or self._wrong, "", seconds)
        except pytest.fail.Exception as error:
            raise AssertionError(f"not back within {seconds:g} s: {missing()}") from error
        self.check()
        return time.monotonic() - begun

    def broken(self, *names: str) -> int:
        """Return how many transfers were not completed, of these channels or of all."""
        chosen = names or tuple(self.channels)
        return sum(self.channels[name].broken.total() for name in chosen)

    def check(self) -> None:
        """Fail if a wrong byte has come."""
        assert not self._wrong, self._wrong

    def pause(self) -> None:
        """Let everybody finish and leave."""
        self.runs = False
        wait_until(lambda: not self._busy, "visitors leave", 2 * SILENT_SECONDS + SECONDS)
        self.check()

    def resume(self) -> None:
        """Go on."""
        self.runs = True

    def end(self) -> None:
        """Stop for good. Idempotent."""
        self.runs = False
        self._ended = True
        self._thread.join(2 * SILENT_SECONDS + SECONDS)
        assert not self._thread.is_alive()
        for channel in self.channels.values():
            channel.close()

    def _run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*(self._repeat(*one) for one in self.channels.items()))
        for _ in range(3):  # what was aborted is closed in one of the next turns
            await asyncio.sleep(0)

    async def _repeat(self, name: str, channel: Channel) -> None:
        while not self._ended:
            if not self.runs:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self._busy += 1
            try:
                await channel.transfer(self)
            except BROKEN as error:
                channel.broken[_kind(error)] += 1
            except Wrong as error:
                self._wrong.append(f"{name}: {error}")
            finally:
                self._busy -= 1
            await asyncio.sleep(PAUSE_SECONDS)


def length_of(head: bytes) -> int:
    """Return the Content-Length of a head."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise Wrong(f"no length: {head!r}")


def _kind(error: BaseException) -> str:
    return "short" if isinstance(error, asyncio.IncompleteReadError) else repr(error)[:160]


def _noise() -> bytes:
    size = 1 + int.from_bytes(os.urandom(3), "big") % MAX_BLOCK_BYTES
    half = os.urandom(size // 2)
    return half + b"a" * (size - len(half))  # some of it compresses


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    block = _noise()
    writer.write(block)
    try:
        answer = await _exactly(reader, len(block))
    except asyncio.IncompleteReadError as error:
        _compare(error.partial, block[: len(error.partial)])
        raise
    _compare(answer, block)


def _compare(came: bytes, sent: bytes) -> None:
    if came != sent:
        pairs = zip(came, sent, strict=False)
        place = next((at for at, (one, two) in enumerate(pairs) if one != two), len(sent))
        raise Wrong(f"other bytes than were sent, from {place} of {len(sent)} on")


async def _exactly(reader: asyncio.StreamReader, count: int) -> bytes:
    return await _soon(reader.readexactly(count))


if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeVar

    _T = TypeVar("_T")


async def _soon(call: Awaitable[_T]) -> _T:
    return await asyncio.wait_for(call, SILENT_SECONDS)


async def echo_posts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve Post: a handler for a Service."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(length_of(head))
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
