"""WorkConnPool as plays: visitors come, the client is asked, brings or does not bring."""

from __future__ import annotations

from typing import cast

import pytest

from frpd.errors import LimitError, TransportError
from frpd.net.endpoint import Endpoint
from frpd.server import work_conns as module
from frpd.server.work_conns import SPARE, Waiting, WorkConnPool
from frpd.transports.work import WorkStream
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import World


class Play:
    """A pool, how often it asked, and what its visitors got."""

    def __init__(self, world: World, pool_count: int = 0, wait: float = 10.0) -> None:
        self.world = world
        self.asked = 0
        self.got: list[object] = []
        self.errors: list[TransportError] = []
        self.pool = WorkConnPool(world.loop, self._ask, pool_count=pool_count, wait_seconds=wait)

    def _ask(self) -> None:
        self.asked += 1

    def visitor(self) -> Waiting:
        return self.pool.acquire(lambda work: self.got.append(work.endpoint), self.errors.append)

    def bring(self) -> tuple[ScriptedEndpoint, bool]:
        work = ScriptedEndpoint(self.world.loop)
        return work, self.pool.arrived(WorkStream(cast("Endpoint", work)))


@pytest.fixture
def play(world: World) -> Play:
    return Play(world)


def test_a_visitor_asks_for_one_and_gets_it(play: Play) -> None:
    play.visitor()
    assert (play.asked, play.pool.waiting) == (1, 1)
    work, taken = play.bring()
    assert taken
    assert play.got == [work]
    assert (play.asked, play.pool.waiting, play.pool.ready) == (1, 0, 0)


def test_the_stock_is_filled_once_and_refilled_as_it_is_used(world: World) -> None:
    play = Play(world, pool_count=3)
    play.pool.fill()
    play.pool.fill()
    assert play.asked == 3
    works = [play.bring()[0] for _ in range(3)]
    assert (play.asked, play.pool.ready) == (3, 3)
    play.visitor()
    assert play.got == [works[0]]  # the oldest
    assert (play.asked, play.pool.ready) == (4, 2)


def test_visitors_get_their_turn_in_order_and_are_asked_for_exactly(world: World) -> None:
    play = Play(world, pool_count=1)
    play.pool.fill()
    for _ in range(4):
        play.visitor()
    assert play.asked == 5  # 4 visitors and 1 for the stock
    works = [play.bring()[0] for _ in range(5)]
    assert play.got == works[:4]
    assert (play.asked, play.pool.ready) == (5, 1)


def test_a_request_that_is_not_answered_is_made_again_after_two_seconds(play: Play) -> None:
    play.visitor()
    play.world.advance(1.9)
    assert play.asked == 1
    play.world.advance(0.2)
    assert play.asked == 2
    play.world.advance(2)
    assert play.asked == 3
    play.bring()
    assert len(play.got) == 1
    play.world.advance(20)
    assert (play.asked, play.errors) == (3, [])
    assert play.world.loop.timer_count == 0


def test_arrivals_are_a_sign_that_requests_are_under_way(play: Play) -> None:
    for _ in range(3):
        play.visitor()
    play.world.advance(1.5)
    play.bring()
    play.world.advance(1.5)
    assert play.asked == 3


def test_a_visitor_waits_so_long_and_no_longer(world: World) -> None:
    play = Play(world, wait=1.0)
    play.visitor()
    world.advance(0.5)
    play.visitor()
    world.advance(0.5)
    assert [str(error) for error in play.errors] == ["timeout trying to get work connection"]
    world.advance(0.5)
    assert len(play.errors) == 2
    assert play.pool.waiting == 0
    assert world.loop.timer_count == 0


def test_a_late_work_connection_goes_into_stock(world: World) -> None:
    play = Play(world, wait=1.0)
    play.visitor()
    world.advance(1.0)
    work, taken = play.bring()
    assert taken
    assert play.got == []
    play.visitor()
    assert play.got == [work]


def test_a_visitor_that_was_cancelled_is_passed_over(play: Play) -> None:
    first = play.visitor()
    play.visitor()
    first.cancel()
    first.cancel()
    work, _ = play.bring()
    assert play.got == [work]
    play.world.advance(20)
    assert play.errors == []


def test_the_surplus_is_refused(world: World) -> None:
    play = Play(world, pool_count=2)
    assert all(play.bring()[1] for _ in range(2 + SPARE))
    assert not play.bring()[1]
    assert play.pool.ready == 2 + SPARE


@pytest.mark.parametrize("how", ["end", "reset"])
def test_what_dies_in_stock_is_replaced_and_never_handed_out(world: World, how: str) -> None:
    play = Play(world, pool_count=1)
    play.pool.fill()
    work, _ = play.bring()
    assert play.asked == 1
    getattr(work, how)()
    world.settle()
    assert (play.asked, play.pool.ready) == (2, 0)
    assert work.acts == ["abort"]
    play.visitor()
    assert play.got == []


def test_a_client_that_talks_before_it_is_asked_loses_that_connection(world: World) -> None:
    play = Play(world, pool_count=1)
    work, _ = play.bring()
    work.say(b"hello?")
    world.settle()
    assert play.pool.ready == 0
    assert work.acts == ["abort"]


def test_what_is_handed_out_is_watched_no_more(world: World) -> None:
    play = Play(world, pool_count=1)
    work, _ = play.bring()
    play.visitor()
    work.say(b"payload")
    work.end()
    world.settle()
    assert play.got == [work]
    assert work.read(100) == b"payload"
    assert work.acts == []


def test_close_closes_the_stock_and_fails_who_waits(world: World) -> None:
    play = Play(world, pool_count=1)
    work, _ = play.bring()
    play.visitor()
    play.visitor()
    play.visitor()
    stocked = play.got == [work]
    play.pool.close()
    play.pool.close()
    assert stocked
    assert [str(error) for error in play.errors] == ["the client has gone"] * 2
    assert not play.bring()[1]
    asked = play.asked
    world.advance(20)
    assert play.asked == asked
    assert world.loop.timer_count == 0


def test_who_comes_after_the_close_fails_at_once(play: Play) -> None:
    play.pool.close()
    play.visitor()
    assert [str(error) for error in play.errors] == ["the client has gone"]
    assert play.pool.waiting == 0


def test_close_closes_what_is_ready(world: World) -> None:
    play = Play(world, pool_count=1)
    work, _ = play.bring()
    play.pool.close()
    assert work.acts == ["close"]


def test_visitors_that_wait_are_bounded(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    for _ in range(3):
        play.visitor()
    with pytest.raises(LimitError):
        play.visitor()
    assert play.pool.waiting == 3
