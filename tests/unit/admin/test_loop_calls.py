"""frpd.admin.loop_calls: another thread asks the loop and waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from frpd.admin import loop_calls
from frpd.admin.loop_calls import LoopBusyError, LoopCalls
from frpd.errors import AuthError
from tests.helpers.world import World


class Asking:
    """A thread that asks, and what came of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error

    @property
    def over(self) -> bool:
        return not self.thread.is_alive()


def test_what_the_loop_returns_comes_back(world: World) -> None:
    calls = LoopCalls(world.loop)
    mine = threading.get_ident()
    asking = Asking(lambda: calls.ask(threading.get_ident))
    world.until(lambda: asking.over)
    assert asking.result == mine


def test_what_it_raises_comes_back(world: World) -> None:
    calls = LoopCalls(world.loop)

    def fail() -> None:
        raise AuthError("no")

    asking = Asking(lambda: calls.ask(fail))
    world.until(lambda: asking.over)
    assert isinstance(asking.error, AuthError)


def test_an_answer_may_come_on_a_later_turn(world: World) -> None:
    calls = LoopCalls(world.loop)
    given: list[Callable[[str], None]] = []
    asking = Asking(lambda: calls.ask_for(given.append))
    world.until(lambda: given)
    assert not asking.over
    given[0]("late")
    world.until(lambda: asking.over)
    assert asking.result == "late"


def test_who_waits_too_long_gives_up_and_it_is_not_done_any_more(world: World) -> None:
    calls = LoopCalls(world.loop, limit_seconds=0.001)
    done: list[int] = []
    with pytest.raises(LoopBusyError, match=r"no answer within 0\.001 s"):
        calls.ask(lambda: done.append(1))  # on the loop's own thread nobody can answer
    world.settle()
    assert done == []


def test_whoever_waits_when_the_loop_ends_hears_so_at_once(world: World) -> None:
    calls = LoopCalls(world.loop)
    asked = threading.Event()

    def begin(_done: Callable[[str], None]) -> None:
        asked.set()

    asking = Asking(lambda: calls.ask_for(begin))
    world.until(asked.is_set)
    calls.close()
    calls.close()
    world.until(lambda: asking.over)
    assert isinstance(asking.error, LoopBusyError)
    with pytest.raises(LoopBusyError, match="is stopping"):
        calls.ask(lambda: None)


def test_an_answer_after_the_end_changes_nothing(world: World) -> None:
    calls = LoopCalls(world.loop)
    given: list[Callable[[str], None]] = []
    asking = Asking(lambda: calls.ask_for(given.append))
    world.until(lambda: given)
    given[0]("first")
    calls.close()
    world.until(lambda: asking.over)
    assert asking.result == "first"


def test_steps_leave_the_loop_time_for_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_calls, "SLICE_SECONDS", 0.0)
    calls = LoopCalls(world.loop)
    turns: list[int] = []

    def steps() -> Generator[None, None, str]:
        for _ in range(3):
            turns.append(world.loop.turns)
            yield
        return "done"

    asking = Asking(lambda: calls.ask_steps(steps))
    world.until(lambda: asking.over)
    assert asking.result == "done"
    assert turns[0] < turns[1] < turns[2]


def test_what_a_step_raises_comes_back(world: World) -> None:
    calls = LoopCalls(world.loop)

    def steps() -> Generator[None, None, str]:
        yield
        raise AuthError("no")

    asking = Asking(lambda: calls.ask_steps(steps))
    world.until(lambda: asking.over)
    assert isinstance(asking.error, AuthError)
