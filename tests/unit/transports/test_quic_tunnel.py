"""QuicTunnel: streams through a hole, as the visitor and as the owner."""

from __future__ import annotations

import socket

import pytest

from frpd.errors import TransportError
from frpd.net.endpoint import Endpoint
from frpd.transports.quic_tunnel import IDLE_SECONDS, QuicTunnel, quic_tunnel
from tests.helpers.world import World
from tests.unit.transports.links import Reader


class Hole:
    """Both ends of one, over sockets."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lost: list[str] = []
        self.opened: list[Endpoint] = []
        left, right = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock in (left, right):
            sock.bind(("127.0.0.1", 0))
        left.connect(right.getsockname())
        right.connect(left.getsockname())
        self.stranger = left
        self.owner = quic_tunnel(world.loop, right, is_visitor=False)
        self.owner.on_lost = self.lost.append
        self.owner.accept_streams(self.opened.append)

    def visitor(self) -> QuicTunnel:
        visitor = quic_tunnel(self.world.loop, self.stranger, is_visitor=True)
        visitor.on_lost = self.lost.append
        return visitor

    def until(self, fact: object) -> None:
        """As World's, while time passes slowly."""
        assert callable(fact)

        def ticks() -> object:
            self.world.clock.advance(0.001)
            return fact()

        self.world.until(ticks)


def test_users_pass_and_who_came_early_waits(world: World) -> None:
    hole = Hole(world)
    hole.stranger.send(b"late words of the punching")
    visitor = hole.visitor()
    streams: list[Endpoint] = []
    failures: list[TransportError] = []
    visitor.open_stream(streams.append, failures.append)
    assert (streams, visitor.stream_count, visitor.is_usable) == ([], 1, True)
    hole.until(lambda: streams)
    streams[0].write(b"hello")
    hole.until(lambda: hole.opened)
    heard = Reader(hole.opened[0])
    hole.until(lambda: heard.got == b"hello")
    hole.opened[0].write(b"answer")
    answered = Reader(streams[0])
    hole.until(lambda: answered.got == b"answer")
    assert visitor.describe().startswith("quic 127.0.0.1:")
    visitor.close()
    hole.until(lambda: hole.lost)
    assert hole.lost == ["closed by the peer"]
    visitor.open_stream(streams.append, failures.append)
    assert len(failures) == 1
    world.until(lambda: world.loop.watch_count == 0)


def test_one_that_is_retired_takes_no_new_streams(world: World) -> None:
    hole = Hole(world)
    visitor = hole.visitor()
    streams: list[Endpoint] = []
    visitor.open_stream(streams.append, lambda _error: None)
    hole.until(lambda: streams)
    streams[0].write(b"x")
    hole.until(lambda: hole.opened)
    hole.owner.retire()
    assert not hole.owner.is_usable
    visitor.open_stream(streams.append, lambda _error: None)
    streams[1].write(b"y")
    heard = Reader(streams[1])
    hole.until(lambda: heard.end)
    assert (heard.end, len(hole.opened)) == ("connection reset by peer", 1)
    for tunnel in (hole.owner, visitor):
        tunnel.close()
        tunnel.close()
    hole.until(lambda: world.loop.watch_count == 0)


@pytest.mark.parametrize("is_visitor", [True, False])
def test_who_is_alone_gives_up(world: World, is_visitor: bool) -> None:
    hole = Hole(world)
    failures: list[TransportError] = []
    if is_visitor:
        hole.owner.close()
        deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        deaf.bind(("127.0.0.1", 0))
        world.stack.callback(deaf.close)
        hole.stranger.connect(deaf.getsockname())
        hole.visitor().open_stream(lambda _stream: None, failures.append)
    else:
        world.stack.callback(hole.stranger.close)
    world.pass_time(IDLE_SECONDS + 5)
    assert len(hole.lost) == 1
    assert len(failures) == is_visitor
    assert world.loop.watch_count == 0
    assert world.loop.timer_count == 0
