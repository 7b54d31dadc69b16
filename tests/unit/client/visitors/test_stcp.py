"""StcpVisitor: each user gets a stream."""

from __future__ import annotations

import pytest

from frpd.client.proxy_table import Phase
from frpd.proto.message.types import CloseProxy, NewVisitorConnResp
from tests.helpers.world import World
from tests.unit.client.visitors.guest import Guest, asked

both_kinds = pytest.mark.parametrize("mux", [True, False], ids=["mux", "plain"])


@both_kinds
def test_a_user_is_joined_to_a_stream_that_the_server_has_let_in(world: World, mux: bool) -> None:
    guest = Guest(world, mux=mux)
    session = guest.enter()
    user = guest.user()
    user.write(b"question")
    talker, request = asked(session)
    assert (request.run_id, request.proxy_name) == ("abc", "vault")
    world.settle()
    assert bytes(talker.payload) == b""
    talker.send(NewVisitorConnResp("vault"))
    talker.started = True
    world.until(lambda: talker.payload == b"question")
    talker.write(b"answer")
    world.until(lambda: user.received == b"answer")
    assert guest.visitor.counters.connections_open == 1
    talker.stream.close()
    world.until(lambda: user.end == "eof")
    user.close()
    world.until(lambda: guest.visitor.counters.connections_open == 0)
    assert (guest.visitor.counters.bytes_in, guest.visitor.counters.bytes_out) == (8, 6)


@both_kinds
def test_a_refused_user_is_sent_away_and_the_log_says_why(
    world: World, mux: bool, caplog: pytest.LogCaptureFixture
) -> None:
    guest = Guest(world, mux=mux)
    session = guest.enter()
    user = guest.user()
    talker, _ = asked(session)
    talker.send(NewVisitorConnResp("vault", "visitor connection of [vault] auth failed"))
    world.until(lambda: user.end)
    text = "start new visitor connection error: visitor connection of [vault] auth failed"
    assert text in caplog.text
    assert guest.visitor.counters.connections_open == 0
    assert not guest.visitor.waiting


def test_who_waits_when_the_session_ends_is_sent_away(world: World) -> None:
    guest = Guest(world, mux=False)
    session = guest.enter()
    user = guest.user()
    talker, _ = asked(session)
    session.wire.close()
    world.until(lambda: user.end)
    talker.until_end()


def test_without_mux_a_user_outlives_the_session(world: World) -> None:
    guest = Guest(world, mux=False)
    session = guest.enter()
    user = guest.user()
    talker, _ = asked(session)
    talker.send(NewVisitorConnResp("vault"))
    world.until(lambda: guest.service.relays)
    talker.started = True
    session.wire.close()
    world.until(lambda: guest.visitor.phase is Phase.CLOSED)
    user.write(b"still")
    world.until(lambda: talker.payload == b"still")


def test_shutting_down_closes_the_port_and_lets_users_finish(world: World) -> None:
    guest = Guest(world)
    session = guest.enter()
    user, waiting = guest.user(), guest.user()
    talker, _ = asked(session)
    asked(session)
    talker.send(NewVisitorConnResp("vault"))
    talker.started = True
    world.until(lambda: guest.service.relays)
    idle: list[bool] = []
    guest.service.shut_down(lambda: idle.append(True))
    assert guest.refuses()
    world.until(lambda: waiting.end or user.end)
    user.write(b"last")
    world.until(lambda: talker.payload == b"last")
    assert not idle
    user.close()
    talker.stream.close()
    world.until(lambda: idle)
    assert not session.control.count(CloseProxy)


def test_closing_leaves_nothing_behind(world: World) -> None:
    guest = Guest(world)
    session = guest.enter()
    user = guest.user()
    asked(session)
    guest.service.close()
    guest.service.close()
    user.close()
    session.wire.close()
    world.until(guest.empty.is_back)
    world.advance(30.0)
    assert guest.empty.timers_are_back()
