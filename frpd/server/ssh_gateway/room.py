"""Room: asyncio in one thread of its own, because the library for SSH lives there.

It is no second reactor for frps: nothing of frps runs in it but what speaks SSH.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVarTuple, Unpack

from frpd.log import get_logger
from frpd.selector_loop import SelectorLoop
from frpd.workers import WorkerPool

GOODBYE_SECONDS: Final = 1.5
"""For tasks that come to their end by themselves."""
CLOSE_SECONDS: Final = 2.5
"""How long close() waits for the thread, at most."""

_Args = TypeVarTuple("_Args")

_log = get_logger("frpd.server.ssh_gateway")


class Room:
    """Runs calls and tasks in its thread. For the reactor's thread, but for spawn().

    Args:
        loop: the reactor.
    """

    def __init__(self, loop: SelectorLoop) -> None:
        self._aio = asyncio.new_event_loop()
        self._aio.set_exception_handler(_tell)
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool = WorkerPool(loop, threads=1)
        self._pool.submit(self._run, lambda _: None, _failed)
        self._closed = False

    def call(self, fn: Callable[[Unpack[_Args]], object], *args: *_Args) -> None:
        """Have the thread call ``fn(*args)``; calls keep their order, and end with close()."""
        if not self._closed:
            self._aio.call_soon_threadsafe(fn, *args)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task, and keep it; in the room's thread only."""
        task = self._aio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """Let tasks come to their end, for a while, and end the thread. Idempotent."""
        if not self._closed:
            self._closed = True
            self._aio.call_soon_threadsafe(self._aio.stop)
            self._pool.close(CLOSE_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._aio)
        try:
            self._aio.run_forever()
            self._aio.run_until_complete(self._end())
        finally:
            asyncio.set_event_loop(None)
            self._aio.close()

    async def _end(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GOODBYE_SECONDS)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close their sockets a turn later


def _failed(error: Exception) -> None:
    _log.error("ssh gateway: its thread has ended: %r", error)


def _tell(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _log.error("ssh gateway: %s: %r", context["message"], context.get("exception"))
