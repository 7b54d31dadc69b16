"""Holes of the newest way: both ends, a STUN server, and a server that introduces them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frpd.client.nathole import hole
from frpd.client.nathole.hole import OwnerHole, VisitorHole, nat_of_other
from frpd.client.nathole.tunnel import Tunnel
from frpd.config.proxies import XtcpProxyConfig
from frpd.config.secret import Secret
from frpd.config.visitors import XtcpVisitorConfig
from frpd.errors import FrpError
from frpd.net.endpoint import Endpoint
from frpd.proto.message.types import DetectBehavior, NatHoleResp, NatHoleSid
from tests.helpers.duplex import Duplex
from tests.helpers.stun_server import StunServer
from tests.helpers.world import World
from tests.unit.client.nathole.stage import Introducer, flow, hole_context

VISITOR = XtcpVisitorConfig(
    name="u.vv", section="vv", server_name="u.vault", sk=Secret("sk"), protocol="kcp"
)
OWNER = XtcpProxyConfig(name="u.vault", section="vault", sk=Secret("sk"))


class Both:
    """A visitor that wants a hole, and the owner who is told of it."""

    def __init__(
        self, world: World, stun: str, *, owner_sk: str = "sk", protocol: str = "kcp"
    ) -> None:
        self.world = world
        self.server = Introducer(world)
        self.server.on_notice = self._notice
        self.context = hole_context(world, stun)
        self.tunnels: list[Tunnel] = []
        self.failed: list[str] = []
        self.owner_config = replace(OWNER, sk=Secret(owner_sk))
        self.owner: OwnerHole | None = None
        self.visitor = VisitorHole(
            self.context,
            replace(VISITOR, protocol=protocol),
            self.server.visitor,
            self.tunnels.append,
            self._failed,
        )
        self.visitor.start()

    def _notice(self, notice: NatHoleSid) -> None:
        work, far = self.world.endpoints()
        far.close()
        self.owner = OwnerHole(
            self.context,
            self.owner_config,
            self.server.owner,
            work,
            notice,
            on_tunnel=self.tunnels.append,
            on_failed=self._failed,
        )
        self.owner.start()

    def _failed(self, error: FrpError) -> None:
        self.failed.append(str(error))

    def cancel(self) -> None:
        self.visitor.cancel()
        if self.owner is not None:
            self.owner.cancel()


def test_both_ends_get_a_tunnel_and_the_server_a_report(world: World) -> None:
    with StunServer() as stun:
        both = Both(world, stun.where)
        world.until(lambda: both.tunnels)
    flow(world, lambda: len(both.tunnels) == 2)
    owner, visitor = both.tunnels
    world.until(lambda: both.server.reports == [True])
    said = both.server.visitor_said
    assert said is not None
    assert (said.proxy_name, said.protocol) == ("u.vault", "kcp")
    assert len(said.sign_key) == 32
    assert len(said.mapped_addrs) == 2
    services: list[Duplex] = []
    askers: list[Duplex] = []

    def serve(stream: Endpoint) -> None:
        services.append(Duplex(stream, b"answer"))

    owner.accept_streams(serve)
    visitor.open_stream(
        lambda stream: askers.append(Duplex(stream, b"question")), lambda _error: None
    )
    flow(world, lambda: services and services[0].got == b"question")
    flow(world, lambda: askers[0].got == b"answer")
    visitor.close()
    flow(world, lambda: not owner.is_usable)
    owner.close()
    flow(world, lambda: world.loop.watch_count == 0)


def test_without_aioquic_a_visitor_asks_for_kcp_and_an_owner_says_what_is_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hole, "has_quic", lambda: False)
    with StunServer() as stun:
        both = Both(world, stun.where, protocol="quic")
        both.server.protocol = "quic"  # as if another visitor had asked
        world.until(lambda: both.failed)
    assert "the visitor wants a tunnel of quic" in both.failed[0]
    said = both.server.visitor_said
    assert said is not None
    assert said.protocol == "kcp"
    world.until(lambda: both.server.reports == [False])  # so that the visitor need not wait
    both.cancel()
    assert not both.tunnels
    world.until(lambda: world.loop.watch_count == 0)


def test_with_aioquic_the_tunnel_is_one_of_quic(world: World) -> None:
    pytest.importorskip("aioquic")
    with StunServer() as stun:
        both = Both(world, stun.where, protocol="quic")
        world.until(lambda: both.tunnels)
    flow(world, lambda: len(both.tunnels) == 2)
    owner, visitor = both.tunnels
    assert owner.describe().startswith("quic ")
    services: list[Duplex] = []
    askers: list[Duplex] = []
    owner.accept_streams(lambda stream: services.append(Duplex(stream)))
    visitor.open_stream(
        lambda stream: askers.append(Duplex(stream, b"question")), lambda _error: None
    )
    flow(world, lambda: services and services[0].got == b"question")
    visitor.close()
    flow(world, lambda: not owner.is_usable)
    flow(world, lambda: world.loop.watch_count == 0)


def test_a_hole_that_stays_closed_names_both_nats(world: World) -> None:
    with StunServer() as stun:
        both = Both(world, stun.where, owner_sk="another")
        world.until(lambda: both.server.owner_said)
    world.settle()
    world.pass_time(7.0)
    world.until(lambda: len(both.failed) == 2)
    assert both.failed[0] == (
        "wait detect message timeout: no hole between our NAT, EasyNAT (BehaviorNoChange), "
        "and the other one, EasyNAT (BehaviorNoChange)"
    )
    world.until(lambda: both.server.reports == [False])
    assert world.loop.watch_count == 0
    assert world.loop.timer_count == 0


def test_addresses_of_this_machine_are_told_unless_forbidden(world: World) -> None:
    with StunServer() as stun:
        both = Both(world, stun.where)
        both.cancel()
        hidden = replace(both.context, tells_local_addresses=False)
        attempt = VisitorHole(
            hidden, VISITOR, both.server.visitor, both.tunnels.append, lambda _error: None
        )
        attempt.start()
        both.server.error = "xtcp connection of [u.vault] auth failed"
        world.until(lambda: both.server.visitor_said)
    said = both.server.visitor_said
    assert said is not None
    assert said.assisted_addrs == []
    world.until(lambda: world.loop.watch_count == 0)


def test_a_refusal_of_the_server_is_the_reason(world: World) -> None:
    with StunServer() as stun:
        both = Both(world, stun.where)
        both.server.error = "xtcp connection of [u.vault] auth failed"
        world.until(lambda: both.failed)
    assert both.failed == ["xtcp connection of [u.vault] auth failed"]
    assert world.loop.watch_count == 0


def test_without_a_session_or_a_stun_server_there_is_no_hole(world: World) -> None:
    with StunServer() as stun:
        both = Both(world, stun.where)
        both.server.visitor.answers.close()
        world.until(lambda: both.failed)
    assert both.failed == ["the session with the server has ended"]
    both = Both(world, "nowhere:x")
    world.until(lambda: both.failed)
    assert both.failed[0].startswith("discover error: ")
    assert world.loop.watch_count == 0


@pytest.mark.parametrize("moment", ["discovering", "asking", "punching", "reopening"])
def test_cancelling_leaves_nothing_at_any_moment(world: World, moment: str) -> None:
    with StunServer() as stun:
        both = Both(world, stun.where)
        server = both.server
        if moment == "asking":
            server.on_notice = lambda _notice: None
            world.until(lambda: server.visitor_said)
        elif moment == "punching":
            server.roles = (DetectBehavior(role="sender"), DetectBehavior(role="sender"))
            world.until(lambda: server.owner_said)
            world.settle()
        elif moment == "reopening":
            world.until(lambda: both.tunnels)  # the owner's
            world.settle()
        both.cancel()
        both.cancel()
        for tunnel in both.tunnels:
            tunnel.close()
        world.pass_time(12.0)  # nobody takes the tunnel's farewell
        world.until(lambda: world.loop.watch_count == 0)
    assert len(both.tunnels) < 2
    assert not both.failed


def test_the_other_nat_is_known_as_far_as_the_server_tells() -> None:
    assert nat_of_other(None) == "unknown"
    assert nat_of_other(NatHoleResp()) == "unknown"
    assert nat_of_other(NatHoleResp(candidate_addrs=["nonsense"])) == "unknown"
    hard = NatHoleResp(candidate_addrs=["1.2.3.4:5", "1.2.3.4:6"], assisted_addrs=["1.2.3.4:5"])
    assert nat_of_other(hard) == "HardNAT (BehaviorPortChanged, public network)"
