"""Chaos of processes: ends are killed, stopped and restarted while all types carry traffic.

Every byte is checked all the time. After each fault everything is back within a bound, and after
many of a kind nobody holds more than after the first.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.helpers.chaos import BACK_SECONDS, ENDS, HOLE_SECONDS, Chaos, chaos
from tests.helpers.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.stage import Stage

    Record = Callable[[str, object], None]

# Of connections that our own visitors give up halfway asyncio leaves some to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

ROUNDS = 5
VICTIMS = pytest.mark.parametrize(
    "victims", [("frps",), ("mux",), ("direct",), ENDS], ids=["frps", "mux", "direct", "all"]
)
HEARTBEATS = {"heartbeat_interval": 1, "heartbeat_timeout": 3}
OF_DATAGRAMS_AND_HOLES = ("udp", "udp-direct", "sudp", "xtcp")


def repeat(world: Chaos, fault: Callable[[], object], record: Record, rounds: int) -> None:
    """Make the fault again and again; each time everything but holes has to be back soon."""
    seconds, first = [], None
    for _ in range(rounds):
        # Each round at a moment of its own in the traffic.
        threading.Event().wait(os.urandom(1)[0] / 1024)
        fault()
        seconds.append(round(world.traffic.wait_until_back(BACK_SECONDS, without=["xtcp"]), 1))
        first = first or world.rest()
    assert first is not None
    holes = round(world.traffic.wait_until_back(HOLE_SECONDS), 1)
    record("seconds_until_back", {"each": seconds, "holes after the last": holes})
    record("grown", world.check_leaks(first))


@pytest.mark.timeout(240)
def test_killed_ends_are_soon_back_and_no_byte_is_wrong(
    stage: Stage, record_property: Record
) -> None:
    with chaos(stage) as world:
        for victim in ("frps", "direct"):
            world.kill(victim)
            seconds = world.traffic.wait_until_back(BACK_SECONDS, without=["xtcp"])
            record_property(f"seconds_after_{victim}", round(seconds, 1))


@pytest.mark.full
@pytest.mark.timeout(600)
@VICTIMS
def test_kills_leave_nothing_behind(
    stage: Stage, victims: tuple[str, ...], record_property: Record
) -> None:
    with chaos(stage) as world:
        repeat(world, lambda: world.kill(*victims), record_property, ROUNDS)


@pytest.mark.full
@pytest.mark.timeout(600)
@VICTIMS
def test_terminations_and_restarts_leave_nothing_behind(
    stage: Stage, victims: tuple[str, ...], record_property: Record
) -> None:
    def restart() -> None:
        world.signal(signal.SIGTERM, *victims)
        for victim in victims:
            assert world.programs[victim].wait() == 0
        for victim in victims:
            world.start(victim)

    with chaos(stage) as world:
        repeat(world, restart, record_property, ROUNDS)


@pytest.mark.full
@pytest.mark.timeout(600)
@VICTIMS
def test_a_short_stop_breaks_no_connection(
    stage: Stage, victims: tuple[str, ...], record_property: Record
) -> None:
    def stop() -> None:
        world.signal(signal.SIGSTOP, *victims)
        threading.Event().wait(2.0)
        world.signal(signal.SIGCONT, *victims)

    with chaos(stage) as world:
        names = set(world.traffic.channels) - set(OF_DATAGRAMS_AND_HOLES)
        before = world.traffic.broken(*names)
        repeat(world, stop, record_property, ROUNDS)
        assert world.traffic.broken(*names) == before


@pytest.mark.full
@pytest.mark.timeout(600)
@VICTIMS
def test_a_stop_beyond_the_heartbeat_is_noticed_and_mended(
    stage: Stage, victims: tuple[str, ...], record_property: Record
) -> None:
    lost = {"frps": "client exit success", "mux": "session with the server lost"}

    def stop() -> None:
        watchers = [end for end in ENDS if (end == "frps") == (victims != ("frps",))]
        marks = {end: world.programs[end].said() for end in watchers}
        world.signal(signal.SIGSTOP, *victims)
        if victims == ENDS:
            threading.Event().wait(2 * HEARTBEATS["heartbeat_timeout"])
        else:
            for end in watchers:
                pattern = lost.get(end, lost["mux"])
                world.programs[end].wait_for(pattern, since=marks[end])
        world.signal(signal.SIGCONT, *victims)

    server = {"heartbeat_timeout": HEARTBEATS["heartbeat_timeout"]}
    with chaos(stage, server=server, clients=HEARTBEATS) as world:
        repeat(world, stop, record_property, 3)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_kills_in_a_storm_of_reloads_leave_nothing_behind(
    stage: Stage, record_property: Record
) -> None:
    """Two ends are told every 50 ms to read a file that has a proxy more or less, one is killed."""
    turn = iter(range(10_000))

    def fault() -> None:
        victim = ENDS[next(turn) % len(ENDS)]
        others = [end for end in ENDS if end != victim]
        for _ in range(10):
            world.change_file(next(turn) % 2 == 0)
            world.signal(signal.SIGHUP, *others)
            threading.Event().wait(0.05)
        world.kill(victim)
        for _ in range(10):
            world.change_file(next(turn) % 2 == 0)
            world.signal(signal.SIGHUP, *others)
            threading.Event().wait(0.05)
        world.wait_for_start(victim)
        world.change_file(with_extra=False)
        world.signal(signal.SIGHUP, *ENDS)

    with chaos(stage) as world:
        repeat(world, fault, record_property, 2 * len(ENDS))


@pytest.mark.full
@pytest.mark.timeout(600)
def test_local_services_that_die_and_return_cost_their_users_only(
    stage: Stage, record_property: Record
) -> None:
    def fault() -> None:
        world.stop_services()
        threading.Event().wait(1.0)
        world.start_services()

    with chaos(stage) as world:
        repeat(world, fault, record_property, ROUNDS)
        for program in world.programs.values():
            assert program.count("session with the server lost|client exit success") == 0


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ENDS[1:])
def test_a_client_killed_on_its_way_in_leaves_nothing_behind(
    stage: Stage, victim: str, record_property: Record
) -> None:
    """Twenty deaths, spread over what a start takes; in the middle of a login some of them."""
    kills = iter(range(1000))

    def fault() -> None:
        for _ in range(4):
            world.programs[victim].kill()
            program = world.start(victim)
            program.wait_for("admin server listen")
            threading.Event().wait(0.02 * next(kills))
        world.kill(victim)

    with chaos(stage) as world:
        repeat(world, fault, record_property, ROUNDS)
        logins = world.programs["frps"].count("client login info")
        record_property("logins", logins)
        leaves = world.programs["frps"].count("client exit success")
        wait_until(lambda: logins - leaves == 2, "frps has two clients")
