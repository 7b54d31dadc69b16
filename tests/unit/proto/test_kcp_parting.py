"""Parting: an end is repeated until it was taken, and Go can make nothing of it."""

from __future__ import annotations

import pytest

from frpd.proto.kcp.connection import KcpConnection, conversation_of, opens
from frpd.proto.kcp_parting import BYTES, TRIES, Farewell, Kind, Parting, read_farewell


def heard(datagrams: list[bytes]) -> list[Farewell]:
    farewells = [read_farewell(datagram) for datagram in datagrams]
    assert None not in farewells
    return [one for one in farewells if one is not None]


@pytest.mark.parametrize("kind", Kind)
def test_what_is_said_is_understood(kind: Kind) -> None:
    farewell = Farewell(0xDEADBEEF, kind, 1 << 40, 2)
    assert read_farewell(farewell.encode()) == farewell


@pytest.mark.parametrize("kind", Kind)
def test_to_kcp_it_is_nothing(kind: Kind) -> None:
    datagram = Farewell(7, kind, 3).encode()
    assert conversation_of(datagram) is None
    assert not opens(datagram)
    kcp = KcpConnection(7, now=0.0)
    kcp.receive_datagram(datagram, 0.0)
    assert (kcp.ignored, kcp.datagrams_to_send(0.0), kcp.readable_bytes) == (1, [], 0)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        bytes(BYTES),
        Farewell(7, Kind.END, 3).encode()[:-1],
        Farewell(7, Kind.END, 3).encode() + b"\0",
        bytes(5) + Farewell(7, Kind.END).encode()[5:],
        b"\7\0\0\0\x7e\6" + Farewell(7, Kind.END).encode()[6:],
        b"\7\0\0\0\x7e\0" + Farewell(7, Kind.END).encode()[6:],
        Farewell(7, Kind.END).encode()[:12] + bytes(4) + Farewell(7, Kind.END).encode()[16:],
    ],
)
def test_nothing_else_is_taken_for_it(datagram: bytes) -> None:
    assert read_farewell(datagram) is None


def test_an_end_is_repeated_until_it_was_taken() -> None:
    near, far = Parting(7), Parting(7)
    near.say(Kind.END, 100, 1.0)
    assert near.next_deadline() == 1.0
    [said] = heard(near.datagrams_to_send(1.0))
    assert (said.kind, said.position) == (Kind.END, 100)
    assert near.datagrams_to_send(1.1) == []
    again = near.next_deadline()
    assert again is not None
    [said] = heard(near.datagrams_to_send(again))
    far.receive(said)
    far.receive(said)
    assert (far.heard, far.peer_is_gone) == (100, False)
    [taken] = heard(far.datagrams_to_send(9.0))
    near.receive(taken)
    assert near.is_taken
    assert near.next_deadline() is None
    assert near.datagrams_to_send(100.0) == []


def test_that_an_end_was_taken_does_not_say_that_we_read_no_more() -> None:
    near, far = Parting(7), Parting(7)
    near.say(Kind.END, 100, 1.0)
    far.receive(heard(near.datagrams_to_send(1.0))[0])
    near.say(Kind.GONE, 100, 1.1)
    near.receive(heard(far.datagrams_to_send(1.1))[0])
    assert not near.is_taken
    far.receive(heard(near.datagrams_to_send(1.1))[0])
    assert (far.heard, far.peer_is_gone) == (100, True)


def test_who_never_answers_is_given_up() -> None:
    parting = Parting(7)
    parting.say(Kind.GONE, 0, 0.0)
    said, passed = 0, 0.0
    while (due := parting.next_deadline()) is not None:
        assert not parting.has_given_up
        passed = due
        said += len(parting.datagrams_to_send(due))
    assert (said, parting.has_given_up) == (TRIES, True)
    assert 2.0 < passed < 10.0


def test_a_reset_is_noted_and_an_end_cannot_be_moved() -> None:
    parting = Parting(7)
    parting.receive(Farewell(7, Kind.END, 10))
    parting.receive(Farewell(7, Kind.END, 5))
    assert (parting.heard, parting.was_reset) == (10, False)
    parting.receive(Farewell(7, Kind.TAKEN, 10, Kind.END))
    assert not parting.is_taken
    parting.receive(Farewell(7, Kind.RESET))
    assert parting.was_reset


def test_one_of_ours_is_asked_for_longer_before_it_counts_as_gone() -> None:
    near, far = Parting(7), Parting(7)
    near.say(Kind.ASK, 5, 0.0)
    far.receive(heard(near.datagrams_to_send(0.0))[0])
    assert (far.heard, far.peer_is_ours, far.peer_is_gone) == (None, True, False)
    near.receive(heard(far.datagrams_to_send(0.0))[0])
    assert (near.is_taken, near.peer_is_ours) == (True, True)
    near.say(Kind.ASK, 5, 100.0)
    passed = 0.0
    while (due := near.next_deadline()) is not None:
        passed = due
        near.datagrams_to_send(due)
    assert near.has_given_up
    assert 130.0 < passed < 150.0
