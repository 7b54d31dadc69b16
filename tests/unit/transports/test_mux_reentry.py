"""Nobody is called back inside its own write."""

from __future__ import annotations

from tests.helpers.world import World
from tests.unit.transports.links import Links


def test_room_is_never_told_inside_a_write(world: World) -> None:
    links = Links(world)
    writer = links.open()[0]
    session, calls = links.near.session, []
    others = [links.open()[0] for _ in range(12)]
    writer.watch(None, lambda: calls.append("on_writable"))
    world.settle()
    calls.clear()
    for stream in others:  # as streams do that are fed from the trunk: nothing is flushed
        if session.output_bytes < 240_000:
            session.send_data(stream.stream_id, bytes(30_000))
    taken = writer.write(bytes(200_000))
    assert 0 < taken < 200_000, "the queue was full"
    assert calls == []
    world.until(lambda: calls, "it is told on a later turn")
