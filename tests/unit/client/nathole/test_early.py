"""Early holes on the loop: our two ends and a small helper of their server, on loopback."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from frpd.auth.token import privilege_key
from frpd.client.nathole.answers import Answers
from frpd.client.nathole.early import (
    FIRST_BYTES_SECONDS,
    EarlyOwnerPunch,
    EarlyPuncher,
    EarlyVisitorPunch,
)
from frpd.client.nathole.early_tunnel import BareTunnel, OwnersTunnel
from frpd.client.nathole.generation import HoleContext
from frpd.client.nathole.tunnel import MuxTunnel, Tunnel
from frpd.config.proxies import XtcpProxyConfig
from frpd.config.secret import Secret
from frpd.config.visitors import XtcpVisitorConfig
from frpd.log import get_logger
from frpd.net.address import join_host_port
from frpd.net.resolver import Resolver
from frpd.proto.early_punch import CONVERSATION, kcp_probe
from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.kcp_parting import Farewell, Kind
from frpd.proto.message.codec import MessageDecoder, decode_message, encode_message
from frpd.proto.message.types import (
    EARLY_A,
    EARLY_B,
    Message,
    NatHoleClient,
    NatHoleClientDetectOK,
    NatHoleResp,
    NatHoleSid,
    NatHoleVisitor,
)
from frpd.transports.kcp_endpoint import CLOSE_SECONDS
from tests.helpers.endpoint import ScriptedEndpoint
from tests.helpers.udp import has_ipv6
from tests.helpers.world import FixedEntropy, World
from tests.unit.transports.links import Reader, Writer, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from frpd.errors import FrpError
    from frpd.net.endpoint import Endpoint

SID = "179534475662ec7f61e9d2ba51"
SK = "sk"
DATA = bytes(range(256)) * 1200
BOTH = pytest.mark.parametrize("generation", [EARLY_A, EARLY_B])


@dataclass
class FakeSession:
    """Satisfies Signalling."""

    server_udp: tuple[str, int] | None
    features: frozenset[str] = frozenset()
    server_version: str = "0.31.0"
    answers: Answers = field(default_factory=lambda: cast("Answers", None))

    def send(self, message: Message) -> None:
        raise AssertionError(message)


class Peer:
    """A socket that the test drives: the server's helper, or a Go end.

    Attributes:
        heard: what came, with its sender.
    """

    def __init__(self, world: World, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind((host, 0))
        world.stack.callback(self.sock.close)
        world.peers.append(self)
        self.address: tuple[str, int] = self.sock.getsockname()[:2]
        self.heard: list[tuple[bytes, tuple[str, int]]] = []

    def pump(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self.heard.append(self.sock.recvfrom(2048))

    def say(self, data: bytes, to: tuple[str, int]) -> None:
        self.sock.sendto(data, to)

    def messages(self) -> list[tuple[Message, tuple[str, int]]]:
        return [(decode_message(data), source) for data, source in self.heard]


@dataclass
class Attempt:
    """What has come of one; streams that the far end opens are taken."""

    tunnels: list[Tunnel] = field(default_factory=list)
    errors: list[FrpError] = field(default_factory=list)
    streams: list[Endpoint] = field(default_factory=list)

    def take(self, tunnel: Tunnel) -> None:
        self.tunnels.append(tunnel)

    def take_and_accept(self, tunnel: Tunnel) -> None:
        self.tunnels.append(tunnel)
        tunnel.accept_streams(self.streams.append)

    @property
    def tunnel(self) -> Tunnel:
        [tunnel] = self.tunnels
        assert not self.errors
        return tunnel

    @property
    def error(self) -> str:
        assert not self.tunnels
        [error] = self.errors
        return str(error)


class Stage:
    """A visitor, an owner, and what stands between them."""

    def __init__(self, world: World, host: str = "127.0.0.1") -> None:
        self.world = world
        self.server = Peer(world, host)
        self.session = FakeSession(self.server.address)
        self.context = HoleContext(
            loop=world.loop,
            entropy=FixedEntropy(),
            resolver=Resolver(world.pool),
            log=get_logger("test"),
            stun_server="",
        )
        self.work = ScriptedEndpoint(world.loop)
        self.notice = NatHoleSid(sid=SID)
        self.visited, self.owned = Attempt(), Attempt()
        self.punches: list[EarlyPuncher] = []
        world.owners.callback(self.close)

    def close(self) -> None:
        for punch in self.punches:
            punch.cancel()
        for tunnel in self.visited.tunnels + self.owned.tunnels:
            tunnel.close()
        self.world.pass_time(2 * CLOSE_SECONDS, CLOSE_SECONDS)

    def visit(self, generation: str) -> EarlyVisitorPunch:
        config = XtcpVisitorConfig(
            name="v", section="v", server_name="x", sk=Secret(SK), bind_port=-1
        )
        punch = EarlyVisitorPunch(
            self.context,
            config,
            self.session,
            self.visited.take,
            self.visited.errors.append,
            generation=generation,
        )
        self.punches.append(punch)
        punch.start()
        return punch

    def own(self, generation: str) -> EarlyOwnerPunch:
        config = XtcpProxyConfig(name="x", section="x", sk=Secret(SK))
        punch = EarlyOwnerPunch(
            self.context,
            config,
            self.session,
            self.work,
            self.notice,
            self.owned.take_and_accept,
            self.owned.errors.append,
            generation=generation,
        )
        self.punches.append(punch)
        punch.start()
        return punch

    def asked(self, count: int) -> list[tuple[str, int]]:
        """Wait until so many ends have asked the server; return where they are."""
        self.world.until(lambda: len(self.server.heard) >= count)
        return [source for _, source in self.server.heard]

    def answer(self, to: tuple[str, int], visitor: tuple[str, int], owner: tuple[str, int]) -> None:
        answer = NatHoleResp(sid=SID, visitor_addr=_text(visitor), client_addr=_text(owner))
        self.server.say(encode_message(answer), to)

    def said_on_work(self) -> list[Message]:
        decoder = MessageDecoder()
        decoder.receive_data(self.work.got)
        return list(iter(decoder.next_message, None))

    def meet(self, generation: str) -> None:
        """Let our two ends find each other."""
        self.visit(generation)
        self.own(generation)
        visitor, owner = self.asked(2)
        self.answer(owner, visitor, owner)
        if generation == EARLY_B:
            self.world.until(lambda: self.work.got, "the owner tells the server")
        self.answer(visitor, visitor, owner)
        self.world.settle()
        for _ in range(100):
            if self.visited.tunnels:
                return
            self.world.pass_time(0.1, 0.05)

    def join(self) -> tuple[Endpoint, Endpoint]:
        """Return the user's stream at both ends."""
        users: list[Endpoint] = []
        self.visited.tunnel.open_stream(users.append, fail)
        for _ in range(100):
            if self.owned.tunnels:
                break
            self.world.pass_time(0.1, 0.05)
        self.world.until(lambda: users and self.owned.streams)
        return users[0], self.owned.streams[0]


