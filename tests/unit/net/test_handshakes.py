from __future__ import annotations

import itertools
from functools import partial

import pytest

from frpd.net.handshakes import LONG, LONG_STEP_SECONDS, RESTS, HandshakeQueue
from frpd.selector_loop import SelectorLoop
from tests.helpers.clock import MockClock


def test_each_step_has_a_turn_of_its_own_in_the_order_of_their_coming(loop: SelectorLoop) -> None:
    queue, made = HandshakeQueue(loop), list[int]()
    for number in range(3):
        queue.add(partial(made.append, number))
    assert made == []
    for number in range(3):
        loop.run_turn()
        assert made == list(range(number + 1))
    loop.run_turn()
    assert len(made) == 3


def test_a_step_may_ask_for_the_next_one(loop: SelectorLoop) -> None:
    queue, made = HandshakeQueue(loop), list[str]()

    def first() -> None:
        made.append("first")
        queue.add(partial(made.append, "again"))

    queue.add(first)
    queue.add(partial(made.append, "other"))
    for _ in range(4):
        loop.run_turn()
    assert made == ["first", "other", "again"]


def test_one_that_fails_does_not_stop_the_others(
    loop: SelectorLoop, caplog: pytest.LogCaptureFixture
) -> None:
    queue, made = HandshakeQueue(loop), list[str]()

    def fail() -> None:
        raise ValueError("a bug")

    queue.add(fail)
    queue.add(partial(made.append, "other"))
    for _ in range(2):
        loop.run_turn()
    assert made == ["other"]
    assert "a bug" in caplog.text


def test_a_long_step_is_followed_by_a_rest(loop: SelectorLoop, clock: MockClock) -> None:
    queue, made, step = HandshakeQueue(loop), list[float](), 2 * LONG_STEP_SECONDS

    def take_long() -> None:
        made.append(clock.now())
        clock.advance(step)

    for _ in range(3):
        queue.add(take_long)
    while len(made) < 3:
        loop.run_turn()
        clock.advance(step / 10)
    for before, after in itertools.pairwise(made):
        assert after - before == pytest.approx(step * (1 + RESTS), abs=step / 4)


def test_it_says_when_no_more_should_be_begun(loop: SelectorLoop) -> None:
    queue = HandshakeQueue(loop)
    for number in range(LONG):
        assert not queue.is_long(), number
        queue.add(lambda: None)
    assert queue.is_long()
    loop.run_turn()
    assert not queue.is_long()
