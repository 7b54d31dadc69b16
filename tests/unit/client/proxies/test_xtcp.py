"""XtcpProxy: the owner of a hole, whose tunnel's streams are users of the service."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.client.nathole.generation import NEWEST, HoleContext, OnFailed, OnTunnel, Signalling
from frpd.client.proxies import xtcp
from frpd.client.proxies.base import ProxyContext
from frpd.client.proxies.xtcp import MAX_HOLES, MAX_TUNNELS, NOTICE_SECONDS, XtcpProxy
from frpd.client.servers import make_server
from frpd.config.proxies import ProxyConfig, XtcpProxyConfig
from frpd.config.secret import Secret
from frpd.entropy import SystemEntropy
from frpd.log import get_logger
from frpd.metrics.counters import ProxyCounters
from frpd.net.connector import Connector
from frpd.net.endpoint import Endpoint
from frpd.net.resolver import Resolver
from frpd.proto.ciphers import derive_key
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import EARLY_A, Message, NatHoleSid, Ping, StartWorkConn
from frpd.relay.relay import Running
from frpd.transports.work import WorkStream
from tests.helpers.duplex import Duplex
from tests.helpers.world import World
from tests.unit.client.nathole.stage import FakePuncher, FakeTunnel, Introducer, hole_context

START = StartWorkConn(proxy_name="u.vault")


class Service:
    """Who takes the users of the tunnels."""

    def __init__(self, context: ProxyContext, config: ProxyConfig) -> None:
        del config
        self.context = context
        self.counters = ProxyCounters()
        self.users: list[Endpoint] = []
        self.retired = self.closed = 0

    def on_work(self, work: WorkStream, start: StartWorkConn) -> None:
        assert start is START
        assert work.seal is None
        self.users.append(work.endpoint)

    def retire(self) -> None:
        self.retired += 1

    def close(self) -> None:
        self.closed += 1


class Owner:
    """A client with one xtcp proxy."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.made: list[FakePuncher] = []
        self.ways: list[str] = []
        self.works: list[Endpoint] = []
        self.session: Signalling | None = Introducer(world).owner
        self.services: list[Service] = []
        resolver = Resolver(world.pool)
        self.context = ProxyContext(
            loop=world.loop,
            entropy=SystemEntropy(),
            connector=Connector(world.loop, resolver),
            relays=self,
            log=get_logger("tests").prefixed("vault"),
            cipher_key=derive_key("token"),
            features=lambda: frozenset({"half-close"}),
            holes=hole_context(world),
            session=lambda: self.session,
        )
        config = XtcpProxyConfig(name="u.vault", section="vault", sk=Secret("sk"))
        self.proxy = XtcpProxy(self.context, config, self._serve)
        world.owners.callback(self.proxy.close)

    def relay_started(self, relay: Running) -> None:
        raise AssertionError

    def relay_ended(self, relay: Running) -> None:
        raise AssertionError

    def _serve(self, context: ProxyContext, config: ProxyConfig) -> Service:
        self.services.append(Service(context, config))
        return self.services[-1]

    def way(self, name: str) -> Any:
        def make(
            _context: HoleContext,
            _config: ProxyConfig,
            _session: Signalling,
            work: Endpoint,
            _notice: NatHoleSid,
            *,
            on_tunnel: OnTunnel,
            on_failed: OnFailed,
        ) -> FakePuncher:
            self.ways.append(name)
            self.works.append(work)
            work.close()
            return FakePuncher(self.made, on_tunnel, on_failed)

        return make

    def announce(self, *messages: Message) -> Duplex:
        near, far = self.world.endpoints()
        self.proxy.on_work(WorkStream(near), START)
        return Duplex(far, b"".join(map(encode_message, messages)))


@pytest.fixture
def owner(world: World, monkeypatch: pytest.MonkeyPatch) -> Owner:
    """Return an owner whose ways are fakes."""
    made = Owner(world)
    ways = {NEWEST: made.way(NEWEST), EARLY_A: made.way(EARLY_A)}
    monkeypatch.setattr(xtcp, "OWNER_WAYS", ways)
    return made


