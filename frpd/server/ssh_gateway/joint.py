"""A visitor's work connection joined to an SSH channel: bytes both ways, ends one by one.

For the room's thread. What is held of a visitor is bounded on all sides: by the socketpair, by
one chunk, and by the windows of the channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import asyncssh

from frpd.server.ssh_gateway.tunnel import Near

CHUNK_BYTES: Final = 64 * 1024
LOOK_SECONDS: Final = 1.0
"""How often a visitor that has ended its direction is looked after: it may have gone for good."""

LOST: Final = (OSError, asyncssh.Error)


class Reader(Protocol):
    """Of asyncio, or of a channel."""

    async def read(self, n: int = -1, /) -> bytes:
        """Return what there is, at most n bytes; b"" at the end."""


class Writer(Protocol):
    """Of asyncio, or of a channel."""

    def write(self, data: bytes, /) -> None:
        """Take it."""

    async def drain(self) -> None:
        """Wait until there is room."""

    def write_eof(self) -> None:
        """End this direction."""

    def close(self) -> None:
        """End both after what was taken."""


async def join(
    near: Near,
    far: tuple[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]],
    may_send: Callable[[], Awaitable[Any]],
) -> None:
    """Carry everything until both directions are over, or one end is gone; both are closed then.

    Args:
        near: the work connection.
        far: the channel.
        may_send: waits until the SSH connection takes more.
    """
    visitor, service = near[1], far[1]
    up = asyncio.ensure_future(_carry(near[0], service, may_send))
    down = asyncio.ensure_future(_carry(far[0], visitor))
    ends = [asyncio.ensure_future(end) for end in (
        _both(up, down), _visitor_gone(up, visitor), _channel_closed(service, down),
    )]  # fmt: skip
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (up, down, *ends):
            task.cancel()
        await asyncio.gather(up, down, *ends, return_exceptions=True)
        for writer in (visitor, service):
            with contextlib.suppress(*LOST):
                writer.close()


async def _carry(
    reader: Reader, writer: Writer, may_send: Callable[[], Awaitable[Any]] | None = None
) -> None:
    while data := await reader.read(CHUNK_BYTES):
        if may_send is not None:
            await may_send()
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(*LOST):  # it may have gone meanwhile; the other direction tells
        writer.write_eof()


async def _both(up: asyncio.Future[None], down: asyncio.Future[None]) -> None:
    with contextlib.suppress(*LOST):
        await asyncio.gather(up, down)


async def _visitor_gone(up: asyncio.Future[None], visitor: asyncio.StreamWriter) -> None:
    """Wait for the end of a work connection that asyncio, which reads no more, does not see."""
    with contextlib.suppress(*LOST):
        await up
    sock: socket.socket = visitor.get_extra_info("socket")
    look = select.poll()
    look.register(sock.fileno(), 0)
    while not look.poll(0):
        await asyncio.sleep(LOOK_SECONDS)


async def _channel_closed(service: asyncssh.SSHWriter[bytes], down: asyncio.Future[None]) -> None:
    with contextlib.suppress(*LOST):
        await service.wait_closed()
        await down