def _text(address: tuple[str, int]) -> str:
    return join_host_port(*address[:2])


def exchange(world: World, near: Endpoint, far: Endpoint, data: bytes) -> tuple[Reader, Reader]:
    readers = Reader(near), Reader(far)
    for sender, reader in ((near, readers[1]), (far, readers[0])):
        writer = Writer(sender, data)
        reader.resume()
        for _ in range(500):
            if reader.got == data:
                break
            world.pass_time(0.02, 0.02)
        assert reader.got == data
        assert not writer.left
    return readers


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world)


# Our two ends.


@BOTH
def test_our_ends_meet_and_carry_a_user(world: World, stage: Stage, generation: str) -> None:
    before = world.census()
    stage.meet(generation)
    near, far = stage.join()
    kind = MuxTunnel if generation == EARLY_B else BareTunnel
    assert isinstance(stage.visited.tunnel, kind)
    assert isinstance(stage.owned.tunnel, kind)
    assert stage.visited.tunnel.once
    assert stage.owned.tunnel.once
    exchange(world, near, far, DATA)
    stage.visited.tunnel.close()
    stage.owned.tunnel.close()
    world.pass_time(15.0, 0.5)
    world.until(before.is_back, "nothing is left open")  # a worker may still look something up
    assert before.timers_are_back()


