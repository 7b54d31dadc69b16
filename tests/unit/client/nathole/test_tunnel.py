"""Tunnels of yamux: streams for users, and an end that travels."""

from __future__ import annotations

from frpd.client.nathole.tunnel import MuxTunnel
from frpd.errors import TransportError
from frpd.net.endpoint import Endpoint
from tests.helpers.duplex import Duplex
from tests.helpers.world import World


class Pair:
    """Both ends of one tunnel."""

    def __init__(self, world: World, *, once: bool = False) -> None:
        self.world = world
        near, far = world.endpoints()
        self.visitor = MuxTunnel(world.loop, near, is_visitor=True, kind="test", once=once)
        self.owner = MuxTunnel(world.loop, far, is_visitor=False, kind="test")
        self.lost: list[str] = []
        self.visitor.on_lost = lambda reason: self.lost.append(f"visitor: {reason}")
        self.owner.on_lost = lambda reason: self.lost.append(f"owner: {reason}")
        self.streams: list[Endpoint] = []
        self.came: list[Endpoint] = []
        self.failed: list[TransportError] = []
        self.owner.accept_streams(self.came.append)

    def open(self) -> tuple[Endpoint, Endpoint]:
        self.visitor.open_stream(self.streams.append, self.failed.append)
        self.world.until(lambda: len(self.came) == len(self.streams))
        return self.streams[-1], self.came[-1]


def test_many_streams_carry_what_their_users_say(world: World) -> None:
    pair = Pair(world)
    ends = [pair.open() for _ in range(3)]
    askers = [Duplex(near, b"question %d" % number) for number, (near, _) in enumerate(ends)]
    services = [Duplex(far) for _, far in ends]
    wanted = [b"question 0", b"question 1", b"question 2"]
    world.until(lambda: [service.got for service in services] == wanted)
    services[1].send(b"answer")
    world.until(lambda: askers[1].got == b"answer")
    assert (pair.visitor.stream_count, pair.owner.stream_count) == (3, 3)
    assert not pair.visitor.once
    assert pair.visitor.describe().startswith("test far-end")
    pair.visitor.close()
    world.until(lambda: pair.lost)
    pair.owner.close()


def test_who_closes_hears_nothing_and_the_other_end_does(world: World) -> None:
    pair = Pair(world, once=True)
    near, far = pair.open()
    asker, service = Duplex(near), Duplex(far)
    pair.visitor.close()
    pair.visitor.close()
    world.until(lambda: pair.lost and asker.end and service.end)
    assert pair.visitor.once
    assert [text.partition(":")[0] for text in pair.lost] == ["owner"]
    assert not pair.visitor.is_usable
    assert not pair.owner.is_usable
    assert world.loop.timer_count == 0


def test_a_retired_tunnel_takes_no_more_users_and_keeps_those_it_has(world: World) -> None:
    pair = Pair(world)
    near, far = pair.open()
    asker, service = Duplex(near), Duplex(far)
    pair.owner.retire()
    world.until(lambda: not pair.visitor.is_usable)
    pair.visitor.open_stream(pair.streams.append, pair.failed.append)
    world.until(lambda: pair.failed)
    asker.send(b"still")
    world.until(lambda: service.got == b"still")
    pair.visitor.close()
    pair.owner.close()


def test_only_the_visitor_opens_streams(world: World) -> None:
    pair = Pair(world)
    reset: list[Duplex] = []
    pair.owner.open_stream(
        lambda stream: reset.append(Duplex(stream, b"hello")), pair.failed.append
    )
    world.until(lambda: pair.failed or (reset and reset[0].end))
    assert not pair.came
    pair.visitor.close()
    pair.owner.close()


def test_a_stream_that_nobody_takes_is_refused(world: World) -> None:
    near, far = world.endpoints()
    visitor = MuxTunnel(world.loop, near, is_visitor=True, kind="test")
    owner = MuxTunnel(world.loop, far, is_visitor=False, kind="test")
    users: list[Duplex] = []
    visitor.open_stream(lambda stream: users.append(Duplex(stream)), lambda _error: None)
    world.until(lambda: users and users[0].end)
    visitor.close()
    owner.close()
    world.until(lambda: world.loop.watch_count == 0)
