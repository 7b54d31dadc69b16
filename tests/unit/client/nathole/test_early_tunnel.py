"""KCP without yamux: one user, and a peer that is asked whether it lives."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from frpd.client.nathole.early_tunnel import (
    PROBE_SECONDS,
    SILENCE_SECONDS,
    BareTunnel,
    WatchedWire,
)
from frpd.proto.early_punch import CONVERSATION
from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.kcp_parting import Farewell, Kind
from frpd.transports.kcp_endpoint import CLOSE_SECONDS, HALF_OPEN_SECONDS
from tests.helpers.programs import SECONDS
from tests.unit.transports.links import Reader, Writer, fail

if TYPE_CHECKING:
    from frpd.errors import TransportError
    from frpd.net.endpoint import Endpoint
    from tests.helpers.world import World


class GoPeer:
    """The far end: KCP as Go has it, which knows nothing of ours beside it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind(("127.0.0.1", 0))
        near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        near.bind(("127.0.0.1", 0))
        near.connect(self.sock.getsockname())
        self.sock.connect(near.getsockname())
        self.kcp = KcpConnection(CONVERSATION, now=world.loop.now())
        self.wire = WatchedWire(world.loop, near)
        self.tunnel = BareTunnel(world.loop, self.wire)
        self.lost: list[str] = []
        self.tunnel.on_lost = self.lost.append
        self.is_mute = False
        self.heard = 0
        world.peers.append(self)
        world.owners.callback(self.close)

    def pump(self) -> None:
        now = self.world.loop.now()
        with suppress(OSError):
            while True:
                data = self.sock.recv(2048)
                self.heard += 1
                if data[4] != 0x7E:
                    self.kcp.receive_datagram(data, now)
        if not self.is_mute:
            self.kcp.handle_deadline(now)
            for datagram in self.kcp.datagrams_to_send(now):
                with suppress(OSError):
                    self.sock.send(datagram)

    def go_away(self) -> None:
        """Close, of which Go's peer hears nothing but from the machine."""
        self.world.peers.remove(self)
        self.sock.close()

    def close(self) -> None:
        self.tunnel.close()
        self.world.pass_time(2 * CLOSE_SECONDS, CLOSE_SECONDS)
        self.sock.close()

    def stream(self) -> Endpoint:
        streams: list[Endpoint] = []
        self.tunnel.open_stream(streams.append, fail)
        return streams[0]


def end_of(reader: Reader) -> str:
    return reader.end


def is_free(peer: GoPeer) -> bool:
    return peer.tunnel.is_usable and peer.tunnel.stream_count == 0


@pytest.fixture
def peer(world: World) -> GoPeer:
    return GoPeer(world)


def test_bytes_pass_both_ways(world: World, peer: GoPeer) -> None:
    stream = peer.stream()
    reader = Reader(stream)
    peer.kcp.send(b"from go")
    world.until(lambda: reader.got == b"from go")
    Writer(stream, b"to go")
    world.until(lambda: peer.kcp.readable_bytes)
    assert peer.kcp.read(99) == b"to go"


def test_a_silent_peer_that_lives_is_asked_and_kept(world: World, peer: GoPeer) -> None:
    reader = Reader(peer.stream())
    before = peer.heard
    world.pass_time(2 * SILENCE_SECONDS, 0.5)
    assert peer.heard - before >= SILENCE_SECONDS / PROBE_SECONDS
    assert not reader.end
    peer.kcp.send(b"late")
    world.until(lambda: reader.got == b"late")


def test_a_peer_that_answers_nothing_is_lost(world: World, peer: GoPeer) -> None:
    reader = Reader(peer.stream())
    peer.is_mute = True
    world.pass_time(SILENCE_SECONDS - 1, 0.5)
    assert not end_of(reader)
    world.pass_time(2, 0.5)
    assert end_of(reader) == "the peer has been silent for 30 s"
    assert peer.lost == ["the connection is over"]
    assert not peer.tunnel.is_usable