def test_a_notice_leads_to_a_tunnel_and_its_streams_are_users(world: World, owner: Owner) -> None:
    server = owner.announce(NatHoleSid(sid="1"))
    world.until(lambda: owner.made)
    assert owner.ways == [NEWEST]
    world.until(lambda: server.end == "eof")
    assert owner.proxy.under_way
    tunnel = FakeTunnel()
    owner.made[0].on_tunnel(tunnel)
    assert not owner.proxy.under_way
    assert tunnel.accepting is not None
    near, far = world.endpoints()
    tunnel.accepting(near)
    (service,) = owner.services
    assert service.users == [near]
    assert service.context.cipher_key == derive_key("sk")
    assert service.context.features() == frozenset()
    assert owner.proxy.counters is service.counters
    near.close()
    far.close()
    tunnel.lose()
    owner.proxy.close()
    assert tunnel.closed == 0
    assert service.closed == 1
    assert world.loop.timer_count == 0


def test_the_way_is_what_the_notice_says_or_the_servers_age(world: World, owner: Owner) -> None:
    owner.announce(NatHoleSid(sid="1", early=EARLY_A))
    world.until(lambda: owner.ways == [EARLY_A])
    session = Introducer(world).owner
    session.server_version, session.server_udp = "0.21.0", ("127.0.0.1", 7002)
    owner.session = session
    owner.announce(NatHoleSid(sid="2"))
    world.until(lambda: owner.ways == [EARLY_A, EARLY_A])


def test_a_failed_attempt_is_over(
    world: World, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    owner.announce(NatHoleSid(sid="1"))
    world.until(lambda: owner.made)
    owner.made[0].fail("closed")
    assert "no tunnel to a visitor: closed" in caplog.text
    assert not owner.proxy.under_way


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ((Ping(),), "unexpected Ping"),
        ((NatHoleSid(sid="1", early="z"),), "in an old way (z)"),
    ],
    ids=["another message", "unknown way"],
)
def test_what_cannot_be_answered_is_told(
    world: World,
    owner: Owner,
    caplog: pytest.LogCaptureFixture,
    said: tuple[Message, ...],
    reason: str,
) -> None:
    server = owner.announce(*said)
    world.until(lambda: server.end)
    assert reason in caplog.text
    assert not owner.made
    assert not owner.proxy.under_way


def test_a_work_connection_that_says_nothing_or_ends_is_given_up(
    world: World, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    silent, ending = owner.announce(), owner.announce()
    ending.endpoint.close()
    world.until(lambda: "ended without a word" in caplog.text)
    world.advance(NOTICE_SECONDS)
    world.until(lambda: silent.end)
    assert "no notice within 10 s" in caplog.text
    assert not owner.proxy.under_way


def test_a_retired_owner_finishes_with_the_users_it_has(world: World, owner: Owner) -> None:
    owner.announce(NatHoleSid(sid="1"))
    owner.announce(NatHoleSid(sid="2"))
    world.until(lambda: len(owner.made) == 2)
    tunnel = FakeTunnel()
    owner.made[0].on_tunnel(tunnel)
    owner.proxy.retire()
    assert (tunnel.retired, tunnel.closed) == (1, 0)
    assert owner.made[1].cancelled == 1
    assert owner.services[0].retired == 1
    owner.proxy.close()
    owner.proxy.close()
    assert tunnel.closed == 1


def test_everything_has_a_bound(
    world: World, owner: Owner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert (MAX_HOLES, MAX_TUNNELS) == (64, 256)
    monkeypatch.setattr(xtcp, "MAX_HOLES", 1)
    monkeypatch.setattr(xtcp, "MAX_TUNNELS", 0)
    owner.announce(NatHoleSid(sid="1"))
    world.until(lambda: owner.made)
    refused = owner.announce(NatHoleSid(sid="2"))
    world.until(lambda: refused.end)
    assert "a visitor is not answered: 1 are" in caplog.text
    tunnel = FakeTunnel()
    owner.made[0].on_tunnel(tunnel)
    assert tunnel.closed == 1
    assert "a tunnel was closed: there are 0" in caplog.text


def test_without_a_session_nobody_is_answered(world: World, owner: Owner) -> None:
    owner.session = None
    server = owner.announce(NatHoleSid(sid="1"))
    world.until(lambda: server.end)
    assert not owner.made


def test_a_plugin_may_be_the_service(world: World, owner: Owner) -> None:
    config = XtcpProxyConfig(name="u.vault", section="vault", sk=Secret("sk"), plugin="socks5")
    server = make_server(owner.context, config)
    assert isinstance(server, XtcpProxy)
    server.close()
    assert world.loop.timer_count == 0