@BOTH
@pytest.mark.parametrize("leaver", ["visitor", "owner"])
def test_when_the_user_has_left_both_ends_let_go(
    world: World, stage: Stage, generation: str, leaver: str
) -> None:
    before = world.census()
    stage.meet(generation)
    lost: list[str] = []
    near, far = stage.join()
    stage.owned.tunnel.on_lost = lost.append
    readers = Reader(near), Reader(far)
    world.settle()
    first, second, reader = (
        (near, far, readers[1]) if leaver == "visitor" else (far, near, readers[0])
    )
    first.close()
    world.pass_time(1.0, 0.1)
    assert reader.end == "eof"
    second.close()
    stage.visited.tunnel.close()  # as its visitor does
    world.pass_time(15.0, 0.5)
    assert len(lost) == 1
    world.until(before.is_back, "nothing is left open")  # a worker may still look something up
    assert before.timers_are_back()


@BOTH
def test_a_service_may_speak_first(world: World, stage: Stage, generation: str) -> None:
    stage.meet(generation)
    near, far = stage.join()
    reader = Reader(near)
    Writer(far, b"SSH-2.0-hello")
    world.pass_time(0.2, 0.02)
    assert reader.got == b"SSH-2.0-hello"


def test_the_visitor_s_request_is_signed(stage: Stage) -> None:
    stage.visit(EARLY_A)
    stage.asked(1)
    [(request, _)] = stage.server.messages()
    assert isinstance(request, NatHoleVisitor)
    assert request.proxy_name == "x"
    assert request.sign_key == privilege_key(SK, request.timestamp)


def test_the_owner_names_the_hole(stage: Stage) -> None:
    stage.own(EARLY_A)
    stage.asked(1)
    [(request, _)] = stage.server.messages()
    assert request == NatHoleClient(proxy_name="x", sid=SID)


# What the server is told on the work stream.


def test_a_server_since_0_25_hears_when_the_owner_has_sent(world: World, stage: Stage) -> None:
    far = Peer(world)
    stage.own(EARLY_B)
    [owner] = stage.asked(1)
    assert stage.said_on_work() == []
    stage.answer(owner, far.address, owner)
    world.until(lambda: far.heard)
    world.until(lambda: stage.said_on_work() == [NatHoleClientDetectOK()])


def test_an_older_server_hears_nothing_that_it_does_not_know(world: World, stage: Stage) -> None:
    far = Peer(world)
    stage.own(EARLY_A)
    [owner] = stage.asked(1)
    stage.answer(owner, far.address, owner)
    world.pass_time(3.0, 0.1)
    assert far.heard
    assert stage.work.got == b""


def test_a_server_of_ours_hears_at_once_even_of_the_oldest(world: World, stage: Stage) -> None:
    stage.session.features = frozenset({"half-close"})
    far = Peer(world)
    stage.own(EARLY_A)
    [owner] = stage.asked(1)
    stage.answer(owner, far.address, owner)
    world.until(lambda: stage.said_on_work() == [NatHoleClientDetectOK()])
    assert far.heard == []


@pytest.mark.parametrize("act", ["end", "reset"])
def test_the_end_of_the_work_stream_ends_nothing(world: World, stage: Stage, act: str) -> None:
    far = Peer(world)
    stage.own(EARLY_B)
    [owner] = stage.asked(1)
    getattr(stage.work, act)()
    world.settle()
    stage.answer(owner, far.address, owner)
    world.until(lambda: far.heard)
    assert stage.owned.errors == []


# A Go visitor, and our owner.


def go_visitor(world: World, stage: Stage) -> tuple[Peer, tuple[str, int]]:
    far = Peer(world)
    stage.own(EARLY_B)
    [owner] = stage.asked(1)
    stage.answer(owner, far.address, owner)
    world.until(lambda: far.heard)
    assert far.heard[0][0] == SID.encode()
    far.heard.clear()
    return far, owner


def first_segment(data: bytes) -> bytes:
    kcp = KcpConnection(CONVERSATION, now=0.0)
    kcp.send(data)
    [datagram] = kcp.datagrams_to_send(0.0)
    return datagram


def test_the_owner_answers_a_sid_with_the_same(world: World, stage: Stage) -> None:
    far, owner = go_visitor(world, stage)
    far.say(SID.encode(), owner)
    world.until(lambda: far.heard)
    assert far.heard[0] == (SID.encode(), owner)


