"""A box on the way to a server that relays TCP and keeps connections, and has moods.

It is what firewalls, shapers and proxies do at their worst: no end is seen by anyone, and yet
nothing comes.
"""

from __future__ import annotations

import asyncio
from typing import Final

from tests.helpers.services import Service

MOODS: Final = ("pass", "hold", "drip", "cut", "half", "forget")
"""What it does with what comes.

pass    hands it on
hold    keeps it, and hands it on when the mood is over
drip    hands on one byte each tenth of a second
cut     hands on a part of it, and ends the connection with a reset
half    ends the direction to the server, and goes on with the other one
forget  throws it away, and keeps the connection
"""
DRIP_SECONDS = 0.1
_CHUNK = 16_384
_LOOK_SECONDS = 0.05


class MiddleBox:
    """The box; it listens on loopback of the namespace that it was made in.

    Args:
        port: where it listens.
        server: address and port to relay to.

    Attributes:
        mood: of MOODS; may be set at any time.
    """

    def __init__(self, port: int, server: tuple[str, int]) -> None:
        self.mood = "pass"
        self._server = server
        self._service = Service(self._relay, port)

    @property
    def connections(self) -> int:
        """How many have come so far."""
        return self._service.connections

    def close(self) -> None:
        """Cut all, and stop."""
        self._service.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._server)
        ways = [
            asyncio.ensure_future(self._carry(reader, far_writer, to_server=True)),
            asyncio.ensure_future(self._carry(far_reader, writer, to_server=False)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            far_writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_server: bool
    ) -> None:
        while data := await reader.read(_CHUNK):
            while self.mood == "hold":
                await asyncio.sleep(_LOOK_SECONDS)
            if self.mood == "forget":
                continue
            if self.mood == "cut":
                writer.write(data[: len(data) // 2])
                raise ConnectionAbortedError
            if self.mood == "half" and to_server:
                break
            await self._hand_on(data, writer)
        writer.write_eof()

    async def _hand_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        left = memoryview(data)
        while left and self.mood == "drip":
            writer.write(left[:1])
            left = left[1:]
            await asyncio.sleep(DRIP_SECONDS)
        writer.write(left)
        await writer.drain()
