"""Stranger: three times what he sent, until he shows that he receives it."""

from __future__ import annotations

import pytest

from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.kcp_stranger import AMPLIFICATION, MAX_TAKEN_BYTES, Stranger

AHEAD = 987_654.321


def dialogue(ahead: float) -> tuple[list[bytes], list[bytes]]:
    """Return what one end says and what the other answers."""
    near, far = KcpConnection(7, now=ahead), KcpConnection(7, now=0.0)
    near.send(bytes(3000))
    said = near.datagrams_to_send(ahead)
    for datagram in said:
        far.receive_datagram(datagram, 0.0)
    far.send(b"and more")
    return said, far.datagrams_to_send(0.0)


def told(said: list[bytes]) -> Stranger:
    """Return a stranger that was sent all of it."""
    stranger = Stranger()
    assert stranger.may_enter(bytes(2000))
    assert stranger.may_leave(said) == said
    return stranger


def test_an_acknowledgement_shows_that_it_was_received() -> None:
    said, answers = dialogue(AHEAD)
    stranger = told(said)
    assert all(stranger.may_enter(datagram) for datagram in answers)
    assert stranger.is_proven
    assert stranger.may_leave(said * 100) == said * 100


def test_an_acknowledgement_of_another_time_shows_nothing() -> None:
    stranger = told(dialogue(AHEAD)[0])
    for datagram in dialogue(AHEAD + 1)[1]:
        stranger.may_enter(datagram)
    assert not stranger.is_proven


def test_what_is_sent_back_as_it_is_shows_nothing() -> None:
    said, _ = dialogue(AHEAD)
    stranger = told(said)
    for datagram in said:
        stranger.may_enter(datagram)
    assert not stranger.is_proven


def test_what_was_held_back_cannot_be_acknowledged() -> None:
    said, answers = dialogue(AHEAD)
    stranger = Stranger()
    assert stranger.may_leave(said) == []
    for datagram in answers:
        stranger.may_enter(datagram)
    assert not stranger.is_proven


@pytest.mark.parametrize("datagram", [b"", b"x", bytes(24), b"\xff" * 1350, bytes(4) + b"\xf1\0"])
def test_rubbish_shows_nothing(datagram: bytes) -> None:
    stranger = told([datagram])
    stranger.may_enter(datagram)
    assert not stranger.is_proven


def test_he_is_sent_three_times_what_he_sent() -> None:
    stranger = Stranger()
    assert stranger.may_leave([b"x"]) == []
    stranger.may_enter(bytes(100))
    sent = stranger.may_leave([bytes(100)] * 9)
    assert len(sent) == AMPLIFICATION
    assert stranger.may_leave([b"x"]) == []


def test_only_so_much_of_his_is_taken() -> None:
    stranger = Stranger()
    taken = 0
    while stranger.may_enter(bytes(1350)):
        taken += 1350
    assert MAX_TAKEN_BYTES - 1350 < taken <= MAX_TAKEN_BYTES