def test_yamux_in_the_first_bytes_makes_a_tunnel_of_b_for_one_user(
    world: World, stage: Stage
) -> None:
    far, owner = go_visitor(world, stage)
    kcp = KcpConnection(CONVERSATION, now=0.0)

    def say(data: bytes) -> None:
        kcp.send(data)
        for datagram in kcp.datagrams_to_send(0.0):
            far.say(datagram, owner)

    say(bytes.fromhex("000100010000000100000000"))
    world.until(lambda: stage.owned.streams)
    assert isinstance(stage.owned.tunnel, OwnersTunnel)
    say(bytes.fromhex("000100010000000300000000"))
    world.settle()
    assert len(stage.owned.streams) == stage.owned.tunnel.stream_count == 1


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"\0\0\0\x54\0\3\0\0user"])
def test_anything_else_is_the_user_s_own(world: World, stage: Stage, data: bytes) -> None:
    far, owner = go_visitor(world, stage)
    far.say(first_segment(data), owner)
    world.until(lambda: stage.owned.tunnels)
    world.until(lambda: stage.owned.streams)
    reader = Reader(stage.owned.streams[0])
    world.until(lambda: reader.got == data)
    assert isinstance(stage.owned.tunnel, BareTunnel)


@pytest.mark.parametrize("data", [b"\0", b"\0\1\0"])
def test_too_few_bytes_are_waited_for_but_not_for_long(
    world: World, stage: Stage, data: bytes
) -> None:
    far, owner = go_visitor(world, stage)
    far.say(first_segment(data), owner)
    world.settle()
    assert not stage.owned.tunnels
    world.advance(FIRST_BYTES_SECONDS)
    assert isinstance(stage.owned.tunnel, BareTunnel)


def test_a_visitor_that_only_listens_is_found_by_asking(world: World, stage: Stage) -> None:
    far, owner = go_visitor(world, stage)
    kcp = KcpConnection(CONVERSATION, now=0.0)
    for _ in range(60):
        world.pass_time(0.1, 0.05)
        for data, _ in far.heard:
            kcp.receive_datagram(data, 0.0)
        far.heard.clear()
        for datagram in kcp.datagrams_to_send(0.0):
            far.say(datagram, owner)
        if stage.owned.tunnels:
            break
    assert isinstance(stage.owned.tunnel, BareTunnel)


# Failures.


def test_a_server_without_a_port_for_it_is_no_help(stage: Stage) -> None:
    stage.session.server_udp = None
    stage.visit(EARLY_A)
    stage.own(EARLY_A)
    assert stage.visited.error == "the server has no UDP port for xtcp"
    assert stage.owned.error == stage.visited.error
    assert stage.work.acts == ["close"]


def test_a_refusal_is_reported_in_the_server_s_words(world: World, stage: Stage) -> None:
    before = world.census()
    stage.visit(EARLY_B)
    [visitor] = stage.asked(1)
    refusal = NatHoleResp(error="xtcp connection of [x] auth failed")
    stage.server.say(encode_message(refusal), visitor)
    world.until(lambda: stage.visited.errors)
    assert stage.visited.error == "xtcp connection of [x] auth failed"
    world.until(before.is_back, "nothing is left open")  # a worker may still look something up
    assert before.timers_are_back()


@BOTH
def test_a_silent_server_fails_both_ends_in_time(
    world: World, stage: Stage, generation: str
) -> None:
    before = world.census()
    stage.visit(generation)
    stage.own(generation)
    world.pass_time(11.0, 0.5)
    assert "no answer from the server's UDP port" in stage.visited.error
    assert "no answer from the server's UDP port" in stage.owned.error
    assert stage.work.acts == ["close"]
    world.until(before.is_back, "nothing is left open")  # a worker may still look something up
    assert before.timers_are_back()


@BOTH
def test_a_silent_peer_fails_both_ends_in_time(world: World, stage: Stage, generation: str) -> None:
    before = world.census()
    stage.visit(generation)
    stage.own(generation)
    visitor, owner = stage.asked(2)
    nowhere = Peer(world)
    opened = before.fds + 1
    stage.answer(owner, nowhere.address, owner)
    stage.answer(visitor, visitor, nowhere.address)
    world.settle()
    world.pass_time(10.0, 0.25)
    assert "no hole" in stage.owned.error
    if generation == EARLY_A:  # it has tried once more
        world.pass_time(10.0, 0.25)
        assert "no answer" in stage.visited.error
    else:
        assert "no hole" in stage.visited.error
    # Also a thread of the process that only looks something up holds a file meanwhile.
    world.until(lambda: before.count_fds() <= opened, "all descriptors are closed")
    assert before.timers_are_back()


