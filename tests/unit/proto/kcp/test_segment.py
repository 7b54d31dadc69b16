"""The layout of datagrams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto.kcp.segment import (
    ACK,
    DATA_SHARD,
    FEC_HEADER,
    HEADER,
    PARITY_SHARD,
    PUSH,
    body_offset,
    conversation_of,
    is_parity,
    opens,
)
from tests.unit.proto.kcp.recorded import MUXED, PUNCHED, directions


def segment(command: int = PUSH, number: int = 0, payload: bytes = b"x", conv: int = 7) -> bytes:
    return HEADER.pack(conv, command, 0, 32, 0, number, 0, len(payload)) + payload


def headed(body: bytes, number: int = 0, kind: int = DATA_SHARD) -> bytes:
    return FEC_HEADER.pack(number, kind, len(body) + 2) + body


@pytest.mark.parametrize("name", [*MUXED, *PUNCHED])
def test_recorded_datagrams_are_of_one_conversation_or_parity(name: str) -> None:
    found = set()
    for datagrams in directions(name).values():
        for datagram in datagrams:
            assert is_parity(datagram) == (conversation_of(datagram) is None)
            found.add(conversation_of(datagram))
    assert len(found - {None}) == 1
    if name in PUNCHED:
        assert found == {1}


@pytest.mark.parametrize("name", MUXED)
def test_only_the_dialling_side_opens_by_what_it_sends_first(name: str) -> None:
    client, server = directions(name).values()
    assert opens(client[0])
    assert not opens(server[0])  # an acknowledgement
    assert not any(opens(datagram) for datagram in client[1:])


def test_a_plain_datagram_is_as_good() -> None:
    plain = segment()
    assert body_offset(plain) == 0
    assert conversation_of(plain) == 7
    assert opens(plain)
    assert conversation_of(memoryview(plain)) == 7


def test_the_first_segment_may_come_behind_others() -> None:
    assert opens(headed(segment(ACK, payload=b"") + segment(number=0)))
    assert not opens(headed(segment(ACK, payload=b"")))
    assert not opens(headed(segment(number=1)))


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"frp",
        bytes(24),
        bytes(1350),
        segment()[:-1],
        headed(segment())[:31],
        headed(segment() + b"z"),
        headed(segment() + segment(conv=8)),
        headed(segment(command=80)),
        headed(segment(), kind=PARITY_SHARD),
        headed(segment(payload=bytes(1500))),
    ],
    ids=lambda datagram: f"{len(datagram)} bytes",
)
def test_what_is_not_whole_segments_of_one_conversation_has_none(datagram: bytes) -> None:
    assert conversation_of(datagram) is None
    assert not opens(datagram)


@given(st.binary(max_size=1600))
def test_any_datagram_has_an_answer(datagram: bytes) -> None:
    conversation_of(datagram)
    conversation_of(headed(datagram))
    is_parity(datagram)
