"""QuicEntrance: what strangers can do to a port, which is next to nothing."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from aioquic._buffer import Buffer as CoreBuffer
from aioquic.quic.packet import QuicPacketType, pull_quic_header

from frpd.net.endpoint import Buffer
from frpd.server.quic_entrance import QuicEntrance
from frpd.transports.quic_connection import BoundedConnection, TlsMaterial, make_configuration
from frpd.transports.quic_stream import QuicStream
from tests.helpers.ports import free_port
from tests.helpers.quic import fail, knock
from tests.helpers.world import World
from tests.unit.server.house import House


def open_house(world: World, **keys: Any) -> tuple[House, QuicEntrance, int]:
    port = free_port()
    house = House(world, quic_bind_port=port, **keys)
    entrance = house.service._quic.entrance
    assert entrance is not None
    return house, entrance, port


def first_datagram(world: World, version: int | None = None) -> bytes:
    configuration = make_configuration(TlsMaterial(), is_client=True, idle_seconds=30)
    connection = BoundedConnection(configuration)
    connection.connect(("127.0.0.1", 1), world.loop.now())
    [(datagram, _), *_] = connection.datagrams_to_send(world.loop.now())
    if version is None:
        return datagram
    return datagram[:1] + version.to_bytes(4, "big") + datagram[5:]


class Stranger:
    """A socket that sends what it likes, and counts what it gets for it."""

    def __init__(self, world: World, port: int) -> None:
        self.world = world
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect(("127.0.0.1", port))
        world.stack.callback(self.sock.close)
        self.sent = self.got = 0

    def send(self, *datagrams: bytes) -> list[bytes]:
        for datagram in datagrams:
            self.sent += len(datagram)
            self.sock.send(datagram)
        self.world.settle()
        answers: list[bytes] = []
        while True:
            try:
                answers.append(self.sock.recv(2000))
            except BlockingIOError:
                break
        self.got += sum(map(len, answers))
        return answers


def kind_of(datagram: bytes) -> QuicPacketType:
    return pull_quic_header(CoreBuffer(data=datagram), host_cid_length=8).packet_type


def test_who_knocks_costs_nothing_before_he_has_shown_where_he_is(world: World) -> None:
    house, entrance, port = open_house(world)
    stranger = Stranger(world, port)
    answers = stranger.send(*[first_datagram(world) for _ in range(5)])
    assert {kind_of(answer) for answer in answers} == {QuicPacketType.RETRY}
    assert (entrance.connections, house.service._door.pending) == (0, 0)
    assert stranger.got < stranger.sent / 3


def test_a_version_that_is_unknown_is_answered_with_those_that_are_known(world: World) -> None:
    _, entrance, port = open_house(world)
    [answer] = Stranger(world, port).send(first_datagram(world, version=0x1A2A3A4A))
    assert kind_of(answer) is QuicPacketType.VERSION_NEGOTIATION
    assert entrance.connections == 0


def test_nonsense_changes_nothing_and_is_never_answered_at_length(world: World) -> None:
    house, entrance, port = open_house(world)
    stranger = Stranger(world, port)
    draw = random.Random(5)
    good = first_datagram(world)
    for _ in range(40):
        changed = bytearray(good)
        for _ in range(3):
            changed[draw.randrange(60)] = draw.randrange(256)
        stranger.send(
            bytes(changed),
            bytes(changed[: draw.randrange(len(changed))]),
            draw.randbytes(draw.randrange(1, 1400)),
            b"",
        )
    assert stranger.got < stranger.sent
    assert (entrance.connections, house.service._door.pending) == (0, 0)


def test_a_handshake_is_pending_and_who_stalls_is_dropped(world: World) -> None:
    house, entrance, port = open_house(world)
    session, lost, _ = knock(world, port)
    world.until(lambda: session.is_ready)
    world.settle()
    assert (entrance.connections, house.service._door.pending) == (1, 1)
    world.pass_time(11)
    assert (entrance.connections, house.service._door.pending) == (0, 0)
    assert lost
    assert session.is_over
    house.until_empty()


def test_the_door_keeps_them_few(world: World) -> None:
    house, entrance, port = open_house(world, max_pending_per_source=2)
    for _ in range(4):
        session, _, _ = knock(world, port)
        world.until(lambda session=session: session.is_ready)  # type: ignore[misc] # bound at once
    world.settle()
    assert (entrance.connections, house.service._door.pending) == (2, 2)


class Moved:
    """Sends through another socket."""

    def __init__(self, sock: socket.socket, old: Any) -> None:
        self.sock = sock
        self.release = old._wire.release

    def send(self, datagrams: Sequence[Buffer]) -> None:
        for datagram in datagrams:
            self.sock.send(datagram)


def test_who_comes_from_another_address_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, entrance, port = open_house(world)
    session, lost, _ = knock(world, port)
    world.until(lambda: session.is_ready)
    world.settle()
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # a NAT that has forgotten
    other.setblocking(False)
    other.connect(("127.0.0.1", port))
    world.stack.callback(other.close)
    monkeypatch.setattr(session._wire, "_wire", Moved(other, session._wire))
    streams: list[QuicStream] = []
    session.open_stream(streams.append, fail)
    streams[0].write(b"o\0\0")

    def ticks() -> bool:
        world.clock.advance(0.002)
        with suppress(BlockingIOError):
            session.receive(other.recv(2000))
            session.serve()
        return not session._connection.has_unacked_data

    world.until(ticks)
    assert (lost, entrance.connections) == ([], 1)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_port_that_is_retired_takes_nobody_and_is_free_with_its_last(
    world: World, is_told: bool
) -> None:
    _, entrance, port = open_house(world)
    session, _, _ = knock(world, port)
    world.until(lambda: session.is_ready)
    world.settle()
    entrance.retire()
    assert Stranger(world, port).send(first_datagram(world)) == []
    before = entrance.is_closed
    if is_told:
        session.close()
        world.until(lambda: entrance.is_closed)
    else:
        entrance.close()
        world.until(lambda: session.is_over)
    assert (before, entrance.is_closed) == (False, True)
