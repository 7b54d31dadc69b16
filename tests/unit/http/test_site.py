"""A work connection between two exchanges."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from frpd.http.site import Site, WorkLine
from frpd.metrics.counters import ProxyCounters
from tests.helpers.endpoint import ScriptedEndpoint

if TYPE_CHECKING:
    from tests.helpers.world import World


class Scene:
    """A line that rests."""

    def __init__(self, world: World) -> None:
        self.counters = ProxyCounters()
        self.work = ScriptedEndpoint(world.loop)
        self.gone: list[WorkLine] = []
        site = cast("Site", SimpleNamespace(counters=self.counters))
        self.line = WorkLine(site, self.work)
        assert not self.line.is_used
        self.line.rest(5.0, self.gone.append)
        world.turn(2)


def test_it_rests_until_it_is_used(world: World) -> None:
    scene = Scene(world)
    assert (scene.line.is_used, scene.line.since, scene.gone) == (True, 5.0, [])
    assert scene.counters.connections_open == 1


def test_whatever_the_service_says_meanwhile_ends_it(world: World) -> None:
    scene = Scene(world)
    scene.work.say(b"x")
    world.turn(2)
    assert scene.gone == [scene.line]


def test_an_end_or_a_loss_ends_it(world: World) -> None:
    ended, lost = Scene(world), Scene(world)
    ended.work.end()
    lost.work.reset("by the test")
    world.turn(2)
    assert (ended.gone, lost.gone) == ([ended.line], [lost.line])


def test_dropping_is_counted_and_told_to_nobody(world: World) -> None:
    clean, broken = Scene(world), Scene(world)
    clean.line.drop(clean=True)
    broken.line.drop()
    assert (clean.work.acts, broken.work.acts) == (["close"], ["abort"])
    assert clean.counters.connections_open == broken.counters.connections_open == 0
    assert not clean.gone
