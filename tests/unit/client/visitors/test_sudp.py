"""SudpVisitor: one stream for all users, asked for when somebody needs it."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from frpd.client.proxy_table import Phase
from frpd.client.visitors.sudp import AGAIN_SECONDS, SILENCE_SECONDS
from frpd.config.visitors import SudpVisitorConfig
from frpd.proto.message.types import NewVisitorConnResp
from frpd.udp.go_packets import GoPackets
from tests.helpers.peers import Talker
from tests.helpers.udp import udp_socket
from tests.helpers.world import World, world
from tests.unit.client.home import Session
from tests.unit.client.visitors.guest import Guest, asked

__all__ = ["world"]


class Scene(Guest):
    """A client with one sudp visitor that has a session."""

    def __init__(self, world: World, *, mux: bool = True, **fields: Any) -> None:
        super().__init__(world, mux=mux, kind=SudpVisitorConfig, **fields)
        self.entered: Session = self.enter()

    def user_socket(self) -> socket.socket:
        sock = udp_socket("127.0.0.1")
        sock.connect(("127.0.0.1", self.port))
        sock.settimeout(5)
        self.world.stack.callback(sock.close)
        return sock

    def admit(self) -> Talker:
        """Let the visitor in that asks now."""
        talker, request = asked(self.entered)
        assert request.proxy_name == "vault"
        talker.send(NewVisitorConnResp("vault"))
        talker.started = True
        return talker


def hear(world: World, talker: Talker, count: int = 1) -> list[tuple[bytes, bytes]]:
    """Run turns until so many datagrams have come on a fresh stream."""
    packets = GoPackets()
    heard: list[tuple[bytes, bytes]] = []

    def enough() -> bool:
        data = bytes(talker.payload)
        talker.payload.clear()
        found = packets.receive_data(data).items()
        heard.extend((name, bytes(one)) for name, some in found for one in some)
        return len(heard) >= count

    world.until(enough, f"{count} datagrams")
    return heard


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])
def test_all_users_share_a_stream_and_each_hears_its_own(world: World, mux: bool) -> None:
    scene = Scene(world, mux=mux)
    ann, bob = scene.user_socket(), scene.user_socket()
    ann.send(b"from ann")
    bob.send(b"from bob")
    talker = scene.admit()
    found = hear(world, talker, 2)
    assert sorted(data for _, data in found) == [b"from ann", b"from bob"]
    out = bytearray()
    for name, data in found:
        GoPackets.append(out, name, data.upper())
    talker.stream.write(bytes(out))
    world.settle()
    assert ann.recv(100) == b"FROM ANN"
    assert bob.recv(100) == b"FROM BOB"
    counters = scene.port_visitor.counters
    assert (counters.connections_open, counters.bytes_in, counters.bytes_out) == (2, 16, 16)


def test_nobody_asks_before_there_is_a_user(world: World) -> None:
    scene = Scene(world)
    opened = world.loop.watch_count
    world.pass_time(30.0)
    assert world.loop.watch_count == opened
    scene.user_socket().send(b"now")
    scene.admit()


def test_a_refusal_is_told_what_waited_is_dropped_and_the_next_datagram_asks_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(world)
    user = scene.user_socket()
    user.send(b"in vain")
    talker, _ = asked(scene.entered)
    talker.send(NewVisitorConnResp("vault", "custom listener for [vault] doesn't exist"))
    text = "start new visitor connection error: custom listener for [vault] doesn't exist"
    world.until(lambda: text in caplog.text)
    user.send(b"in vain, too")
    world.advance(AGAIN_SECONDS)
    user.send(b"again")
    assert [data for _, data in hear(world, scene.admit())] == [b"again"]


def test_a_lost_stream_is_asked_for_again_with_the_next_datagram(world: World) -> None:
    scene = Scene(world)
    user = scene.user_socket()
    user.send(b"one")
    talker = scene.admit()
    world.until(lambda: talker.payload)
    talker.stream.close()
    world.until(lambda: not scene.port_visitor._port.channel.attached)  # type: ignore[attr-defined]
    user.send(b"two")
    scene.admit()


def test_an_end_that_is_silent_is_given_up(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    scene = Scene(world)
    scene.user_socket().send(b"one")
    talker = scene.admit()
    world.until(lambda: talker.payload)
    talker.stream.write(GoPackets.keepalive)
    world.pass_time(SILENCE_SECONDS - 5)
    assert "work connection lost" not in caplog.text
    world.pass_time(10.0)
    assert "work connection lost: silent for 60 s" in caplog.text


def test_the_port_goes_with_the_session_and_closing_leaves_nothing(world: World) -> None:
    scene = Scene(world)
    scene.user_socket().send(b"one")
    asked(scene.entered)
    scene.entered.wire.close()
    world.until(lambda: scene.port_visitor.phase is Phase.CLOSED)
    udp_socket("127.0.0.1", scene.port).close()
    scene.service.close()


def test_a_user_too_many_is_not_heard_until_another_has_left(world: World) -> None:
    scene = Scene(world, max_connections=1)
    ann, bob = scene.user_socket(), scene.user_socket()
    ann.send(b"from ann")
    talker = scene.admit()
    assert [data for _, data in hear(world, talker)] == [b"from ann"]
    bob.send(b"from bob")
    ann.send(b"ann again")
    assert [data for _, data in hear(world, talker)] == [b"ann again"]
    assert scene.port_visitor.counters.connections_open == 1
    world.pass_time(scene.port_visitor.context.udp_session_seconds + 5.0, 5.0)
    bob.send(b"now bob")
    assert [data for _, data in hear(world, scene.admit())] == [b"now bob"]
