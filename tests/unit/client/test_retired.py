"""RetiredServers: closed when nobody is left whom they serve, not before."""

from __future__ import annotations

import pytest

from frpd.client.retired import LOOK_SECONDS, RetiredServers
from frpd.metrics.counters import ProxyCounters
from frpd.proto.message.types import StartWorkConn
from frpd.transports.work import WorkStream
from tests.helpers.world import World


class Busy:
    """Satisfies ServesWork; ``visitors`` are there from the start."""

    def __init__(self, visitors: int) -> None:
        self.counters = ProxyCounters(connections_open=visitors)
        self.retired = self.closed = 0

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        pytest.fail("no work is expected")

    def retire(self) -> None:
        self.retired += 1

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def retired(world: World) -> RetiredServers:
    made = RetiredServers(world.loop)
    world.owners.callback(made.close_all)
    return made


def test_who_serves_nobody_is_closed_at_once(world: World, retired: RetiredServers) -> None:
    idle = Busy(0)
    retired.add("web", idle)
    assert idle.closed == 1
    assert len(retired) == 0
    assert world.loop.timer_count == 0


def test_others_are_closed_when_their_last_visitor_has_left(
    world: World, retired: RetiredServers
) -> None:
    first, second = Busy(2), Busy(1)
    retired.add("web", first)
    retired.add("web", second)
    assert (first.retired, second.retired) == (1, 1)
    first.counters.closed(0, 0)
    second.counters.closed(0, 0)
    world.advance(LOOK_SECONDS)
    assert (first.closed, second.closed) == (0, 1)
    first.counters.closed(0, 0)
    world.advance(LOOK_SECONDS)
    assert (first.closed, second.closed) == (1, 1)
    assert len(retired) == 0
    assert world.loop.timer_count == 0


def test_those_of_a_removed_proxy_are_closed_whoever_is_there(
    world: World, retired: RetiredServers
) -> None:
    mine, other = Busy(1), Busy(1)
    retired.add("web", mine)
    retired.add("ssh", other)
    retired.close("web")
    retired.close("nobody")
    assert (mine.closed, other.closed) == (1, 0)
    assert len(retired) == 1


def test_closing_all_leaves_no_timer(world: World, retired: RetiredServers) -> None:
    busy = Busy(1)
    retired.add("web", busy)
    retired.close_all()
    retired.close_all()
    assert busy.closed == 1
    assert world.loop.timer_count == 0
