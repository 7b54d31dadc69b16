"""Plans: what the server tells an end to do, within bounds."""

from __future__ import annotations

import pytest

from frpd.client.nathole.plan import (
    MAX_ADDRESSES,
    MAX_DELAY_SECONDS,
    MAX_GUESSED_PORTS,
    MAX_LISTENED_PORTS,
    MAX_RANDOM_PORTS,
    MAX_READ_SECONDS,
    READ_SECONDS,
    plan_of,
)
from frpd.entropy import SystemEntropy
from frpd.errors import RemoteProtocolError, TransportError
from frpd.proto.message.types import DetectBehavior, NatHoleResp, PortsRange

CANDIDATES = ["198.51.100.7:4000", "198.51.100.7:4002"]


def answer(**behavior: object) -> NatHoleResp:
    return NatHoleResp(
        sid="sid",
        candidate_addrs=list(CANDIDATES),
        assisted_addrs=["10.0.0.5:5000", "[fe80::1]:5000"],
        detect_behavior=DetectBehavior(**behavior),  # type: ignore[arg-type]
    )


def test_a_sender_waits_and_sends_to_the_near_addresses_first() -> None:
    plan = plan_of(answer(role="sender", send_delay_ms=3000, read_timeout=2000))
    assert plan.is_sender
    assert (plan.delay_seconds, plan.read_seconds) == (3.0, 2.0)
    assert plan.direct == (("10.0.0.5", 5000), ("198.51.100.7", 4000), ("198.51.100.7", 4002))


def test_a_receiver_sends_at_once_with_a_short_life_and_listens_widely() -> None:
    plan = plan_of(answer(role="receiver", ttl=7, send_delay_ms=3000, listen_random_ports=256))
    assert not plan.is_sender
    assert (plan.ttl, plan.delay_seconds, plan.listened_ports) == (7, 0.0, 256)
    assert plan.direct == (("198.51.100.7", 4000), ("198.51.100.7", 4002))
    assert plan.read_seconds == READ_SECONDS


def test_guessed_ports_take_the_place_of_known_ones_for_a_receiver() -> None:
    ports = [PortsRange(3999, 4001)]
    plan = plan_of(answer(role="receiver", candidate_ports=ports))
    assert plan.direct == ()
    assert plan.guessed == tuple(("198.51.100.7", port) for port in (3999, 4000, 4001))
    assert plan_of(answer(role="sender", candidate_ports=ports)).direct


def test_random_ports_are_those_of_users() -> None:
    plan = plan_of(answer(role="sender", send_random_ports=100))
    tried = list(plan.random_addresses(SystemEntropy().token_bytes))
    assert len(tried) == 100
    assert {ip for ip, _ in tried} == {"198.51.100.7"}
    assert all(1024 <= port <= 65535 for _, port in tried)


def test_nothing_exceeds_our_bounds() -> None:
    huge = 2**40
    asked = answer(
        role="sender",
        ttl=huge,
        send_delay_ms=huge,
        read_timeout=huge,
        candidate_ports=[PortsRange(-5, huge), PortsRange(1, 65535)],
        send_random_ports=huge,
    )
    asked.candidate_addrs = [f"198.51.100.{number}:1" for number in range(100)]
    plan = plan_of(asked)
    assert (plan.ttl, plan.delay_seconds, plan.read_seconds) == (
        0,
        MAX_DELAY_SECONDS,
        MAX_READ_SECONDS,
    )
    assert len(plan.guessed) == MAX_GUESSED_PORTS
    assert plan.random_ports == MAX_RANDOM_PORTS
    assert len(plan.direct) == MAX_ADDRESSES + 1
    asked = answer(role="receiver", listen_random_ports=huge)
    assert plan_of(asked).listened_ports == MAX_LISTENED_PORTS


def test_negative_numbers_count_as_none() -> None:
    plan = plan_of(answer(role="sender", ttl=-1, send_delay_ms=-1, send_random_ports=-1))
    assert (plan.ttl, plan.delay_seconds, plan.random_ports) == (0, 0.0, 0)


def test_a_refusal_is_the_servers_own_text() -> None:
    with pytest.raises(TransportError, match="doesn't exist"):
        plan_of(NatHoleResp(error="xtcp server for [vault] doesn't exist"))


@pytest.mark.parametrize("candidates", [[], ["nobody"], ["[::1]:5"]])
def test_an_answer_without_addresses_makes_no_sense(candidates: list[str]) -> None:
    with pytest.raises(RemoteProtocolError, match="no address"):
        plan_of(NatHoleResp(candidate_addrs=candidates))


def test_without_a_behavior_we_receive() -> None:
    plan = plan_of(NatHoleResp(sid="sid", candidate_addrs=list(CANDIDATES)))
    assert not plan.is_sender
