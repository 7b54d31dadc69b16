"""Whatever the sizes of chunks, rooms, writes and stalls: nothing is lost, doubled or reordered."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.relay.relay import Ending, RelayResult
from frpd.selector_loop import SelectorLoop
from tests.helpers.clock import MockClock
from tests.helpers.endpoint import ScriptedEndpoint
from tests.unit.relay.plays import Play

SIZES = st.one_of(st.integers(1, 50), st.sampled_from([65_536, 131_072, 131_073, 300_000]))


@dataclass
class Side:
    """What one side says, and how it takes what it is told."""

    chunks: list[bytes]
    rooms: list[int]
    write_sizes: list[int]
    stalls: bool
    tells_room: bool

    def set_up(self, endpoint: ScriptedEndpoint) -> None:
        # A positive size at the end of each round: a sink that never takes a byte is no sink.
        endpoint.rooms = itertools.cycle([*self.rooms, 262_144])
        endpoint.write_sizes = itertools.cycle([*self.write_sizes, 1 << 30])
        endpoint.capacity = 0 if self.stalls else 1 << 30
        endpoint.tells_room = self.tells_room


@st.composite
def sides(draw: st.DrawFn) -> Side:
    sizes = draw(st.lists(SIZES, max_size=6))
    whole = bytes(index * 31 % 251 for index in range(sum(sizes)))
    cuts = [0, *itertools.accumulate(sizes)]
    return Side(
        [whole[start:end] for start, end in itertools.pairwise(cuts)],
        draw(st.lists(st.sampled_from([0, 1, 7, 1000, 65_536, 262_144]), max_size=4)),
        draw(st.lists(st.sampled_from([0, 1, 100, 65_536]), max_size=4)),
        draw(st.booleans()),
        draw(st.booleans()),
    )


@settings(max_examples=40)
@given(sides(), sides(), st.booleans())
def test_all_bytes_arrive_in_order_and_are_counted(
    a: Side,
    b: Side,
    a_ends_first: bool,
) -> None:
    clock = MockClock()
    loop = SelectorLoop(clock)
    play = Play(loop, clock)
    a.set_up(play.a)
    b.set_up(play.b)
    for one, other in itertools.zip_longest(a.chunks, b.chunks, fillvalue=b""):
        play.a.say(one)
        play.b.say(other)
        play.run(2)
    (play.a if a_ends_first else play.b).end()
    play.run(5)
    (play.b if a_ends_first else play.a).end()
    for _ in range(20_000):
        if play.results:
            break
        play.a.take(40_000)
        play.b.take(40_000)
        play.run(1)
    loop.close()
    sent, answered = b"".join(a.chunks), b"".join(b.chunks)
    assert play.b.got == sent
    assert play.a.got == answered
    assert play.results == [RelayResult(len(sent), len(answered), Ending.CLEAN, "")]
    # Whose words were delivered last sees only the close, which says as much.
    assert sorted((play.a.acts, play.b.acts)) == [["close"], ["end", "close"]]
