"""SharedTunnel: one tunnel for all users of a visitor, and never too many attempts."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.client.nathole import shared_tunnel
from frpd.client.nathole.generation import NEWEST
from frpd.client.nathole.shared_tunnel import HOLE_SECONDS, NO_WAY, SharedTunnel
from frpd.client.nathole.tunnel import Tunnel
from frpd.config.secret import Secret
from frpd.config.visitors import XtcpVisitorConfig
from frpd.errors import FrpError
from frpd.proto.message.types import EARLY_A
from tests.helpers.world import World
from tests.unit.client.nathole.stage import (
    FakePuncher,
    FakeTunnel,
    Introducer,
    fake_visitor_way,
    hole_context,
)


class Users:
    """Who waits for a tunnel; they note what they are told."""

    def __init__(self, world: World, **fields: Any) -> None:
        self.waiting = True
        self.tunnels: list[Tunnel] = []
        self.told: list[tuple[str, bool]] = []
        self.early: list[str] = []
        self.server = Introducer(world)
        config = XtcpVisitorConfig(
            name="u.vv", section="vv", server_name="u.vault", sk=Secret("sk"), **fields
        )
        self.shared = SharedTunnel(hole_context(world), config, self)
        world.owners.callback(self.shared.close)

    def busy(self) -> bool:
        return self.shared.is_under_way

    def usable(self) -> Tunnel | None:
        return self.shared.usable

    def has_users(self) -> bool:
        return self.waiting

    def tunnel_opened(self, tunnel: Tunnel) -> None:
        self.tunnels.append(tunnel)

    def hole_failed(self, error: FrpError, *, is_final: bool) -> None:
        self.told.append((str(error), is_final))

    def go_early(self, way: str) -> None:
        self.early.append(way)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakePuncher]:
    """Return the attempts that are made."""
    punchers: list[FakePuncher] = []
    monkeypatch.setattr(shared_tunnel, "VISITOR_WAYS", {NEWEST: fake_visitor_way(punchers)})
    return punchers


def test_one_attempt_serves_all_and_its_tunnel_is_used_again(
    world: World, made: list[FakePuncher]
) -> None:
    users = Users(world)
    users.shared.want()
    assert not made  # there is no session yet
    users.shared.start(users.server.visitor)
    users.shared.want()
    users.shared.want()
    assert users.busy()
    world.until(lambda: made)
    assert made[0].started == 1
    tunnel = FakeTunnel()
    made[0].on_tunnel(tunnel)
    assert users.tunnels == [tunnel]
    assert users.usable() is tunnel
    assert not users.busy()
    assert users.server.checks == 1


def test_a_tunnel_outlives_the_session_and_an_attempt_does_not(
    world: World, made: list[FakePuncher]
) -> None:
    users = Users(world)
    users.shared.start(users.server.visitor)
    users.shared.want()
    world.until(lambda: made)
    users.shared.stop()
    assert made[0].cancelled == 1
    users.shared.start(users.server.visitor)
    world.advance(HOLE_SECONDS)
    users.shared.want()
    world.until(lambda: len(made) == 2)
    tunnel = FakeTunnel()
    made[1].on_tunnel(tunnel)
    users.shared.stop()
    users.shared.stop()
    assert users.usable() is tunnel
    users.shared.close()
    users.shared.close()
    assert tunnel.closed == 1


def test_attempts_have_ten_seconds_between_them(world: World, made: list[FakePuncher]) -> None:
    users = Users(world)
    users.shared.start(users.server.visitor)
    users.shared.want()
    world.until(lambda: made)
    world.advance(4.0)
    made[0].fail()
    assert users.told == [("wait detect message timeout", False)]
    users.shared.want()
    users.shared.want()
    world.advance(5.9)
    assert len(made) == 1
    world.advance(0.1)
    world.until(lambda: len(made) == 2)


def test_no_attempt_is_made_for_nobody(world: World, made: list[FakePuncher]) -> None:
    users = Users(world)
    users.shared.start(users.server.visitor)
    users.shared.want()
    world.until(lambda: made)
    made[0].fail()
    users.shared.want()
    users.waiting = False
    world.advance(HOLE_SECONDS)
    assert users.server.checks == 1
    assert world.loop.timer_count == 0


def test_a_refusal_is_final_and_may_be_asked_for_again_at_once(
    world: World, made: list[FakePuncher]
) -> None:
    users = Users(world)
    users.server.refusal = "xtcp server for [u.vault] doesn't exist"
    users.shared.start(users.server.visitor)
    for count in (1, 2):
        users.shared.want()
        world.until(lambda count=count: len(users.told) == count)  # type: ignore[misc] # as mypy is
    assert users.told[0] == (f"nathole precheck error: {users.server.refusal}", True)
    assert not made


def test_a_server_that_does_not_answer_is_no_reason_to_give_up(
    world: World, made: list[FakePuncher], monkeypatch: pytest.MonkeyPatch
) -> None:
    users = Users(world)
    monkeypatch.setattr(users.server, "heard", lambda *_said: None)
    users.shared.start(users.server.visitor)
    users.shared.want()
    world.advance(5.0)
    no_answer = "nathole precheck error: no answer from the server within 5 s"
    assert users.told == [(no_answer, False)]
    users.server.visitor.answers.close()
    world.advance(HOLE_SECONDS)
    users.shared.want()
    assert users.told[1] == (
        "nathole precheck error: the session with the server has ended",
        False,
    )
    assert not made


def test_an_early_far_end_is_told_to_the_users(world: World, made: list[FakePuncher]) -> None:
    users = Users(world)
    users.server.early = EARLY_A
    users.shared.start(users.server.visitor)
    users.shared.want()
    world.until(lambda: users.early == [EARLY_A])
    users.shared.want()
    world.until(lambda: users.early == [EARLY_A] * 2)
    assert not made


def test_an_early_server_needs_no_check_and_helps_or_does_not(
    world: World, made: list[FakePuncher]
) -> None:
    users = Users(world)
    session = users.server.visitor
    session.server_version, session.server_udp = "0.21.0", ("127.0.0.1", 7002)
    users.shared.start(session)
    users.shared.want()
    assert users.early == [EARLY_A]
    session.server_udp = None
    users.shared.want()
    assert users.told == [(NO_WAY, True)]
    assert users.server.checks == 0
    assert not made


def test_a_lost_tunnel_is_forgotten_and_an_older_one_keeps_its_users(
    world: World, made: list[FakePuncher]
) -> None:
    users = Users(world)
    users.shared.start(users.server.visitor)
    tunnels = [FakeTunnel() for _ in range(4)]
    tunnels[1].stream_count = 1
    for number, tunnel in enumerate(tunnels):
        users.shared.want()
        world.until(lambda number=number: len(made) > number)  # type: ignore[misc] # as mypy is
        made[number].on_tunnel(tunnel)
        assert users.usable() is tunnel
        tunnel.is_usable = False  # such as one whose owner has changed his settings
        assert users.usable() is None
        world.advance(HOLE_SECONDS)
    assert [tunnel.closed for tunnel in tunnels] == [1, 0, 1, 0]
    tunnels[1].lose()
    tunnels[3].lose()
    users.shared.close()
    assert [tunnel.closed for tunnel in tunnels] == [1, 0, 1, 0]


def test_a_tunnel_is_kept_open_without_users_and_not_too_often(
    world: World, made: list[FakePuncher]
) -> None:
    users = Users(world, keep_tunnel_open=True, max_retries_an_hour=2, min_retry_interval=60)
    users.waiting = False
    users.shared.start(users.server.visitor)
    world.until(lambda: made)
    tunnel = FakeTunnel()
    made[0].on_tunnel(tunnel)
    world.advance(60.0)
    assert len(made) == 1
    tunnel.lose()
    world.advance(60.0)
    world.until(lambda: len(made) == 2)
    made[1].fail()
    for _ in range(27):  # the third try has to wait until an hour has brought another
        world.clock.advance(60.0)
        world.turn(4)
    assert len(made) == 2
    for _ in range(3):
        world.clock.advance(60.0)
        world.turn(4)
    assert len(made) == 3
    users.shared.stop()
    made[2].on_failed = lambda _error: None
    world.until(lambda: world.loop.timer_count == 0)
