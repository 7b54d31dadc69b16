"""Room: calls keep their order, tasks end with it, and so does the thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from frpd.server.ssh_gateway import room as room_module
from frpd.server.ssh_gateway.room import Room
from tests.helpers.world import World


def test_calls_are_made_in_order_by_one_thread(world: World) -> None:
    room = Room(world.loop)
    seen: list[tuple[int, str]] = []
    done = threading.Event()
    for number in range(3):
        room.call(lambda one: seen.append((one, threading.current_thread().name)), number)
    room.call(done.set)
    assert done.wait(15)
    room.close()
    assert [number for number, _ in seen] == [0, 1, 2]
    assert len({name for _, name in seen} - {threading.current_thread().name}) == 1


def test_close_ends_tasks_and_takes_no_more_calls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(world.loop)
    begun = threading.Event()
    ends: list[str] = []

    async def wait() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ends.append("ended")

    monkeypatch.setattr(room_module, "GOODBYE_SECONDS", 0.01)
    room.call(lambda: room.spawn(wait()))
    assert begun.wait(15)
    room.close()
    room.close()
    room.call(ends.append, "late")
    assert ends == ["ended"]


def test_a_call_that_fails_does_not_end_the_room(world: World) -> None:
    room = Room(world.loop)
    done = threading.Event()

    def fail() -> None:
        raise ValueError("a bug")

    room.call(fail)
    room.call(done.set)
    assert done.wait(15)
    room.close()
