"""Matchmaker: both ends hear of each other on their control streams, as since frp 0.49."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.proto.message.types import DetectBehavior, NatHoleReport, NatHoleResp, PortsRange
from frpd.server.nathole import holes
from frpd.server.nathole.matchmaker import MAX_TOLD
from tests.helpers.peers import ScriptedClient
from tests.helpers.world import World
from tests.unit.server.nathole.cast import EASY, EASY_TOO, OURS, REGULAR, Cast

BAD_LISTS = [
    ([], "not enough addresses"),
    (["198.51.100.11:1"], "not enough addresses"),
    (["198.51.100.11:1"] * 11, "too many addresses"),
    (["198.51.100.11:1", "198.51.100.11:0"], "an address that nobody can be sent to"),
]


def test_both_hear_where_the_other_is_and_how_to_try(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    cast.ask(mapped_addrs=EASY, assisted_addrs=["10.0.0.1:40000", "junk", "10.0.0.1:40000"])
    work = cast.house.serve(cast.owner)
    sid = cast.told(work).sid
    work.until_end()
    cast.answer(sid, REGULAR, assisted_addrs=["10.0.0.2:50000"])
    assert cast.visitor.control.receive(NatHoleResp) == NatHoleResp(
        transaction_id="of visitor",
        sid=sid,
        protocol="kcp",
        candidate_addrs=REGULAR,
        assisted_addrs=["10.0.0.2:50000"],
        detect_behavior=DetectBehavior(
            role="receiver",
            mode=1,
            ttl=7,
            read_timeout=5000,
            candidate_ports=[PortsRange(49995, 50009)],
        ),
    )
    assert cast.owner.control.take_all(NatHoleResp) == []  # it sends, and is told a second later
    world.advance(1.0)
    assert cast.owner.control.receive(NatHoleResp) == NatHoleResp(
        transaction_id="of owner",
        sid=sid,
        protocol="kcp",
        candidate_addrs=EASY[:1],
        assisted_addrs=["10.0.0.1:40000"],
        detect_behavior=DetectBehavior(role="sender", mode=1, read_timeout=5000),
    )


@pytest.mark.parametrize(("asked", "told"), [("kcp", "kcp"), ("quic", "quic"), ("", "quic")])
def test_the_visitor_chooses_what_carries_the_tunnel(world: World, asked: str, told: str) -> None:
    cast = Cast(world)
    cast.proxy()
    cast.ask(protocol=asked)
    cast.answer(cast.told(cast.house.serve(cast.owner)).sid, EASY_TOO)
    world.settle()
    world.advance(1.0)
    for client in (cast.visitor, cast.owner):
        assert client.control.receive(NatHoleResp).protocol == told


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"proxy_name": "none"}, {}, "xtcp server for [none] doesn't exist"),
    ({"proxy_name": "none", "pre_check": True}, {}, "xtcp server for [none] doesn't exist"),
    ({"sk": "no"}, {}, "xtcp connection of [hole] auth failed"),
    ({}, {"allow_users": ["bob"]}, "xtcp visitor user [ann] not allowed for [hole]"),
    (
        {"pre_check": True, "sk": "no"},
        {"allow_users": ["bob"]},
        "xtcp visitor user [ann] not allowed for [hole]",
    ),
]


@pytest.mark.parametrize(("asked", "proxy", "error"), REFUSED)
def test_who_may_not_is_told_in_frp_s_words(
    world: World, asked: dict[str, Any], proxy: dict[str, Any], error: str
) -> None:
    cast = Cast(world, visitor={"user": "ann"})
    cast.proxy(**({"allow_users": ["*"]} | proxy))
    answer = cast.refusal(**asked)
    assert answer == NatHoleResp(transaction_id="of visitor", error=error)
    assert cast.holes == 0


def test_a_refusal_is_logged_once_and_a_few_of_each_client(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    cast = Cast(world)
    cast.proxy()
    for number in (0, 0, *range(MAX_TOLD + 3)):
        assert cast.refusal(proxy_name=f"none{number}").error
    lines = [line for line in caplog.messages if "hole refused" in line]
    assert len(lines) == MAX_TOLD
    run_id = cast.visitor.run_id
    text = f"127.0.0.1: [{run_id}] hole refused: xtcp server for [none0] doesn't exist"
    assert lines[0].endswith(text)


def test_a_stcp_proxy_has_no_hole(world: World) -> None:
    cast = Cast(world)
    assert cast.owner.new_proxy("hole", 0, "stcp", sk="hole key").error == ""
    assert cast.refusal().error == "xtcp server for [hole] doesn't exist"


def test_a_check_beforehand_needs_no_key_and_disturbs_nobody(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    answer = cast.refusal(pre_check=True, sk="", mapped_addrs=[])
    assert answer == NatHoleResp(transaction_id="of visitor")
    assert cast.holes == 0


def test_errors_can_be_kept_to_ourselves(world: World) -> None:
    cast = Cast(world, detailed_errors_to_client=False)
    assert cast.refusal().error == "nat hole error"


@pytest.mark.parametrize(("version", "early"), [("0.24.1", "a"), ("0.25.0", "b"), ("0.48.0", "b")])
def test_who_asks_for_an_old_owner_is_told_which_way_it_punches(
    world: World, version: str, early: str
) -> None:
    cast = Cast(world, owner={"version": version})
    cast.proxy()
    text = "xtcp proxy [hole] is served by a client that punches the old way"
    for pre_check in (True, False):
        answer = cast.refusal(pre_check=pre_check)
        assert (answer.error, answer.early) == (text, early)


def test_an_end_of_ours_is_never_old(world: World) -> None:
    cast = Cast(world, owner={"version": "0.21.0", **OURS})
    cast.proxy()
    assert cast.refusal(pre_check=True).error == ""


@pytest.mark.parametrize(("mapped", "text"), BAD_LISTS)
def test_a_visitor_that_cannot_be_sent_to_is_told(
    world: World, mapped: list[str], text: str
) -> None:
    cast = Cast(world)
    cast.proxy()
    answer = cast.refusal(mapped_addrs=mapped)
    assert answer.error == f"classify visitor nat feature error: {text}"
    assert cast.holes == 0


@pytest.mark.parametrize(("mapped", "text"), BAD_LISTS)
def test_an_owner_that_cannot_be_sent_to_is_told_and_so_is_the_visitor(
    world: World, mapped: list[str], text: str
) -> None:
    cast = Cast(world)
    cast.proxy()
    cast.ask()
    cast.answer(cast.told(cast.house.serve(cast.owner)).sid, mapped)
    reason = f"classify client nat feature error: {text}"
    for client, transaction in ((cast.visitor, "of visitor"), (cast.owner, "of owner")):
        answer = client.control.receive(NatHoleResp)
        assert answer.error.endswith(reason)
        assert answer.transaction_id == transaction
    assert cast.holes == 0


def test_an_owner_that_says_nothing_is_given_up(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    cast.ask()
    sid = cast.told(cast.house.serve(cast.owner)).sid
    world.advance(9.9)
    assert cast.visitor.control.take_all(NatHoleResp) == []
    world.advance(0.2)
    error = cast.visitor.control.receive(NatHoleResp).error
    assert error == "[hole] the owner did not answer within 10 s"
    cast.answer(sid, EASY_TOO)
    assert cast.owner.control.take_all(NatHoleResp) == []
    assert cast.holes == 0


def test_an_owner_without_a_work_connection_is_told_of_to_the_visitor(world: World) -> None:
    cast = Cast(world, user_conn_timeout=5)
    cast.proxy()
    cast.ask()
    world.settle()
    world.advance(5.1)
    error = cast.visitor.control.receive(NatHoleResp).error
    assert error == "[hole] the owner cannot be told: timeout trying to get work connection"
    assert cast.holes == 0


def test_nobody_but_the_owner_can_answer_or_report(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    cast.ask()
    sid = cast.told(cast.house.serve(cast.owner)).sid
    owner, cast.owner = cast.owner, cast.house.client(version="0.51.3")
    cast.answer(sid, EASY_TOO)
    assert cast.owner.control.take_all(NatHoleResp) == []
    cast.owner = owner
    cast.answer(sid, EASY_TOO)
    cast.answer(sid, REGULAR)  # the first word counts
    world.settle()
    world.advance(1.0)
    assert cast.visitor.control.receive(NatHoleResp).candidate_addrs == EASY_TOO[:1]
    assert len(cast.owner.control.take_all(NatHoleResp)) == 1
    cast.visitor.control.send(NatHoleReport(sid=sid, success=True))
    world.settle()
    assert cast.holes == 1


def roles(cast: Cast, *, success: bool) -> list[tuple[int, str]]:
    """Meet once; return ttl and role of the visitor, then of the owner."""
    answers = cast.meet(EASY, EASY_TOO)
    cast.owner.control.send(NatHoleReport(sid=answers[0].sid, success=success))
    cast.world.settle()
    assert cast.holes == 0
    told = [answer.detect_behavior for answer in answers]
    return [(one.ttl, one.role) for one in told if one is not None]


def test_a_visitor_that_is_to_wait_hears_when_the_owner_gives_up_meanwhile(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    roles(cast, success=False)
    cast.ask()
    sid = cast.told(cast.house.serve(cast.owner)).sid
    cast.answer(sid, EASY_TOO)
    assert cast.owner.control.receive(NatHoleResp).error == ""
    assert cast.visitor.control.take_all(NatHoleResp) == []
    cast.owner.control.send(NatHoleReport(sid=sid))
    error = cast.visitor.control.receive(NatHoleResp).error
    assert error == "[hole] the owner has given up: its log says why"
    world.advance(2.0)
    assert cast.visitor.control.take_all(NatHoleResp) == []


def test_what_has_worked_is_tried_again_and_what_failed_is_not(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    first = [(7, "receiver"), (0, "sender")]
    assert roles(cast, success=False) == first
    second = roles(cast, success=True)
    assert second == [(0, "sender"), (7, "receiver")]
    assert roles(cast, success=True) == second


def test_a_hole_is_remembered_until_a_report_could_have_come(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    answer, _ = cast.meet(EASY, EASY_TOO)
    world.advance(33.9)  # 5 s of trying and 30 s, less the one that has passed
    assert cast.holes == 1
    world.advance(0.2)
    assert cast.holes == 0
    cast.owner.control.send(NatHoleReport(sid=answer.sid, success=True))
    world.settle()


def test_unknown_sids_are_nothing(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    cast.answer("no such sid", EASY)
    cast.owner.control.send(NatHoleReport(sid="no such sid", success=True))
    assert cast.owner.control.take_all(NatHoleResp) == []


def test_a_visitor_has_so_many_holes_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holes, "MAX_PER_VISITOR", 2)
    cast = Cast(world)
    cast.proxy()
    for _ in range(2):
        cast.ask()
    assert cast.refusal().error == "too many hole punchings at a time"
    assert cast.holes == 2
    other = cast.house.client(version="0.51.3")
    cast.ask(other)
    world.settle()
    assert cast.holes == 3


def loopback(client: ScriptedClient) -> list[str]:
    host, port = client.wire.address
    return [f"{host}:{port}"] * 2


def test_who_is_here_may_say_so(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    of_visitor, of_owner = cast.meet(loopback(cast.visitor), loopback(cast.owner))
    assert of_visitor.candidate_addrs == loopback(cast.owner)[:1]
    assert of_owner.candidate_addrs == loopback(cast.visitor)[:1]


def test_nothing_is_left_of_who_has_gone(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    cast.ask()
    cast.told(cast.house.serve(cast.owner))
    cast.visitor.close()
    cast.owner.close()
    world.until(lambda: not cast.house.service.controls)
    world.advance(10.0)
    assert cast.holes == 0
    cast.house.until_empty()


def test_close_forgets_everybody(world: World) -> None:
    cast = Cast(world)
    cast.proxy()
    cast.ask()
    cast.told(cast.house.serve(cast.owner))
    cast.ask()
    world.settle()
    assert cast.holes == 2
    cast.house.service._nat_holes.close()
    assert cast.holes == 0
