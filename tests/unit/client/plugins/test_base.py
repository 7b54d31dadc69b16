"""A visitor that a plugin talks to: one thing at a time, and always an end."""

from __future__ import annotations

import math

import pytest

from frpd.client.plugins.base import Guest, GuestServer
from frpd.config.proxies import TcpProxyConfig
from frpd.errors import TransportError
from frpd.net.endpoint import Endpoint
from frpd.net.stream import SocketStream
from frpd.proto.message.types import StartWorkConn
from frpd.proto.native import HALF_CLOSE
from frpd.relay.relay import LINGER_SECONDS
from frpd.transports.work import WorkStream
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.conftest import world
from tests.unit.client.home import Door
from tests.unit.client.plugins.stage import Running, context_of

__all__ = ["world"]

START = StartWorkConn(proxy_name="web", src_addr="9.9.9.9", src_port=99)


class Parrot(Guest):
    """Repeats what it hears."""

    departures = retirements = 0

    def begin(self) -> None:
        self.heard: list[bytes] = []
        self.set_deadline(10.0)
        self.listen()

    def received(self, data: bytes) -> None:
        self.heard.append(data)
        self.say(data, self.listen)

    def retire(self) -> None:
        self.retirements += 1

    def left(self) -> None:
        self.departures += 1


class Scene:
    """A plugin with one visitor."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.running = Running()
        self.context = context_of(world, frozenset({HALF_CLOSE}))
        self.parrots: list[Parrot] = []
        config = TcpProxyConfig(name="web", section="web", remote_port=1)
        self.server = GuestServer(self.context, config, self.welcome)
        self.work = ScriptedEndpoint(world.loop)
        self.server.on_work(WorkStream(self.work), START)
        [self.guest] = self.parrots

    def welcome(self, server: GuestServer, work: Endpoint, start: StartWorkConn) -> Guest:
        self.parrots.append(Parrot(server, work, start))
        return self.parrots[-1]

    def is_over(self, act: str) -> None:
        self.world.turn(3)
        assert self.work.acts[-1] == act
        assert self.guest.is_over
        assert self.guest.departures == 1
        assert not self.server.guests
        assert self.server.counters.connections_open == 0
        assert self.world.loop.timer_count == 0


def test_what_is_said_is_heard_and_answered_piece_by_piece(world: World) -> None:
    scene = Scene(world)
    scene.work.write_sizes = iter([2, 0, 1, 100, 100])
    scene.work.say(b"hello", b"world")
    world.turn(12)
    assert scene.work.got == b"helloworld"
    assert scene.guest.heard == [b"hello", b"world"]
    assert scene.guest.source == "9.9.9.9:99"


def test_who_takes_nothing_is_not_listened_to(world: World) -> None:
    scene = Scene(world)
    scene.work.capacity = 3
    scene.work.say(b"hello", b"world")
    world.turn(5)
    assert (scene.work.got, scene.guest.heard, scene.work.wants) == (b"hel", [b"hello"], "w")
    scene.work.take()
    world.turn(5)
    assert scene.work.got == b"helloworld"


def test_who_leaves_is_forgotten(world: World) -> None:
    scene = Scene(world)
    scene.work.end()
    world.turn(2)
    scene.is_over("close")


def test_who_is_lost_is_forgotten_while_it_speaks_and_while_we_do(world: World) -> None:
    first, second = Scene(world), Scene(world)
    first.work.reset()
    second.work.break_writes()
    second.work.say(b"hello")
    world.turn(3)
    first.is_over("abort")
    second.is_over("abort")


def test_a_callback_that_fails_costs_its_own_visitor_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(world)
    monkeypatch.setattr(scene.guest, "received", lambda _data: 1 / 0)
    scene.work.say(b"hello")
    world.turn(2)
    assert isinstance(scene.work.error, ZeroDivisionError)
    scene.is_over("abort")


def test_a_deadline_drops_and_a_new_one_takes_its_place(world: World) -> None:
    scene = Scene(world)
    world.advance(9.0)
    scene.guest.set_deadline(9.0)
    world.advance(8.0)
    assert not scene.guest.is_over
    scene.guest.set_deadline(math.inf)
    world.advance(1000.0)
    assert not scene.guest.is_over
    scene.guest.set_deadline(1.0)
    world.advance(2.0)
    scene.is_over("abort")


def test_who_is_finished_with_is_heard_out_for_a_moment(world: World) -> None:
    first, second = Scene(world), Scene(world)
    for scene in (first, second):
        scene.guest.finish()
        scene.work.say(b"more", b"and more")
    world.turn(5)
    assert first.work.acts == ["end"]
    assert first.work.unread_bytes == 0
    assert first.guest.heard == []
    first.work.end()
    world.turn(2)
    second.work.reset()
    world.turn(2)
    first.is_over("close")
    second.is_over("close")
    first.guest.finish()


def test_who_never_ends_is_not_heard_out_for_ever(world: World) -> None:
    scene = Scene(world)
    scene.guest.finish()
    world.advance(LINGER_SECONDS + 0.1)
    scene.is_over("close")


def test_retiring_the_proxy_asks_each_to_finish(world: World) -> None:
    scene = Scene(world)
    scene.server.retire()
    assert scene.server.is_retired
    assert scene.guest.retirements == 1
    assert not scene.guest.is_over


def test_closing_the_proxy_drops_all(world: World) -> None:
    scene = Scene(world)
    scene.server.close()
    scene.is_over("abort")
    scene.guest.drop("again")
    scene.guest.close()
    scene.is_over("abort")


def test_a_dial_that_fails_is_told(world: World) -> None:
    scene = Scene(world)
    errors: list[TransportError] = []
    scene.guest.dial("127.0.0.1", free_port(), lambda _: None, errors.append)
    world.until(lambda: errors)
    assert "connection refused" in str(errors[0])
    assert not scene.guest.is_over
    scene.guest.dial("no such name", 1, lambda _: None, errors.append)
    world.until(lambda: len(errors) == 2)


def test_who_is_dropped_while_we_dial_hears_no_more_of_it(world: World) -> None:
    scene, door = Scene(world), Door(world)
    scene.guest.dial("localhost", door.port, _never, _never)
    scene.guest.drop("for the test")
    world.settle()
    scene.is_over("abort")


def _never(_result: object) -> None:
    pytest.fail("nobody is there to be told")


def test_joined_to_a_service_it_is_a_relay(world: World) -> None:
    scene, door = Scene(world), Door(world)
    locals_: list[SocketStream] = []
    scene.guest.dial("127.0.0.1", door.port, locals_.append, _never)
    wire = door.next()
    world.until(lambda: locals_)
    scene.guest.bytes_out = 7  # what it got from us before
    scene.guest.join(locals_[0])
    assert scene.guest.is_over
    assert not scene.server.guests
    assert scene.server.counters.connections_open == 1
    scene.server.close()  # which leaves relays alone
    scene.work.say(b"question")
    world.until(lambda: wire.received == b"question")
    wire.write(b"answer")
    world.until(lambda: scene.work.got == b"answer")
    wire.close()
    scene.work.end()
    counters = scene.server.counters
    world.until(lambda: not counters.connections_open)
    assert (counters.bytes_in, counters.bytes_out) == (8, 13)


def test_who_has_left_is_not_joined(world: World) -> None:
    scene = Scene(world)
    scene.guest.drop("for the test")
    local = ScriptedEndpoint(world.loop)
    scene.guest.join(local)
    assert local.acts == ["abort"]
