"""Echo: only who was sent a timestamp can send it back."""

from __future__ import annotations

import pytest

from frpd.proto.kcp.connection import KcpConnection
from frpd.proto.kcp_echo import Echo

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


def test_an_acknowledgement_shows_that_it_was_received() -> None:
    said, answers = dialogue(AHEAD)
    echo = Echo()
    echo.said(said)
    assert any(echo.heard(datagram) for datagram in answers)


def test_an_acknowledgement_of_another_time_shows_nothing() -> None:
    echo = Echo()
    echo.said(dialogue(AHEAD)[0])
    assert not any(echo.heard(datagram) for datagram in dialogue(AHEAD + 1)[1])


def test_what_is_said_itself_is_no_acknowledgement() -> None:
    said, answers = dialogue(AHEAD)
    echo = Echo()
    echo.said(said)
    assert not any(echo.heard(datagram) for datagram in said)
    echo = Echo()
    assert not any(echo.heard(datagram) for datagram in answers)


@pytest.mark.parametrize("datagram", [b"", b"x", bytes(24), b"\xff" * 1350, bytes(4) + b"\xf1\0"])
def test_rubbish_shows_nothing(datagram: bytes) -> None:
    echo = Echo()
    echo.said([datagram])
    assert not echo.heard(datagram)


def test_what_is_cut_off_shows_nothing_that_was_not_in_it() -> None:
    said, answers = dialogue(AHEAD)
    echo = Echo()
    echo.said(said)
    assert not any(echo.heard(datagram[:31]) for datagram in answers)
