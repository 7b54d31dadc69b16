"""Datagrams between two frpd ends, as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.udp_binary import (
    KEEPALIVE,
    MAX_DATAGRAM_BYTES,
    MAX_VISITOR_BYTES,
    BinaryPackets,
)

# docs/protocol.md has these bytes.
VECTOR = bytes.fromhex(
    "06 0005 c0000207 d431 68656c6c6f"
    "12 0000 20010db8000000000000000000000007 0035"
    "16 0001 fe800000000000000000000000000001 0035 00000003 21"
    "00 0000"
)
IN_VECTOR = [
    ("192.0.2.7", 54321, 0, b"hello"),
    ("2001:db8::7", 53, 0, b""),
    ("fe80::1", 53, 3, b"!"),
]

visitors = st.binary(min_size=1, max_size=MAX_VISITOR_BYTES)
records = st.lists(st.tuples(visitors, st.binary(max_size=300)), max_size=20)


def encoded(sent: list[tuple[bytes, bytes]]) -> bytes:
    out = bytearray()
    for visitor, datagram in sent:
        BinaryPackets.append(out, visitor, datagram)
    return bytes(out)


def grouped(sent: list[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for visitor, datagram in sent:
        found.setdefault(visitor, []).append(datagram)
    return found


def read(packets: BinaryPackets, data: bytes) -> dict[bytes, list[bytes]]:
    return {name: list(map(bytes, got)) for name, got in packets.receive_data(data).items()}


def test_the_documented_vector_is_what_we_write() -> None:
    out = bytearray()
    for host, port, scope, datagram in IN_VECTOR:
        BinaryPackets.append(out, BinaryPackets.name_visitor(host, port, scope), datagram)
    assert out + KEEPALIVE == VECTOR


def test_the_documented_vector_is_what_we_read() -> None:
    found = read(BinaryPackets(), VECTOR)
    assert list(found.values()) == [[b"hello"], [b""], [b"!"]]
    names = [BinaryPackets.describe_visitor(name) for name in found]
    assert names == ["192.0.2.7:54321", "[2001:db8::7]:53", "[fe80::1]:53"]


@given(records, st.data())
def test_any_cut_gives_the_same_datagrams_in_order(
    sent: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    wire = encoded(sent) + KEEPALIVE
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=8)))
    packets = BinaryPackets()
    got: dict[bytes, list[bytes]] = {}
    for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        for name, some in read(packets, wire[start:stop]).items():
            got.setdefault(name, []).extend(some)
    assert got == grouped(sent)


def test_byte_by_byte_is_the_same() -> None:
    packets = BinaryPackets()
    found = [read(packets, VECTOR[at : at + 1]) for at in range(len(VECTOR))]
    assert [got for answer in found for got in answer.values()] == [[b"hello"], [b""], [b"!"]]


def test_the_largest_datagram_passes() -> None:
    largest = bytes(MAX_DATAGRAM_BYTES)
    wire = encoded([(b"v", largest)])
    packets = BinaryPackets()
    assert read(packets, wire[:-1]) == {}
    assert read(packets, wire[-1:]) == {b"v": [largest]}


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        ("00 0001", "record of 0 \\+ 1 bytes"),
        ("17 0000", "record of 23 \\+ 0 bytes"),
        ("06 ffff", "record of 6 \\+ 65535 bytes"),
    ],
)
def test_an_illegal_head_is_refused_before_anything_is_kept(head: str, complaint: str) -> None:
    packets = BinaryPackets()
    with pytest.raises(RemoteProtocolError, match=complaint):
        packets.receive_data(bytes.fromhex(head))
    with pytest.raises(RemoteProtocolError, match=complaint):
        packets.receive_data(VECTOR)


@given(st.lists(st.binary(max_size=5000), max_size=5))
def test_hostile_bytes_are_an_error_or_less_than_one_record(chunks: list[bytes]) -> None:
    packets = BinaryPackets()
    try:
        for chunk in chunks:
            packets.receive_data(chunk)
    except RemoteProtocolError:
        assert packets._rest == b""
    assert len(packets._rest) < 3 + MAX_VISITOR_BYTES + MAX_DATAGRAM_BYTES


def test_a_name_of_another_kind_is_described_too() -> None:
    assert BinaryPackets.describe_visitor(b"\1\2") == "0102"
