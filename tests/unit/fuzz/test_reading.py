"""What the targets rely on: cuts lose nothing, and a difference between readings is seen."""

from __future__ import annotations

from random import Random

import pytest

from frpd.errors import RemoteProtocolError
from fuzz.mutation import mutate
from fuzz.reading import Choices, Reading, cut, read, same, same_bytes

DATA = bytes(range(256)) * 3


@pytest.mark.parametrize("plan", [0, 1, 2, 3, 4, 5, 255])
def test_a_cut_loses_nothing_and_is_the_same_each_time(plan: int) -> None:
    pieces = list(cut(DATA, plan))
    assert b"".join(pieces) == DATA
    assert all(pieces)
    assert pieces == list(cut(DATA, plan))


def test_plans_0_and_1_are_the_whole_and_single_bytes() -> None:
    assert list(cut(DATA, 0)) == [DATA]
    assert {len(piece) for piece in cut(DATA, 1)} == {1}


def test_choices_are_zeros_in_the_end() -> None:
    choices = Choices(b"\x05\x01\x00x")
    assert (choices.byte(), choices.number(2), bool(choices)) == (5, 256, True)
    assert (choices.rest(), bool(choices), choices.byte(), choices.take(4)) == (b"x", False, 0, b"")


def test_readings_end_with_a_refusal_and_other_errors_come_through() -> None:
    def feed(piece: bytes) -> list[bytes]:
        if piece == b"bad":
            raise RemoteProtocolError(piece.decode())
        return [piece, str(1 // (piece != b"bug")).encode()]

    assert read(feed, [b"a", b"bad", b"b"]) == Reading([b"a", b"1"], True)
    with pytest.raises(ZeroDivisionError):
        read(feed, [b"bug"])


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (Reading([1, 2], False), Reading([1, 2], False), True),
        (Reading([1, 2], False), Reading([1], False), False),
        (Reading([1, 2], False), Reading([1, 2], True), False),
        (Reading([1, 2], True), Reading([1], True), True),
        (Reading([1, 2], True), Reading([2], True), False),
    ],
)
def test_readings_agree_as_far_as_they_may(one: Reading, other: Reading, agree: bool) -> None:
    if agree:
        same(one, other)
    else:
        with pytest.raises(AssertionError):
            same(one, other)


def test_pieces_of_one_stream_are_joined_before_they_are_compared() -> None:
    same_bytes(Reading([b"ab", b"c"], False), Reading([b"a", b"bc"], False))


def test_changes_are_bounded_and_the_same_for_one_seed() -> None:
    inputs = [b"", b"hello", bytes(300)]
    made = [[mutate(inputs, random, 100) for _ in range(200)] for random in (Random(1), Random(1))]
    assert made[0] == made[1]
    assert max(map(len, made[0])) == 100
    assert len(set(made[0])) > 100
