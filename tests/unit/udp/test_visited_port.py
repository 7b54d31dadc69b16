"""A port without a channel, and with one; what passes is tested with the udp proxies."""

from __future__ import annotations

import socket

import pytest

from frpd.log import get_logger
from frpd.metrics.counters import ProxyCounters
from frpd.proto.udp_binary import MAX_DATAGRAM_BYTES, BinaryPackets
from frpd.udp.datagram_socket import bind_udp
from frpd.udp.visited_port import VisitedPort
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.udp import udp_socket
from tests.helpers.world import World, world

__all__ = ["world"]


class Scene:
    """A port, somebody who sends to it, and what it said to its owner."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.counters = ProxyCounters()
        self.lost: list[str] = []
        self.forgotten: list[str] = []
        self.wanted = 0
        sock = bind_udp("127.0.0.1", 0)
        self.port = VisitedPort(
            world.loop,
            sock,
            packets=BinaryPackets,
            counters=self.counters,
            session_seconds=60.0,
            max_sessions=10,
            log=get_logger("frpd.test"),
            on_lost=self.lost.append,
            on_forgotten=lambda _visitor, reason: self.forgotten.append(reason),
        )
        self.visitor: socket.socket = udp_socket("127.0.0.1")
        self.visitor.connect(sock.getsockname())
        world.stack.callback(self.visitor.close)
        world.stack.callback(self.port.close)

    def attach(self) -> ScriptedEndpoint:
        stream = ScriptedEndpoint(self.world.loop)
        self.port.attach(stream, MAX_DATAGRAM_BYTES)
        return stream

    def when_wanted(self) -> None:
        def call() -> None:
            self.wanted += 1

        self.port.when_wanted(call)


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


def datagrams(stream: ScriptedEndpoint) -> list[bytes]:
    found = BinaryPackets().receive_data(bytes(stream.got))
    return [bytes(datagram) for some in found.values() for datagram in some]


def test_who_sends_first_is_told_once_and_waits_in_the_kernel(scene: Scene) -> None:
    scene.when_wanted()
    scene.world.turn(3)
    assert scene.wanted == 0
    scene.visitor.send(b"one")
    scene.visitor.send(b"two")
    scene.world.until(lambda: scene.wanted)
    scene.world.turn(3)
    assert scene.wanted == 1
    assert scene.counters.connections_total == 0
    stream = scene.attach()
    scene.world.until(lambda: datagrams(stream) == [b"one", b"two"])
    assert scene.counters.connections_open == 1
    assert scene.counters.bytes_in == 6


def test_what_waited_for_nothing_is_dropped_and_counted(scene: Scene) -> None:
    scene.visitor.send(b"one")
    scene.visitor.send(b"two")
    scene.port.drop_waiting()
    stream = scene.attach()
    scene.visitor.send(b"three")
    scene.world.until(lambda: datagrams(stream) == [b"three"])
    assert scene.port.traffic.dropped_blocked == 2


def test_a_lost_channel_is_told_and_the_port_waits_again(scene: Scene) -> None:
    scene.attach()
    scene.port.give_up("no more")
    assert scene.lost == ["no more"]
    scene.when_wanted()
    scene.visitor.send(b"later")
    scene.world.until(lambda: scene.wanted == 1)


def test_close_forgets_everybody_and_frees_the_port(scene: Scene) -> None:
    stream = scene.attach()
    scene.visitor.send(b"one")
    scene.world.until(lambda: datagrams(stream))
    where = scene.visitor.getpeername()
    scene.port.close()
    assert scene.forgotten == ["the proxy was closed"]
    assert scene.counters.connections_open == 0
    bind_udp(where[0], where[1]).close()