def test_a_visitor_of_a_tries_once_more(world: World, stage: Stage) -> None:
    stage.visit(EARLY_A)
    for count in (1, 2):
        visitor = stage.asked(count)[-1]
        nowhere = Peer(world)
        stage.answer(visitor, visitor, nowhere.address)
        world.settle()
        assert not stage.visited.errors
        world.pass_time(5.0, 0.25)
    assert "no hole" in stage.visited.error
    first, second = stage.asked(2)
    assert first != second


@BOTH
@pytest.mark.parametrize("stop", range(6))
def test_a_cancelled_attempt_holds_nothing_and_calls_nobody(
    world: World, stage: Stage, generation: str, stop: int
) -> None:
    before = world.census()
    far = Peer(world)
    stage.visit(generation)
    stage.own(generation)
    visitor, owner = stage.asked(2)
    steps: list[Callable[[], None]] = [
        lambda: stage.answer(visitor, visitor, far.address),
        lambda: stage.answer(owner, far.address, owner),
        lambda: world.pass_time(1.2, 0.1),
        lambda: far.say(SID.encode(), owner),
        lambda: far.say(kcp_probe(0), owner),
    ]
    for step in steps[:stop]:
        step()
        world.settle()
    for punch in stage.punches:
        punch.cancel()
        punch.cancel()
    world.pass_time(15.0, 0.5)
    for attempt in (stage.visited, stage.owned):
        assert attempt == Attempt()
    assert world.loop.watch_count == before.watches
    assert before.timers_are_back()
    # a worker that looks something up meanwhile has descriptors of its own
    world.until(lambda: before.count_fds() <= before.fds + 1, "no descriptor left")


def test_it_works_over_ipv6(world: World) -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    stage = Stage(world, "::1")
    stage.meet(EARLY_A)
    near, far = stage.join()
    exchange(world, near, far, b"over IPv6")


def test_a_server_that_has_no_address_is_told(world: World, stage: Stage) -> None:
    stage.session.server_udp = ("no-such-name.invalid", 7001)
    stage.visit(EARLY_B)
    world.until(lambda: stage.visited.errors)
    assert "no-such-name.invalid" in stage.visited.error


def test_a_server_that_names_no_hole_is_told(stage: Stage) -> None:
    stage.notice = NatHoleSid(sid="")
    stage.own(EARLY_B)
    assert stage.owned.error == "a sid of 0 characters"
    assert stage.work.acts == ["close"]


def test_whoever_guesses_no_sid_learns_and_changes_nothing(world: World, stage: Stage) -> None:
    far, owner = go_visitor(world, stage)
    stranger = Peer(world)
    for data in (b"", b"0" * len(SID), kcp_probe(0), first_segment(b"hello there")):
        stranger.say(data, owner)
    world.pass_time(2.0, 0.1)
    assert stranger.heard == []
    assert stage.owned == Attempt()
    far.say(first_segment(b"hello there"), owner)
    world.until(lambda: stage.owned.tunnels)


def test_a_visitor_that_resets_before_its_first_byte_is_a_failure(
    world: World, stage: Stage
) -> None:
    far, owner = go_visitor(world, stage)
    far.say(kcp_probe(0), owner)
    world.settle()
    far.say(Farewell(CONVERSATION, Kind.RESET).encode(), owner)
    world.until(lambda: stage.owned.errors)
    assert stage.owned.error == "connection reset by peer"
    assert stage.work.acts == ["close"]


def test_a_peer_in_another_family_is_named(world: World, stage: Stage) -> None:
    stage.visit(EARLY_B)
    [visitor] = stage.asked(1)
    answer = NatHoleResp(sid=SID, visitor_addr="127.0.0.1:1", client_addr="[2001:db8::1]:5")
    stage.server.say(encode_message(answer), visitor)
    world.until(lambda: stage.visited.errors)
    assert "[2001:db8::1]:5" in stage.visited.error
    assert "IPv4 only" in stage.visited.error
