"""UdpDesk: the two old ways, by datagrams; and all that a stranger may throw at the port."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.entropy import Entropy
from frpd.net.address import SockAddr
from frpd.proto.message.codec import decode_message, encode_message
from frpd.proto.message.types import (
    NatHoleClient,
    NatHoleClientDetectOK,
    NatHoleResp,
    NatHoleSid,
    Ping,
)
from frpd.selector_loop import SelectorLoop
from frpd.server.nathole import udp_desk
from frpd.server.nathole.udp_desk import MAX_REFUSALS_AT_ONCE, UdpDesk
from frpd.udp.datagram_socket import Ancillary
from tests.helpers.world import FixedEntropy, World
from tests.unit.server.nathole.cast import OURS, SK, Caller, Cast, early_request

A: dict[str, Any] = {"version": "0.21.0"}
B: dict[str, Any] = {"version": "0.31.0"}
C: dict[str, Any] = {"version": "0.51.3"}


def joined(visitor: Caller, owner: Caller, sid: str) -> NatHoleResp:
    return NatHoleResp(sid=sid, visitor_addr=visitor.address, client_addr=owner.address)


def test_up_to_0_24_both_are_answered_at_once(world: World) -> None:
    cast = Cast(world, owner=A)
    cast.proxy()
    visitor, owner = Caller(cast), Caller(cast)
    visitor.ask()
    work = cast.house.serve(cast.owner)
    notice = cast.told(work)
    assert notice == NatHoleSid(sid=notice.sid)
    owner.send(NatHoleClient(proxy_name="hole", sid=notice.sid))
    assert visitor.hears() == joined(visitor, owner, notice.sid)
    assert owner.hears() == joined(visitor, owner, notice.sid)
    work.until_end()
    assert cast.holes == 0


@pytest.mark.parametrize("owner_login", [B, OURS], ids=["go", "ours"])
def test_since_0_25_the_visitor_waits_until_the_owner_has_sent_something(
    world: World, owner_login: dict[str, Any]
) -> None:
    cast = Cast(world, owner=owner_login)
    cast.proxy()
    visitor, owner = Caller(cast), Caller(cast)
    visitor.ask()
    work = cast.house.serve(cast.owner)
    sid = cast.told(work).sid
    owner.send(NatHoleClient(proxy_name="hole", sid=sid))
    assert owner.hears() == joined(visitor, owner, sid)
    assert visitor.hears_nothing()
    work.send(NatHoleClientDetectOK())
    assert visitor.hears() == joined(visitor, owner, sid)
    work.until_end()
    assert cast.holes == 0


@pytest.mark.parametrize(
    ("neighbour", "guess"), [("0.21.0", "a"), ("0.31.0", "b"), ("0.51.3", "b")]
)
def test_an_owner_of_ours_hears_how_the_visitor_punches(
    world: World, neighbour: str, guess: str
) -> None:
    cast = Cast(world, owner=OURS, visitor={"version": neighbour})
    cast.proxy()
    Caller(cast).ask()
    assert cast.told(cast.house.serve(cast.owner)).early == guess


REFUSED: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    (A, {}, {"name": "none"}, "xtcp server for [none] doesn't exist"),
    (B, {}, {"sk": "no"}, "xtcp connection of [hole] auth failed"),
    (C, {}, {}, "xtcp proxy [hole] is served by a client that punches the new way"),
    (OURS, {"allow_users": ["bob"]}, {}, "xtcp visitor user [] not allowed for [hole]"),
]


@pytest.mark.parametrize(("owner", "proxy", "asked", "error"), REFUSED)
def test_who_may_not_is_told(
    world: World,
    owner: dict[str, Any],
    proxy: dict[str, Any],
    asked: dict[str, Any],
    error: str,
) -> None:
    cast = Cast(world, owner=owner)
    cast.proxy(**proxy)
    caller = Caller(cast)
    caller.ask(**asked)
    assert caller.hears() == NatHoleResp(error=error)
    assert cast.holes == 0


def test_a_visitor_is_who_has_logged_in_from_its_host(world: World) -> None:
    cast = Cast(world, owner={"user": "bob", **OURS}, visitor={"user": "bob", **B})
    cast.proxy()
    stranger, visitor = Caller(cast, "127.0.0.9"), Caller(cast)
    stranger.ask(timestamp=1)
    assert stranger.hears().error == "xtcp visitor user [] not allowed for [hole]"
    visitor.ask(timestamp=2)
    assert cast.told(cast.house.serve(cast.owner)).sid
    assert visitor.hears_nothing()


def test_an_owner_that_cannot_be_told_is_told_of_to_the_visitor(world: World) -> None:
    cast = Cast(world, owner=B, user_conn_timeout=5)
    cast.proxy()
    caller = Caller(cast)
    caller.ask()
    world.settle()
    world.advance(5.1)
    error = caller.hears().error
    assert error == "[hole] the owner cannot be told: timeout trying to get work connection"
    assert cast.holes == 0


def test_a_hole_lives_ten_seconds(world: World) -> None:
    cast = Cast(world, owner=B)
    cast.proxy()
    visitor, owner = Caller(cast), Caller(cast)
    visitor.ask()
    work = cast.house.serve(cast.owner)
    sid = cast.told(work).sid
    world.advance(9.9)
    assert cast.holes == 1
    world.advance(0.2)
    assert cast.holes == 0
    work.until_end()
    owner.send(NatHoleClient(proxy_name="hole", sid=sid))
    assert owner.hears_nothing()
    assert visitor.hears_nothing()


def test_a_visitor_is_told_nothing_while_the_owner_has_said_nothing(world: World) -> None:
    cast = Cast(world, owner=B)
    cast.proxy()
    visitor = Caller(cast)
    visitor.ask()
    work = cast.house.serve(cast.owner)
    cast.told(work)
    work.send(NatHoleClientDetectOK())
    assert visitor.hears_nothing()
    world.advance(10.0)
    assert cast.holes == 0


def test_an_owner_that_closes_its_work_stream_may_still_answer(world: World) -> None:
    cast = Cast(world, owner=B)
    cast.proxy()
    visitor, owner = Caller(cast), Caller(cast)
    visitor.ask()
    work = cast.house.serve(cast.owner)
    sid = cast.told(work).sid
    work.stream.close()
    owner.send(NatHoleClient(proxy_name="hole", sid=sid))
    assert owner.hears() == joined(visitor, owner, sid)
    world.advance(10.0)
    assert cast.holes == 0


# Strangers.


def test_a_replayed_request_is_nothing_from_elsewhere_or_later(world: World) -> None:
    cast = Cast(world, owner=B)
    cast.proxy()
    visitor, other_user, elsewhere = Caller(cast), Caller(cast), Caller(cast, "127.0.0.9")
    visitor.ask()
    cast.told(cast.house.serve(cast.owner))
    other_user.ask()  # a second one within a second, from the same host: this is no replay
    cast.told(cast.house.serve(cast.owner))
    elsewhere.ask()
    world.settle()
    assert cast.holes == 2
    world.advance(10.0)
    assert cast.holes == 0
    for caller in (visitor, elsewhere):
        caller.ask()
        assert caller.hears_nothing()
    assert cast.holes == 0


def test_a_replayed_answer_changes_nothing(world: World) -> None:
    cast = Cast(world, owner=B)
    cast.proxy()
    visitor, owner, elsewhere = Caller(cast), Caller(cast), Caller(cast)
    visitor.ask()
    work = cast.house.serve(cast.owner)
    sid = cast.told(work).sid
    for caller in (owner, elsewhere, owner):
        caller.send(NatHoleClient(proxy_name="hole", sid=sid))
        world.settle()
    assert elsewhere.hears_nothing()
    work.send(NatHoleClientDetectOK())
    assert visitor.hears() == joined(visitor, owner, sid)
    assert owner.hears() == joined(visitor, owner, sid)
    assert owner.hears_nothing()


def test_signatures_are_remembered_up_to_a_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp_desk, "MAX_SIGNATURES", 2)
    cast = Cast(world, owner=B)
    cast.proxy()
    caller = Caller(cast)
    for timestamp in range(5):
        caller.ask(timestamp=timestamp)
    world.settle()
    assert len(cast.house.service._nat_holes.desk._udp_desk._signatures) == 2


def test_refusals_are_few(world: World) -> None:
    cast = Cast(world, owner=B)
    caller = Caller(cast)
    for _ in range(int(MAX_REFUSALS_AT_ONCE) + 30):
        caller.ask()
        world.turn()
    world.settle()
    assert len(caller.inbox) == MAX_REFUSALS_AT_ONCE
    caller.inbox.clear()
    world.advance(0.1)
    for _ in range(10):
        caller.ask()
        world.turn()
    world.settle()
    assert len(caller.inbox) == 2


def test_nothing_is_told_to_who_asks_in_too_few_bytes(world: World) -> None:
    cast = Cast(world, owner=B)
    caller = Caller(cast)
    caller.throw(b"i" + (2).to_bytes(8, "big") + b"{}")
    assert caller.hears_nothing()
    asked = caller.ask(name="n" * 100)
    world.until(lambda: caller.inbox)
    assert len(caller.inbox[0]) <= 3 * asked


NOTHINGS = [
    b"",
    b"\0",
    b"i",
    encode_message(early_request())[:-1],
    encode_message(early_request()) + b"x",
    encode_message(Ping()),
    encode_message(NatHoleResp(sid="1", error="reflected")),
    encode_message(NatHoleClient(proxy_name="hole", sid="1")),
    b"i" + bytes(8),
    b"i" + (4).to_bytes(8, "big") + b"null",
    b"i" + (30).to_bytes(8, "big") + b'{"proxy_name": ["a", "list"]}  ',
    b"i" + (1500 - 9).to_bytes(8, "big") + b'{"proxy_name": "' + b"n" * 1473 + b'"}',
    b"\xff" * 1400,
]


@pytest.mark.parametrize("datagram", NOTHINGS, ids=range(len(NOTHINGS)))
def test_what_is_no_request_is_nothing(world: World, datagram: bytes) -> None:
    cast = Cast(world, owner=B)
    cast.proxy()
    census = world.census()
    caller = Caller(cast)
    caller.throw(datagram)
    assert caller.hears_nothing()
    assert cast.holes == 0
    assert census.timers_are_back()
    caller.ask(name="none")
    assert caller.hears().error


class Bench:
    """A desk without a port."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, SockAddr]] = []
        entropy: Entropy = FixedEntropy()
        self.loop = SelectorLoop()
        self.barred: set[str] = set()
        self.desk = UdpDesk(
            self.loop,
            entropy,
            proxies={},
            clients=list,
            told=lambda detail, _summary: detail,
            send=self._send,
            bars=self.barred.__contains__,
        )

    def _send(self, datagram: bytes, address: SockAddr, _via: Ancillary) -> None:
        self.sent.append((datagram, address))