def test_a_peer_that_was_closed_is_lost_sooner_where_its_machine_says_so(
    world: World, peer: GoPeer
) -> None:
    reader = Reader(peer.stream())
    peer.go_away()
    world.pass_time(SILENCE_SECONDS - 2 * PROBE_SECONDS, 0.5)
    assert reader.end.endswith("connection refused")


def test_a_peer_that_cannot_hear_of_our_end_is_not_kept_for_ever(
    world: World, peer: GoPeer
) -> None:
    stream = peer.stream()
    reader = Reader(stream)
    stream.shutdown_write()
    world.pass_time(HALF_OPEN_SECONDS / 2, 0.5)
    peer.kcp.send(b"an answer meanwhile")
    world.until(lambda: reader.got)
    world.pass_time(HALF_OPEN_SECONDS - 1, 0.5)
    assert not end_of(reader)
    world.pass_time(PROBE_SECONDS, 0.5)
    assert end_of(reader)
    assert peer.lost == ["the connection is over"]


def test_one_of_our_own_ends_that_has_heard_of_it_is_kept(world: World, peer: GoPeer) -> None:
    stream = peer.stream()
    reader = Reader(stream)
    stream.shutdown_write()
    taken = Farewell(CONVERSATION, Kind.TAKEN, taken=Kind.END)
    peer.sock.send(taken.encode())
    world.pass_time(2 * HALF_OPEN_SECONDS, 0.5)
    assert not end_of(reader)
    peer.is_mute = True
    world.pass_time(SILENCE_SECONDS + PROBE_SECONDS, 0.5)
    assert end_of(reader)


def test_there_is_one_user_and_no_other(world: World, peer: GoPeer) -> None:
    assert is_free(peer)
    peer.stream()
    assert not is_free(peer)
    assert peer.tunnel.stream_count == 1
    errors: list[TransportError] = []
    streams: list[Endpoint] = []
    peer.tunnel.open_stream(streams.append, errors.append)
    peer.tunnel.accept_streams(streams.append)
    world.settle()
    assert (len(errors), streams) == (1, [])


def test_what_was_written_before_close_still_arrives(world: World, peer: GoPeer) -> None:
    stream = peer.stream()
    assert stream.write(b"last words") == 10
    peer.tunnel.close()
    world.until(lambda: peer.kcp.readable_bytes)
    assert peer.kcp.read(99) == b"last words"
    world.pass_time(CLOSE_SECONDS, 0.5)
    assert peer.tunnel.stream_count == 0
    assert peer.lost == []


def test_a_stream_that_ends_by_itself_ends_the_tunnel(world: World, peer: GoPeer) -> None:
    before = world.loop.timer_count
    peer.stream().abort()
    world.settle()
    assert peer.lost == ["the connection is over"]
    assert world.loop.timer_count < before


def test_a_go_peer_hears_from_our_machine_that_we_are_gone(world: World, peer: GoPeer) -> None:
    stream = peer.stream()
    world.peers.remove(peer)
    stream.abort()
    peer.sock.setblocking(True)
    peer.sock.settimeout(SECONDS)
    while (data := peer.sock.recv(2048))[4] == 0x7E:
        pass
    peer.kcp.receive_datagram(data, 0.0)
    [answer] = peer.kcp.datagrams_to_send(0.0)
    peer.sock.send(answer)
    with pytest.raises(ConnectionRefusedError):
        peer.sock.recv(2048)


def test_an_unused_tunnel_closes_when_it_retires(world: World, peer: GoPeer) -> None:
    peer.tunnel.retire()
    assert not peer.tunnel.is_usable
    world.pass_time(CLOSE_SECONDS, 0.5)
    assert peer.tunnel.stream_count == 0


def test_a_used_tunnel_goes_on_when_it_retires(world: World, peer: GoPeer) -> None:
    reader = Reader(peer.stream())
    peer.tunnel.retire()
    peer.kcp.send(b"more")
    world.until(lambda: reader.got == b"more")
    assert peer.tunnel.describe() == f"kcp 127.0.0.1:{peer.sock.getsockname()[1]}"
