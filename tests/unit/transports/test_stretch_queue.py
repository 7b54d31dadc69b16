"""StretchQueue: one secret at a time, and first whoever is waited for."""

from __future__ import annotations

import pytest

from frpd.transports.stretch_queue import StretchQueue
from tests.helpers.seal import cheap_stretch, quick_stretch
from tests.helpers.world import World

__all__ = ["cheap_stretch"]


def test_one_is_in_work_at_a_time_and_all_are_done(world: World) -> None:
    queue = StretchQueue(world.pool)
    secrets = [queue.add(text) for text in "abc"]
    assert [secret.is_pending for secret in secrets] == [True] * 3
    assert [secret._job is not None for secret in secrets] == [True, False, False]
    world.until(lambda: not any(secret.is_pending for secret in secrets))
    assert [secret.value for secret in secrets] == [quick_stretch(text) for text in "abc"]


def test_who_is_waited_for_is_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def note(text: str) -> bytes:
        order.append(text)
        return quick_stretch(text)

    monkeypatch.setattr("frpd.proto.seal_keys.stretch", note)
    queue = StretchQueue(world.pool)
    secrets = {text: queue.add(text) for text in "abcd"}
    called: list[str] = []
    secrets["d"].when_ready(lambda: called.append("d"))
    world.until(lambda: not secrets["c"].is_pending)
    assert (order, called) == (["a", "d", "b", "c"], ["d"])
    secrets["a"].when_ready(lambda: called.append("a"))
    assert called == ["d", "a"]


def test_who_waits_for_one_that_nobody_wants_is_told(world: World) -> None:
    queue = StretchQueue(world.pool)
    first, second = queue.add("a"), queue.add("b")
    called: list[bytes | None] = []
    second.when_ready(lambda: called.append(second.value))
    second.give_up()
    assert (called, second.is_worth_keeping) == ([None], False)
    world.until(lambda: not first.is_pending)
    first.give_up()
    assert first.is_worth_keeping
    assert queue._in_work is None


def test_a_pool_that_takes_nothing_ends_the_queue(world: World) -> None:
    queue = StretchQueue(world.pool)
    first, second = queue.add("a"), queue.add("b")
    called: list[int] = []
    second.when_ready(lambda: called.append(1))
    world.pool.close()
    first.close()
    assert (called, second.is_pending, second.value) == ([1], False, None)


def test_a_closed_queue_begins_nothing(world: World) -> None:
    queue = StretchQueue(world.pool)
    first, second = queue.add("a"), queue.add("b")
    queue.close()
    first.close()
    assert second._job is None
