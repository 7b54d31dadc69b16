"""What stands around a hole in tests: a server that introduces two ends, and fakes of the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frpd.client.nathole.answers import Answers
from frpd.client.nathole.generation import HoleContext, OnFailed, OnTunnel, Signalling
from frpd.client.nathole.tunnel import OnFailed as OnStreamFailed
from frpd.client.nathole.tunnel import OnStream
from frpd.entropy import SystemEntropy
from frpd.errors import TransportError
from frpd.log import get_logger
from frpd.net.endpoint import Endpoint
from frpd.net.resolver import Resolver
from frpd.proto.message.types import (
    DetectBehavior,
    Message,
    NatHoleClient,
    NatHoleReport,
    NatHoleResp,
    NatHoleSid,
    NatHoleVisitor,
)
from frpd.proto.seal_session import SessionSeal
from frpd.transports.base import OnEndpoint
from frpd.transports.base import OnFailed as OnOpenFailed
from tests.helpers.world import World

STEP_SECONDS = 0.02
SID = "sid-1"


def hole_context(world: World, stun_server: str = "127.0.0.1:9") -> HoleContext:
    return HoleContext(
        world.loop,
        SystemEntropy(),
        Resolver(world.pool),
        get_logger("tests").prefixed("vault"),
        stun_server=stun_server,
    )


def flow(world: World, fact: Callable[[], object], what: str = "") -> None:
    """Let a little time pass with each turn until ``fact()`` is true: KCP lives by its clock."""

    def later() -> object:
        world.clock.advance(STEP_SECONDS)
        return fact()

    world.until(later, what)


class Ended:
    """One end's session with the introducing server; a Session."""

    run_id = "abc"
    features: frozenset[str] = frozenset()
    server_version = "0.51.3"
    server_udp: tuple[str, int] | None = None
    seal: SessionSeal | None = None

    def __init__(self, server: Introducer) -> None:
        self.server = server
        self.sent: list[Message] = []
        self.answers = Answers(server.world.loop, self.send, SystemEntropy())

    def send(self, message: Message) -> None:
        self.sent.append(message)
        self.server.world.loop.call_soon(self.server.heard, self, message)

    def open_stream(self, on_open: OnEndpoint, on_failed: OnOpenFailed) -> None:
        raise AssertionError


class Introducer:
    """A server for one visitor and one owner.

    Attributes:
        refusal: what it says to the check; and how the owner punches,
        early: if that is an old way.
        roles: what the visitor and the owner are told to do.
        on_notice: has the owner told of the visitor.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.visitor, self.owner = Ended(self), Ended(self)
        self.refusal = self.early = self.error = ""
        self.checks = 0
        self.protocol = ""
        self.roles = (DetectBehavior(role="sender"), DetectBehavior(role="receiver"))
        self.on_notice: Callable[[NatHoleSid], object] = lambda _notice: None
        self._asked: NatHoleVisitor | None = None
        self.visitor_said: NatHoleVisitor | None = None
        self.owner_said: NatHoleClient | None = None
        self.reports: list[bool] = []

    def heard(self, session: Ended, message: Message) -> None:
        if isinstance(message, NatHoleVisitor) and message.pre_check:
            self.checks += 1
            session.answers.answered(
                NatHoleResp(message.transaction_id, error=self.refusal, early=self.early)
            )
        elif isinstance(message, NatHoleVisitor):
            self.visitor_said = message
            if self.error:
                session.answers.answered(NatHoleResp(message.transaction_id, error=self.error))
            else:
                self.on_notice(NatHoleSid(sid=SID))
        elif isinstance(message, NatHoleClient):
            self.owner_said = message
            self._introduce(message)
        elif isinstance(message, NatHoleReport):
            self.reports.append(message.success)

    def _introduce(self, owner: NatHoleClient) -> None:
        visitor = self.visitor_said
        assert visitor is not None
        for session, mine, theirs, role in (
            (self.owner, owner, visitor, self.roles[1]),
            (self.visitor, visitor, owner, self.roles[0]),
        ):
            session.answers.answered(
                NatHoleResp(
                    mine.transaction_id,
                    sid=SID,
                    protocol=self.protocol or visitor.protocol,
                    candidate_addrs=theirs.mapped_addrs,
                    assisted_addrs=theirs.assisted_addrs,
                    detect_behavior=role,
                )
            )


class FakeTunnel:
    """A Tunnel whose streams are given to it; those it is asked for wait in ``asked``."""

    def __init__(self, *, once: bool = False) -> None:
        self.once = once
        self.on_lost: Callable[[str], None] = lambda _reason: None
        self.is_usable = True
        self.stream_count = 0
        self.closed = self.retired = 0
        self.asked: list[tuple[OnStream, OnStreamFailed]] = []
        self.accepting: OnStream | None = None

    def open_stream(self, on_open: OnStream, on_failed: OnStreamFailed) -> None:
        self.asked.append((on_open, on_failed))

    def accept_streams(self, on_stream: OnStream) -> None:
        self.accepting = on_stream

    def retire(self) -> None:
        self.retired += 1

    def close(self) -> None:
        self.closed += 1
        self.is_usable = False

    def describe(self) -> str:
        return "fake 192.0.2.1:9"

    def lose(self, reason: str = "gone") -> None:
        self.is_usable = False
        self.on_lost(reason)

    def give(self, stream: Endpoint) -> None:
        """Open the stream that was asked for first."""
        self.asked.pop(0)[0](stream)

    def refuse(self) -> None:
        self.asked.pop(0)[1](TransportError("no stream"))


class FakePuncher:
    """A Puncher that the test ends; it may stand in for a visitor's or an owner's."""

    def __init__(self, made: list[FakePuncher], on_tunnel: OnTunnel, on_failed: OnFailed) -> None:
        made.append(self)
        self.on_tunnel = on_tunnel
        self.on_failed = on_failed
        self.started = self.cancelled = 0

    def start(self) -> None:
        self.started += 1

    def cancel(self) -> None:
        self.cancelled += 1

    def fail(self, reason: str = "wait detect message timeout") -> None:
        self.on_failed(TransportError(reason))


def fake_visitor_way(made: list[FakePuncher]) -> Callable[..., FakePuncher]:
    """Return a VisitorWay whose attempts are in ``made``."""

    def way(
        _context: HoleContext,
        _config: Any,
        _session: Signalling,
        opened: OnTunnel,
        failed: OnFailed,
    ) -> FakePuncher:
        return FakePuncher(made, opened, failed)

    return way
