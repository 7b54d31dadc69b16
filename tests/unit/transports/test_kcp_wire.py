"""SocketWire: a socket for one conversation, and what the peer's machine says of it."""

from __future__ import annotations

import socket

from frpd.net.endpoint import Buffer
from frpd.transports.kcp_wire import DATAGRAMS_PER_TURN, SocketWire
from tests.helpers.world import World


class Ear:
    """Takes what comes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.batches: list[int] = []
        self.lost: list[str] = []

    @property
    def is_quiet(self) -> bool:
        return not self.heard

    def receive(self, datagram: Buffer) -> None:
        self.heard.append(bytes(datagram))

    def serve(self) -> None:
        self.batches.append(len(self.heard))

    def lose(self, reason: str) -> None:
        self.lost.append(reason)


def wire_to_nobody(world: World, **settings: bool) -> tuple[SocketWire, socket.socket, Ear]:
    """Return a wire, its far end, and who listens at the near one."""
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for sock in (near, far):
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        world.stack.callback(sock.close)
    near.connect(far.getsockname())
    far.connect(near.getsockname())
    wire = SocketWire(world.loop, near, **settings)
    world.owners.callback(wire.release)
    ear = Ear()
    wire.serve(ear)
    return wire, far, ear


def test_datagrams_go_both_ways_and_come_in_batches(world: World) -> None:
    wire, far, ear = wire_to_nobody(world)
    wire.send([b"one", b"two"])
    assert [far.recv(10), far.recv(10)] == [b"one", b"two"]
    for number in range(3):
        far.send(b"%d" % number)
    world.until(lambda: len(ear.heard) == 3)
    assert ear.heard == [b"0", b"1", b"2"]
    assert wire.local_address() == far.getpeername()
    assert wire.peer == far.getsockname()


def test_a_flood_leaves_others_their_turn(world: World) -> None:
    _, far, ear = wire_to_nobody(world)
    for _ in range(DATAGRAMS_PER_TURN + 10):
        far.send(b"x")
    world.until(lambda: len(ear.heard) == DATAGRAMS_PER_TURN + 10)
    assert ear.batches[0] <= DATAGRAMS_PER_TURN


def test_a_closed_port_is_told_at_once_while_nothing_has_come(world: World) -> None:
    wire, far, ear = wire_to_nobody(world, heeds_refusals=True)
    far.close()
    wire.send([b"anybody?"])
    world.until(lambda: ear.lost)
    [why] = ear.lost
    assert why.endswith("connection refused")


def test_of_a_peer_that_has_been_there_it_is_believed_when_it_is_repeated(world: World) -> None:
    wire, far, ear = wire_to_nobody(world, heeds_refusals=True)
    far.send(b"hello")
    world.until(lambda: ear.heard)
    far.close()
    wire.send([b"one"])
    world.settle()
    assert not ear.lost
    for _ in range(3):
        wire.send([b"more"])
        world.settle()
    assert ear.lost


def test_between_punched_holes_it_is_not_believed(world: World) -> None:
    wire, far, ear = wire_to_nobody(world)
    far.close()
    for _ in range(5):
        wire.send([b"anybody?"])
        world.settle()
    assert not ear.lost
