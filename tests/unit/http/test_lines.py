"""Work connections that a visitor keeps: one for each site, a few in all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from frpd.http.lines import MAX_LINES, Lines
from frpd.http.site import Site, WorkLine
from frpd.metrics.counters import ProxyCounters
from tests.helpers.endpoint import ScriptedEndpoint

if TYPE_CHECKING:
    from tests.helpers.world import World


class Scene:
    """Lines, and sites to have them with."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lines = Lines()

    def line(self) -> tuple[WorkLine, ScriptedEndpoint]:
        """Return a line to a new site."""
        work = ScriptedEndpoint(self.world.loop)
        counters = ProxyCounters()
        site = cast("Site", StandIn(counters=counters))
        return WorkLine(site, work), work


class StandIn:
    """As good as a site; told apart by identity."""

    def __init__(self, counters: ProxyCounters) -> None:
        self.counters = counters


def test_a_line_is_kept_for_its_site_and_given_once(world: World) -> None:
    scene = Scene(world)
    line, work = scene.line()
    scene.lines.keep(line, 5.0)
    other, _ = scene.line()
    assert scene.lines.take(other.site, -math.inf) is None
    assert scene.lines.take(line.site, 6.0) is None  # it has rested for too long
    assert scene.lines.take(line.site, 5.0) is line
    assert scene.lines.take(line.site, -math.inf) is None
    assert work.acts == []


def test_a_second_line_to_a_site_ends_the_first(world: World) -> None:
    scene = Scene(world)
    first, work = scene.line()
    second = WorkLine(first.site, ScriptedEndpoint(world.loop))
    scene.lines.keep(first, 1.0)
    scene.lines.keep(second, 2.0)
    assert work.acts == ["close"]
    assert scene.lines.take(first.site, -math.inf) is second


def test_the_one_used_longest_ago_gives_way(world: World) -> None:
    scene = Scene(world)
    made = [scene.line() for _ in range(MAX_LINES + 1)]
    for line, _ in made:
        scene.lines.keep(line, 1.0)
    assert [work.acts for _, work in made] == [["close"], *[[]] * MAX_LINES]


def test_a_line_that_its_service_ends_is_forgotten(world: World) -> None:
    scene = Scene(world)
    line, work = scene.line()
    scene.lines.keep(line, 1.0)
    work.end()
    world.turn(2)
    assert scene.lines.take(line.site, -math.inf) is None
    assert work.acts == ["abort"]


def test_all_are_dropped_at_the_end(world: World) -> None:
    scene = Scene(world)
    made = [scene.line() for _ in range(2)]
    for line, _ in made:
        scene.lines.keep(line, 1.0)
    scene.lines.drop_all()
    scene.lines.drop_all()
    assert [work.acts for _, work in made] == [["close"], ["close"]]