def test_a_barred_address_hears_nothing(world: World) -> None:
    cast = Cast(world, owner=A, deny_cidrs=("127.0.0.2",))
    cast.proxy()
    barred = Caller(cast, "127.0.0.2")
    barred.ask()
    barred.ask(name="none")
    assert barred.hears_nothing()
    assert cast.holes == 0
    assert Caller(cast).ask()
    world.until(lambda: cast.holes)


@pytest.fixture(scope="module")
def bench() -> Any:
    bench = Bench()
    yield bench
    bench.loop.close()


SENDER = ("192.0.2.1", 1)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda kind, body: kind + len(body).to_bytes(8, "big") + body,
            st.sampled_from([b"i", b"n", b"m", b"5"]),
            st.one_of(
                st.binary(max_size=100), st.just(b'{"sid":"\\ud800","proxy_name":"\\ud800"}')
            ),
        ),
    )
)
def test_whatever_comes_grows_nothing_and_gains_nobody_much(bench: Bench, datagram: bytes) -> None:
    bench.sent.clear()
    bench.desk.receive(datagram, SENDER, [])
    assert len(bench.desk.holes) == 0
    assert not bench.desk._signatures
    assert len(bench.sent) <= 1
    for answer, address in bench.sent:
        assert address == SENDER
        assert len(answer) <= 3 * len(datagram)
        assert isinstance(decode_message(answer), NatHoleResp)


def test_every_cut_and_flip_of_a_good_request_grows_nothing(bench: Bench) -> None:
    good = encode_message(early_request(SK))
    for place in range(len(good)):
        bench.desk.receive(good[:place], SENDER, [])
        bench.desk.receive(
            good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :], SENDER, []
        )
    assert len(bench.desk.holes) == 0
    assert not bench.desk._signatures
