"""A visitor is listened to while its answer is under way."""

from __future__ import annotations

import pytest

from frpd.http.request_end import RequestEnd
from frpd.net.endpoint import Outcome
from frpd.proto.http.body import ChunkedBody, FixedBody, NoBody
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.world import World


class Scene:
    """A request, its visitor, and what is heard of it."""

    def __init__(self, world: World, *, held: bool = False) -> None:
        self.inner = ScriptedEndpoint(world.loop)
        self.end = RequestEnd(world.loop, self.inner, NoBody(), held=held)
        self.heard: list[str] = []
        self.end.on_failure = lambda: self.heard.append("lost")
        self.end.on_left = lambda: self.heard.append("left")
        self.end.on_over = lambda: self.heard.append("over")


def test_what_comes_next_is_kept(world: World) -> None:
    scene = Scene(world)
    scene.end.listen()
    scene.inner.say(b"GET /2")
    world.turn(3)
    assert scene.end.behind == b"GET /2"
    scene.inner.say(b" and more")
    world.turn(3)
    assert scene.end.behind == b"GET /2"  # the rest waits outside
    assert not scene.heard


def test_a_visitor_that_ends_its_direction_may_be_gone(world: World) -> None:
    scene = Scene(world)
    scene.end.listen()
    scene.inner.end()
    world.turn(5)
    assert (scene.heard, scene.end.left, scene.end.lost) == (["left"], True, False)


def test_a_visitor_that_resets_is_gone(world: World) -> None:
    scene = Scene(world)
    scene.end.listen()
    scene.inner.reset("reset by the test")
    world.turn(5)
    assert (scene.heard, scene.end.lost) == (["lost"], True)


def test_the_end_is_told_once_and_held_back_until_it_is_sure(world: World) -> None:
    scene = Scene(world, held=True)
    seen: list[object] = []

    def reader() -> None:
        seen.append(scene.end.read(10))
        scene.end.watch(None, None)

    scene.end.watch(reader, None)
    world.turn(3)
    assert not seen
    scene.end.release()
    world.turn(3)
    assert (seen, scene.heard) == ([Outcome.EOF], ["over"])


@pytest.mark.parametrize("framing", [FixedBody(3), ChunkedBody()])
def test_an_answer_before_the_request_was_read_ends_our_direction(
    world: World, framing: FixedBody
) -> None:
    inner = ScriptedEndpoint(world.loop)
    end = RequestEnd(world.loop, inner, framing)
    end.shutdown_write()
    assert (inner.acts, end.hung_up) == (["end"], True)


def test_an_answer_to_all_of_the_request_leaves_our_direction(world: World) -> None:
    scene = Scene(world)
    scene.end.shutdown_write()
    assert (scene.inner.acts, scene.end.hung_up) == ([], False)
