"""Whatever the sizes, stalls and interleavings: every byte arrives once and in order."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frpd.proto.yamux.window import WindowBudget
from frpd.relay.relay import Ending
from tests.helpers.world import World
from tests.unit.transports.splice_tunnel import KIB, MIB, Peer, Tunnel, pattern

SIZES = st.sampled_from([1, 100, 5_000, 40_000, 70_000, 300_000, 1_500_000])
VISITS = 3


class Act(enum.Enum):
    """What happens in one step of a play."""

    SAY = "a peer says something"
    SAY_SEGMENTS = "a peer says many small things"
    STALL = "a peer stops reading"
    READ_SLOWLY = "a peer reads a little in each turn"
    READ = "a peer reads"
    STALL_TRUNK = "the trunk's far end stands still"
    RESUME_TRUNK = "the trunk moves"
    RUN = "time for the loop"
    KILL = "a visitor is reset"


@dataclass(frozen=True)
class Step:
    act: Act
    visit: int
    by_user: bool
    size: int
    turns: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([Act.SAY, *Act]),
        st.integers(0, VISITS - 1),
        st.booleans(),
        SIZES,
        st.sampled_from([0, 1, 5, 40]),
    ),
    min_size=3,
    max_size=25,
)


class Play:
    """Some visits, what each peer has said, and which of them were killed."""

    def __init__(self, world: World, tunnel: Tunnel) -> None:
        self.world = world
        self.tunnel = tunnel
        self.visits = [tunnel.visit() for _ in range(VISITS)]
        self.said: dict[Peer, bytearray] = {
            peer: bytearray() for visit in self.visits for peer in (visit.user, visit.service)
        }
        self.killed: set[int] = set()

    def run(self, step: Step) -> None:
        visit = self.visits[step.visit]
        peer = visit.user if step.by_user else visit.service
        if step.act is Act.KILL:
            if step.visit not in self.killed and step.visit == 0:
                self.killed.add(step.visit)
                visit.user.reset()
        elif step.visit not in self.killed:
            self._act(step, peer)
        self.world.turn(step.turns)

    def _act(self, step: Step, peer: Peer) -> None:
        if step.act is Act.SAY:
            self._say(peer, step.size)
        elif step.act is Act.SAY_SEGMENTS:
            for _ in range(min(step.size, 60)):
                self._say(peer, 37)
        elif step.act in {Act.STALL, Act.READ, Act.READ_SLOWLY}:
            peer.reads = step.act is not Act.STALL
            peer.most_read = 2_000 if step.act is Act.READ_SLOWLY else MIB
        elif step.act is Act.STALL_TRUNK and self.tunnel.mux:
            self.tunnel.stall_trunk()
        elif step.act is Act.RESUME_TRUNK and self.tunnel.mux:
            self.tunnel.resume_trunk()

    def _say(self, peer: Peer, size: int) -> None:
        data = pattern(size, len(self.said[peer]) * 7)
        self.said[peer] += data
        peer.say(data)

    def finish(self) -> None:
        """Let everything arrive, and every connection end."""
        if self.tunnel.mux:
            self.tunnel.resume_trunk()
        for peer in self.said:
            peer.reads, peer.most_read = True, MIB
            peer.say_no_more()
        for visit in self.visits:
            self.world.until(lambda visit=visit: visit.is_over)  # type: ignore[misc]
        self.world.settle()

    def check(self) -> None:
        for number, visit in enumerate(self.visits):
            to_service, to_user = self.said[visit.user], self.said[visit.service]
            if number in self.killed:
                assert to_service.startswith(visit.service.got)
                assert to_user.startswith(visit.user.got)
                continue
            assert visit.service.got == to_service
            assert visit.user.got == to_user
            assert [result.ending for result in visit.results] == [Ending.CLEAN] * 2
            assert {(result.a_to_b, result.b_to_a) for result in visit.results} == {
                (len(to_service), len(to_user)),
                (len(to_user), len(to_service)),
            } or len(to_service) == len(to_user)
        assert self.tunnel.pipes_are_home
        assert self.tunnel.closed == []


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.booleans(),
    st.sampled_from([64 * KIB, MIB]),
    st.sampled_from([0, MIB, 8 * MIB]),
    st.booleans(),
    STEPS,
)
def test_all_bytes_arrive_once_and_in_order(
    mux: bool, pipe_bytes: int, budget: int, grows: bool, steps: list[Step]
) -> None:
    world = World()
    windows = WindowBudget(8 * MIB, MIB) if grows else None
    tunnel = Tunnel(world, mux=mux, pipe_bytes=pipe_bytes, budget_bytes=budget, windows=windows)
    play = Play(world, tunnel)
    for step in steps:
        play.run(step)
    play.finish()
    play.check()
    tunnel.close()
    world.stack.close()
    world.close()
