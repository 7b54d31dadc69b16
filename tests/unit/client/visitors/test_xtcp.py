"""XtcpVisitor: its users share a tunnel, wait for it, or go another way."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.client.nathole import shared_tunnel
from frpd.client.nathole.generation import NEWEST
from frpd.client.proxy_table import Phase
from frpd.client.visitors import xtcp
from frpd.client.visitors.base import Visitor, VisitorContext
from frpd.client.visitors.stcp import StcpVisitor
from frpd.client.visitors.xtcp import OPEN_SECONDS, XtcpVisitor
from frpd.config.secret import Secret
from frpd.config.visitors import StcpVisitorConfig, XtcpVisitorConfig
from frpd.entropy import SystemEntropy
from frpd.log import get_logger
from frpd.net.endpoint import Endpoint
from frpd.net.transform import TransformEndpoint
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.types import EARLY_B
from frpd.proto.wrappers import wrapper_stack
from frpd.relay.relay import Running
from tests.helpers.duplex import Duplex
from tests.helpers.peers import Wire
from tests.helpers.ports import free_port
from tests.helpers.world import World
from tests.unit.client.nathole.stage import (
    FakePuncher,
    FakeTunnel,
    Introducer,
    fake_visitor_way,
    hole_context,
)

SK = "sk"


class Guest:
    """A client with one xtcp visitor, in a session with a server that introduces."""

    def __init__(self, world: World, **fields: Any) -> None:
        self.world = world
        self.relays: set[Running] = set()
        self.others: dict[str, Visitor] = {}
        self.server = Introducer(world)
        self.context = VisitorContext(
            loop=world.loop,
            pool=world.pool,
            entropy=SystemEntropy(),
            relays=self,
            log=get_logger("tests").prefixed("vv"),
            holes=hole_context(world),
            find=self.others.get,
        )
        self.port = free_port()
        config = XtcpVisitorConfig(
            name="u.vv",
            section="vv",
            server_name="u.vault",
            sk=Secret(SK),
            bind_port=self.port,
            **fields,
        )
        self.visitor = XtcpVisitor(self.context, config)
        world.owners.callback(self._close)
        self.visitor.start(self.server.visitor)

    def _close(self) -> None:
        self.visitor.close()
        for relay in list(self.relays):
            relay.abort("the test is over")
        self.world.turn(3)

    def relay_started(self, relay: Running) -> None:
        self.relays.add(relay)

    def relay_ended(self, relay: Running) -> None:
        self.relays.discard(relay)

    def user(self) -> Wire:
        before = len(self.visitor.waiting) + len(self.relays)
        user = Wire.to(self.world, self.port)
        self.world.until(lambda: len(self.visitor.waiting) + len(self.relays) > before or user.end)
        return user

    def serve(self, tunnel: FakeTunnel, answer: bytes = b"") -> Duplex:
        """Open the stream that was asked for; return the far end of it."""
        near, far = self.world.endpoints()
        tunnel.give(near)
        return Duplex(far, answer)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakePuncher]:
    """Return the attempts that are made."""
    punchers: list[FakePuncher] = []
    way = fake_visitor_way(punchers)
    monkeypatch.setattr(shared_tunnel, "VISITOR_WAYS", {NEWEST: way})
    monkeypatch.setattr(xtcp, "VISITOR_WAYS", {EARLY_B: way})
    return punchers


def tunnel_for(guest: Guest, made: list[FakePuncher]) -> FakeTunnel:
    """Give the guest a tunnel."""
    guest.world.until(lambda: made)
    tunnel = FakeTunnel()
    made[-1].on_tunnel(tunnel)
    return tunnel


def test_the_first_user_waits_for_the_tunnel_and_the_next_one_does_not(
    world: World, made: list[FakePuncher]
) -> None:
    guest = Guest(world)
    first = guest.user()
    first.write(b"question")
    tunnel = tunnel_for(guest, made)
    service = guest.serve(tunnel, b"answer")
    world.until(lambda: service.got == b"question" and first.received == b"answer")
    assert not guest.visitor.waiting
    second = guest.user()
    service = guest.serve(tunnel)
    second.write(b"again")
    world.until(lambda: service.got == b"again")
    assert len(made) == 1
    assert guest.visitor.counters.connections_open == 2
    assert len(guest.relays) == 2


def test_what_passes_is_encrypted_under_the_sk_and_compressed(
    world: World, made: list[FakePuncher]
) -> None:
    guest = Guest(world, use_encryption=True, use_compression=True)
    user = guest.user()
    tunnel = tunnel_for(guest, made)
    near, far = world.endpoints()
    tunnel.give(near)
    codecs = wrapper_stack(key=derive_key(SK), compress=True, iv=bytes(IV_BYTES))
    service = Duplex(TransformEndpoint(far, codecs), b"answer")
    user.write(b"question")
    world.until(lambda: service.got == b"question" and user.received == b"answer")


def test_a_failed_hole_is_tried_again_until_a_users_time_is_over(
    world: World, made: list[FakePuncher], caplog: pytest.LogCaptureFixture
) -> None:
    guest = Guest(world)
    user = guest.user()
    world.until(lambda: made)
    made[0].fail("no hole between our NAT, A, and the other one, B")
    assert not user.end
    world.advance(10.0)
    world.until(lambda: len(made) == 2)
    world.advance(OPEN_SECONDS - 10.0)
    world.until(lambda: user.end)
    said = "open tunnel error: open tunnel timeout: no hole between our NAT, A, and the other one"
    assert said in caplog.text
    assert guest.visitor.counters.connections_open == 0
    tunnel = FakeTunnel()
    made[1].on_tunnel(tunnel)  # for those who come later
    guest.user()
    assert len(tunnel.asked) == 1


def test_a_refusal_of_the_server_sends_users_away_at_once(
    world: World, made: list[FakePuncher], caplog: pytest.LogCaptureFixture
) -> None:
    guest = Guest(world)
    guest.server.refusal = "xtcp server for [u.vault] doesn't exist"
    user = guest.user()
    world.until(lambda: user.end)
    assert guest.server.refusal in caplog.text
    assert not made


def test_a_stream_that_cannot_be_opened_makes_a_new_hole(
    world: World, made: list[FakePuncher]
) -> None:
    guest = Guest(world)
    user = guest.user()
    tunnel = tunnel_for(guest, made)
    tunnel.is_usable = False
    tunnel.refuse()
    world.advance(10.0)
    world.until(lambda: len(made) == 2)
    second = FakeTunnel()
    made[1].on_tunnel(second)
    guest.serve(second, b"answer")
    world.until(lambda: user.received == b"answer")


def test_users_stay_when_the_session_ends_and_those_who_wait_do_not(
    world: World, made: list[FakePuncher]
) -> None:
    guest = Guest(world)
    user = guest.user()
    tunnel = tunnel_for(guest, made)
    service = guest.serve(tunnel)
    waiting = guest.user()
    guest.visitor.stop()
    world.until(lambda: waiting.end)
    assert guest.visitor.phase is Phase.CLOSED
    user.write(b"still")
    world.until(lambda: service.got == b"still")
    late, far = world.endpoints()
    tunnel.give(late)  # for one who has gone
    late_service = Duplex(far)
    world.until(lambda: late_service.end)
    guest.visitor.start(guest.server.visitor)
    guest.user()
    assert len(tunnel.asked) == 1
    assert len(made) == 1
    guest.visitor.close()
    assert tunnel.closed == 1


# Another way.


def other(guest: Guest, name: str = "relay", *, runs: bool = True) -> list[Endpoint]:
    """Let there be a stcp visitor; return the users that it gets."""
    config = StcpVisitorConfig(name="u.relay", section="relay", server_name="s", bind_port=-1)
    visitor = StcpVisitor(guest.context, config)
    taken: list[Endpoint] = []
    visitor.on_user = taken.append  # type: ignore[assignment, method-assign] # to see who comes
    if runs:
        visitor.start(guest.server.visitor)
    guest.others[name] = visitor
    return taken


def test_a_user_who_has_waited_long_enough_goes_by_another_visitor(
    world: World, made: list[FakePuncher]
) -> None:
    guest = Guest(world, fallback_to="relay", fallback_timeout_ms=200)
    taken = other(guest)
    user = guest.user()
    world.until(lambda: made)
    world.advance(0.2)
    world.until(lambda: taken)
    assert not user.end
    assert guest.visitor.counters.connections_open == 0
    tunnel = FakeTunnel()
    made[0].on_tunnel(tunnel)
    guest.user()
    assert len(tunnel.asked) == 1  # the next one goes directly
    taken[0].close()


def test_nobody_waits_for_what_will_not_come(world: World, made: list[FakePuncher]) -> None:
    guest = Guest(world, fallback_to="relay")
    taken = other(guest)
    first = guest.user()
    world.until(lambda: made)
    made[0].fail()
    assert len(taken) == 1
    second = Wire.to(world, guest.port)
    world.until(lambda: len(taken) == 2)  # no other attempt may be made yet
    assert (first.end, second.end) == ("", "")
    assert len(made) == 1
    for one in taken:
        one.close()


@pytest.mark.parametrize("runs", [False, None], ids=["at rest", "unknown"])
def test_a_fallback_that_cannot_be_had_is_told(
    world: World, made: list[FakePuncher], caplog: pytest.LogCaptureFixture, runs: bool | None
) -> None:
    guest = Guest(world, fallback_to="relay")
    if runs is not None:
        other(guest, runs=runs)
    user = guest.user()
    world.until(lambda: made)
    made[0].fail()
    world.until(lambda: user.end)
    assert "transfer connection to visitor relay error" in caplog.text


# The early ways.


def test_towards_an_early_far_end_each_user_has_a_tunnel_of_his_own(
    world: World, made: list[FakePuncher]
) -> None:
    guest = Guest(world)
    guest.server.early = EARLY_B
    users = [guest.user(), guest.user()]
    world.until(lambda: len(made) == 2)
    tunnels = [FakeTunnel(once=True), FakeTunnel(once=True)]
    for attempt, tunnel in zip(made, tunnels, strict=True):
        attempt.on_tunnel(tunnel)
    services = [guest.serve(tunnel, b"answer") for tunnel in tunnels]
    world.until(lambda: all(user.received == b"answer" for user in users))
    services[0].endpoint.close()
    users[0].close()
    world.until(lambda: tunnels[0].closed)
    assert not tunnels[1].closed
    assert len(guest.relays) == 1


def test_an_early_attempt_ends_with_its_user(world: World, made: list[FakePuncher]) -> None:
    guest = Guest(world)
    guest.server.early = EARLY_B
    failing, leaving, refused = guest.user(), guest.user(), guest.user()
    world.until(lambda: len(made) == 3)
    made[0].fail("closed")
    world.until(lambda: failing.end)
    tunnel = FakeTunnel(once=True)
    made[2].on_tunnel(tunnel)
    tunnel.refuse()
    world.until(lambda: refused.end)
    assert tunnel.closed == 1
    guest.visitor.stop()
    world.until(lambda: leaving.end)
    assert made[1].cancelled == 1


def test_an_old_way_that_we_lack_is_told(
    world: World,
    made: list[FakePuncher],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(xtcp, "VISITOR_WAYS", {})
    guest = Guest(world)
    guest.server.early = EARLY_B
    user = guest.user()
    world.until(lambda: user.end)
    assert "punches holes in an old way (b)" in caplog.text
    assert not made
