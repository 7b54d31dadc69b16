"""A work connection and a channel are joined: bytes, ends one by one, and the end of all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from frpd.server.ssh_gateway import joint
from frpd.server.ssh_gateway.joint import CHUNK_BYTES, join

Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def pair() -> tuple[Stream, Stream]:
    near, far = socket.socketpair()
    return await asyncio.open_unix_connection(sock=near), await asyncio.open_unix_connection(
        sock=far
    )


async def at_once() -> None:
    """There is room."""


class Joined:
    """A visitor and a service, which another pair of sockets stands for, and what joins them."""

    visitor: Stream
    service: Stream

    async def begin(self, may_send: Callable[[], Awaitable[Any]] = at_once) -> None:
        self.visitor, near = await pair()
        self.service, far = await pair()
        self.task = asyncio.ensure_future(join(near, far, may_send))  # type: ignore[arg-type]

    async def over(self) -> None:
        async with asyncio.timeout(15):
            await self.task
        for _, writer in (self.visitor, self.service):
            writer.close()


def test_bytes_and_ends_travel_both_ways() -> None:
    async def play() -> None:
        joined = Joined()
        await joined.begin()
        data = bytes(range(256)) * 4096
        visitor, service = joined.visitor, joined.service
        visitor[1].write(data)
        visitor[1].write_eof()
        assert await service[0].read() == data  # the end has come, and the other way is open
        service[1].write(data[::-1])
        service[1].write_eof()
        assert await visitor[0].read() == data[::-1]
        await joined.over()

    asyncio.run(play())


def test_a_visitor_that_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint, "LOOK_SECONDS", 0.01)

    async def play() -> None:
        joined = Joined()
        await joined.begin()
        joined.visitor[1].write(b"last words")
        joined.visitor[1].close()
        assert await joined.service[0].read() == b"last words"  # the service says nothing
        await joined.over()

    asyncio.run(play())


def test_a_service_that_is_gone_is_noticed() -> None:
    async def play() -> None:
        joined = Joined()
        await joined.begin()
        joined.service[1].write(b"last words")
        joined.service[1].close()
        assert await joined.visitor[0].read() == b"last words"
        joined.visitor[1].write(b"nobody hears it")
        await joined.over()

    asyncio.run(play())


def test_nothing_is_sent_while_the_connection_takes_nothing() -> None:
    async def play() -> None:
        gate = asyncio.Event()
        joined = Joined()
        await joined.begin(gate.wait)
        writer = joined.visitor[1]
        data = bytes(8 * 1024 * 1024)
        writer.write(data)
        await asyncio.sleep(0)
        assert writer.transport.get_write_buffer_size() > len(data) // 2  # it waits where it is
        gate.set()
        writer.write_eof()
        assert await joined.service[0].read() == data
        joined.service[1].write_eof()
        await joined.over()

    asyncio.run(play())
    assert CHUNK_BYTES <= 64 * 1024
