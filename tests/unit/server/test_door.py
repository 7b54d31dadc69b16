"""The door: deadlines and caps of connections that have not proved themselves."""

from __future__ import annotations

import pytest

from frpd.net.pace import Pace
from frpd.server.door import LATE_PER_TURN, Door, DoorLimits, Ticket
from tests.helpers.world import World


class Hall:
    """A door, and who was refused by it."""

    def __init__(self, world: World, *, most: int = 100, most_per_source: int = 100) -> None:
        self.world = world
        self.expected: dict[str | None, int] = {}
        self.refused: list[tuple[str, str]] = []
        self.door = Door(
            world.loop,
            DoorLimits(10, most, most_per_source),
            expected=lambda source: self.expected.get(source, 0),
        )

    def come(self, name: str, source: str = "1.1.1.1") -> Ticket:
        return self.door.admit(source, lambda reason: self.refused.append((name, reason)))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.refused]


@pytest.fixture
def hall(world: World) -> Hall:
    return Hall(world)


def test_who_has_not_logged_in_in_time_is_refused(hall: Hall) -> None:
    hall.come("a")
    hall.world.advance(4)
    hall.come("b")
    hall.world.advance(5.9)
    assert hall.refused == []
    hall.world.advance(0.1)
    assert hall.refused == [("a", "no login within 10 s")]
    assert (hall.door.pending, hall.door.refused_late) == (1, 1)
    hall.world.advance(4)
    assert hall.names == ["a", "b"]
    assert hall.world.loop.timer_count == 0


def test_a_late_crowd_is_sent_away_in_several_turns(hall: Hall) -> None:
    count = 2 * LATE_PER_TURN + 1
    for index in range(count):
        hall.come(f"c{index}")
    hall.world.clock.advance(10)
    for refused in (LATE_PER_TURN, 2 * LATE_PER_TURN, count):
        hall.world.loop.run_turn()
        assert len(hall.refused) == refused
    assert hall.names == [f"c{index}" for index in range(count)]
    assert hall.world.loop.timer_count == 0


def test_only_who_proves_himself_gives_his_place_back(hall: Hall) -> None:
    pace = hall.door.pace = Pace(hall.world.loop.now, places=1)
    for _ in range(3):
        assert pace.wait_seconds() == 0
        pace.take()
        ticket = hall.come("a client")
        hall.door.prove(ticket)
        hall.door.prove(ticket)
    pace.take()
    ticket = hall.come("a stranger")
    hall.door.leave(ticket)
    hall.door.prove(ticket)
    assert pace.wait_seconds() > 0
    assert (hall.door.pending, hall.refused) == (0, [])


def test_who_has_left_is_not_refused(hall: Hall) -> None:
    ticket = hall.come("a")
    hall.door.leave(ticket)
    hall.door.leave(ticket)
    assert hall.door.pending == 0
    hall.world.advance(11)
    assert hall.refused == []
    assert hall.world.loop.timer_count == 0


def test_the_door_works_again_after_it_was_empty(hall: Hall) -> None:
    hall.door.leave(hall.come("a"))
    hall.world.advance(11)
    hall.come("b")
    hall.world.advance(11)
    assert hall.names == ["b"]


def test_a_full_house_pushes_out_the_oldest(world: World) -> None:
    hall = Hall(world, most=3)
    for index in range(5):
        hall.come(f"c{index}", source=f"10.0.0.{index}")
    assert hall.names == ["c0", "c1"]
    assert hall.refused[0][1] == "pushed out by newer connections (3 pending in all)"
    assert (hall.door.pending, hall.door.refused_crowded) == (3, 2)


def test_a_crowded_source_pushes_out_its_own_oldest(world: World) -> None:
    hall = Hall(world, most_per_source=2)
    hall.come("neighbour", source="2.2.2.2")
    for index in range(4):
        hall.come(f"c{index}")
    assert hall.names == ["c0", "c1"]
    assert hall.refused[0][1] == "pushed out by newer connections (2 pending from 1.1.1.1)"
    assert hall.door.pending == 3


def test_one_per_source_still_lets_the_newest_in(world: World) -> None:
    hall = Hall(world, most=1, most_per_source=1)
    hall.come("a")
    hall.come("b")
    hall.come("c", source="2.2.2.2")
    assert hall.names == ["a", "b"]
    assert hall.door.pending == 1


def test_the_books_of_sources_do_not_grow(world: World) -> None:
    hall = Hall(world, most=10)
    for index in range(1000):
        hall.come("c", source=f"10.0.{index // 250}.{index % 250}")
    assert len(hall.door._by_source) == 10
    hall.door.close()
    assert hall.door._by_source == {}


def test_close_refuses_everyone(hall: Hall) -> None:
    hall.come("a")
    hall.come("b")
    hall.door.close()
    hall.door.close()
    assert hall.refused == [("a", "shutting down"), ("b", "shutting down")]
    assert hall.door.pending == 0
    assert hall.world.loop.timer_count == 0


def test_what_we_asked_for_widens_the_caps(world: World) -> None:
    hall = Hall(world, most=3, most_per_source=2)
    hall.expected = {"1.1.1.1": 3, None: 3}
    for index in range(5):
        hall.come(f"c{index}")
    assert hall.names == []
    hall.come("c5")
    assert hall.names == ["c0"]
    hall.come("stranger", source="2.2.2.2")
    hall.come("another", source="2.2.2.2")
    assert hall.names == ["c0", "c1"]


def test_other_limits_hold_for_who_comes_and_nobody_waits_longer_for_them(hall: Hall) -> None:
    hall.come("a")
    hall.door.use(DoorLimits(3, 2, 100))
    hall.come("b")
    hall.world.advance(2)
    hall.door.use(DoorLimits(60, 2, 100))
    hall.come("c")  # one too many, now
    assert hall.names == ["a"]
    hall.world.advance(2)
    assert hall.names == ["a", "b"]
    hall.world.advance(57)
    assert hall.names == ["a", "b"]
    hall.world.advance(2)
    assert hall.refused[-1] == ("c", "no login within 60 s")


def test_less_time_is_less_for_who_waits_too(hall: Hall) -> None:
    hall.come("a")
    hall.door.use(DoorLimits(1, 9, 9))
    hall.world.advance(1.1)
    assert hall.refused == [("a", "no login within 1 s")]
