"""Behaviours: frp's tables, written out as frp has them, and what comes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto.message.types import DetectBehavior, PortsRange
from frpd.server.nathole.behaviours import (
    MODES,
    Behaviour,
    Choice,
    behaviours,
    first_scores,
    instructions,
)
from frpd.server.nathole.classify import NatFeature, classify

EASY = classify(["1.1.1.1:5", "1.1.1.1:5"], [])
PUBLIC = classify(["1.1.1.1:5", "1.1.1.1:5"], ["1.1.1.1"])
REGULAR = classify(["1.1.1.1:5", "1.1.1.1:7"], [])
IRREGULAR = classify(["1.1.1.1:5", "1.1.1.1:500"], [])
OTHER_IP = classify(["1.1.1.1:5", "2.2.2.2:5"], [])

S, R = "sender", "receiver"
# role, ttl, delay, near, random, listen - of the owner, then of the visitor
WRITTEN = {
    0: [
        ((S, 0, 0, 0, 0, 0), (R, 7, 0, 0, 0, 0)),
        ((R, 7, 0, 0, 0, 0), (S, 0, 0, 0, 0, 0)),
        ((S, 0, 0, 0, 0, 0), (R, 4, 0, 0, 0, 0)),
        ((R, 4, 0, 0, 0, 0), (S, 0, 0, 0, 0, 0)),
        ((S, 0, 0, 0, 0, 0), (R, 0, 0, 0, 0, 0)),
        ((R, 0, 0, 0, 0, 0), (S, 0, 0, 0, 0, 0)),
        ((S, 0, 5000, 0, 0, 0), (R, 0, 0, 0, 0, 0)),
        ((S, 0, 10000, 0, 0, 0), (R, 0, 0, 0, 0, 0)),
        ((R, 0, 0, 0, 0, 0), (S, 0, 5000, 0, 0, 0)),
        ((R, 0, 0, 0, 0, 0), (S, 0, 10000, 0, 0, 0)),
    ],
    1: [
        ((S, 0, 0, 0, 0, 0), (R, 7, 0, 10, 0, 0)),
        ((S, 0, 2000, 0, 0, 0), (R, 7, 0, 10, 0, 0)),
        ((S, 0, 0, 0, 0, 0), (R, 4, 0, 10, 0, 0)),
        ((S, 0, 2000, 0, 0, 0), (R, 4, 0, 10, 0, 0)),
        ((S, 0, 0, 0, 0, 0), (R, 0, 0, 10, 0, 0)),
        ((S, 0, 2000, 0, 0, 0), (R, 0, 0, 10, 0, 0)),
    ],
    2: [
        ((S, 0, 3000, 0, 1000, 0), (R, 7, 0, 0, 0, 256)),
        ((S, 0, 3000, 0, 1000, 0), (R, 4, 0, 0, 0, 256)),
        ((S, 0, 3000, 0, 1000, 0), (R, 0, 0, 0, 0, 256)),
    ],
    3: [
        ((S, 0, 0, 10, 0, 0), (R, 7, 0, 10, 0, 0)),
        ((S, 0, 0, 10, 0, 0), (R, 4, 0, 10, 0, 0)),
        ((S, 0, 0, 10, 0, 0), (R, 0, 0, 10, 0, 0)),
        ((R, 7, 0, 10, 0, 0), (S, 0, 0, 10, 0, 0)),
        ((R, 4, 0, 10, 0, 0), (S, 0, 0, 10, 0, 0)),
        ((R, 0, 0, 10, 0, 0), (S, 0, 0, 10, 0, 0)),
    ],
    4: [
        ((S, 0, 3000, 0, 1000, 0), (R, 7, 0, 2, 0, 256)),
        ((S, 0, 3000, 0, 1000, 0), (R, 4, 0, 2, 0, 256)),
        ((S, 0, 3000, 0, 1000, 0), (R, 0, 0, 2, 0, 256)),
    ],
}


def row(one: Behaviour) -> tuple[str, int, int, int, int, int]:
    numbers = (one.ttl, one.delay_ms, one.near_ports, one.random_ports, one.listen_ports)
    return (one.role, *numbers)


@pytest.mark.parametrize("mode", WRITTEN)
def test_the_table_is_frp_s(mode: int) -> None:
    assert [(row(owner), row(visitor)) for owner, visitor in MODES[mode]] == WRITTEN[mode]


def test_there_is_no_other_mode() -> None:
    assert len(MODES) == len(WRITTEN)


def modes(owner: NatFeature, visitor: NatFeature) -> list[int]:
    return list(dict.fromkeys(mode for mode, _ in first_scores(owner, visitor)))


LISTS = [
    (EASY, EASY, [0]),
    (PUBLIC, EASY, [0]),
    (EASY, REGULAR, [1, 2, 0]),
    (REGULAR, EASY, [1, 2, 0]),
    (EASY, IRREGULAR, [2, 1, 0]),
    (OTHER_IP, EASY, [2, 1, 0]),
    (REGULAR, REGULAR, [3, 4]),
    (REGULAR, IRREGULAR, [4]),
    (OTHER_IP, REGULAR, [4]),
    (IRREGULAR, OTHER_IP, [0, 1, 3]),
]


@pytest.mark.parametrize(("owner", "visitor", "expected"), LISTS)
def test_what_is_tried_depends_on_both_nats(
    owner: NatFeature, visitor: NatFeature, expected: list[int]
) -> None:
    assert modes(owner, visitor) == expected
    for mode in expected:
        indexes = [index for one, index in first_scores(owner, visitor) if one == mode]
        assert indexes == list(range(len(WRITTEN[mode])))


def test_scores_begin_with_zero_and_hopeless_ones_with_one() -> None:
    assert set(first_scores(EASY, REGULAR).values()) == {0}
    assert set(first_scores(IRREGULAR, IRREGULAR).values()) == {1}


def favoured_roles(owner: NatFeature, visitor: NatFeature) -> tuple[set[str], set[str]]:
    """Roles of the owner in mode 0 that begin with one point, and those that begin with none."""
    scores = first_scores(owner, visitor)
    roles: dict[int, set[str]] = {0: set(), 1: set()}
    for (mode, index), score in scores.items():
        if mode == 0:
            roles[score].add(MODES[mode][index][0].role)
    return roles[1], roles[0]


def test_who_is_public_is_first_tried_as_the_receiver() -> None:
    assert favoured_roles(PUBLIC, EASY) == ({R}, {S})
    assert favoured_roles(EASY, PUBLIC) == ({S}, {R})
    assert favoured_roles(PUBLIC, PUBLIC) == ({R}, {S})
    assert favoured_roles(PUBLIC, IRREGULAR) == ({R}, {S})
    assert favoured_roles(EASY, EASY) == (set(), {S, R})


ROLES: list[tuple[Choice, NatFeature, NatFeature, str]] = [
    ((0, 0), EASY, EASY, S),
    ((0, 1), EASY, EASY, R),
    ((1, 0), REGULAR, EASY, S),
    ((1, 0), EASY, REGULAR, R),
    ((2, 0), EASY, IRREGULAR, S),
    ((2, 0), IRREGULAR, EASY, R),
    ((3, 0), REGULAR, REGULAR, S),
    ((3, 3), REGULAR, REGULAR, R),
    ((4, 0), REGULAR, IRREGULAR, S),
    ((4, 0), IRREGULAR, REGULAR, R),
]


@pytest.mark.parametrize(("choice", "owner", "visitor", "role"), ROLES)
def test_the_harder_nat_decides_who_sends(
    choice: Choice, owner: NatFeature, visitor: NatFeature, role: str
) -> None:
    of_owner, of_visitor = behaviours(choice, owner, visitor)
    assert of_owner.role == role
    assert {of_owner.role, of_visitor.role} == {S, R}


def test_a_sender_that_waits_has_less_time_to_read() -> None:
    sender, receiver = (
        Behaviour(S, delay_ms=3000, random_ports=1000),
        Behaviour(R, listen_ports=256),
    )
    assert instructions(2, sender, receiver, EASY, 40000) == DetectBehavior(
        role=S, mode=2, send_delay_ms=3000, read_timeout=35000, send_random_ports=1000
    )
    assert instructions(2, receiver, sender, EASY, 40000) == DetectBehavior(
        role=R, mode=2, read_timeout=38000, listen_random_ports=256
    )
    assert instructions(0, Behaviour(S), Behaviour(R, ttl=7), EASY, 1).read_timeout == 5000


PORTS = [
    (REGULAR, 10, 40000, (39993, 40007)),
    (REGULAR, 2, 40000, (39998, 40002)),
    (IRREGULAR, 10, 40000, (39990, 40010)),
    (EASY, 10, 40000, (39995, 40005)),
    (REGULAR, 10, 3, (1, 10)),
    (REGULAR, 10, 65530, (65523, 65535)),
]


@pytest.mark.parametrize(("peer", "near", "port", "expected"), PORTS)
def test_ports_near_the_last_one_are_tried(
    peer: NatFeature, near: int, port: int, expected: tuple[int, int]
) -> None:
    told = instructions(1, Behaviour(R, near_ports=near), Behaviour(S), peer, port)
    assert told.candidate_ports == [PortsRange(*expected)]
    assert instructions(1, Behaviour(R), Behaviour(S), peer, port).candidate_ports == []


@given(st.integers(1, 65535), st.integers(0, 65534), st.sampled_from([2, 10]))
def test_no_range_is_long_or_leaves_the_ports(port: int, difference: int, near: int) -> None:
    peer = NatFeature(REGULAR.kind, difference)
    told = instructions(1, Behaviour(R, near_ports=near), Behaviour(S), peer, port)
    (ports,) = told.candidate_ports
    assert 1 <= ports.from_ <= port <= ports.to <= 65535
    assert ports.to - ports.from_ <= 2 * near
