"""Datagrams as Go's ends write them: recordings, shapes of all versions, hostile bytes."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.message.codec import MAX_BODY_BYTES, MessageDecoder, encode_message
from frpd.proto.message.types import Ping, Pong, StartWorkConn, UdpAddress, UdpPacket
from frpd.udp.go_packets import MAX_DATAGRAM_BYTES, MAX_KNOWN_TAILS, GoPackets, wraps_udp

RECORDINGS = Path(__file__).parents[2] / "data" / "udp"
VISITOR = b'{"IP":"192.0.2.7","Port":54321,"Zone":""}'
LONGEST = GoPackets.name_visitor("1111:2222:3333:4444:5555:6666:7777:8888", 65535, 4294967295)


def frame(body: str | bytes, kind: bytes = b"u") -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    return kind + len(raw).to_bytes(8, "big") + raw


def read(packets: GoPackets, data: bytes) -> dict[bytes, list[bytes]]:
    return {name: list(map(bytes, got)) for name, got in packets.receive_data(data).items()}


def encoded(*sent: tuple[bytes, bytes]) -> bytes:
    out = bytearray()
    for visitor, datagram in sent:
        GoPackets.append(out, visitor, datagram)
    return bytes(out)


def bytes_of(connection: dict[str, Any], side: str) -> bytes:
    return b"".join(
        base64.b64decode(event["data_b64"])
        for event in connection["events"]
        if event["dir"] == side and "data_b64" in event
    )


def unmixed(wire: bytes) -> dict[int, bytes]:
    """Return what each yamux stream carried, by its number."""
    streams: dict[int, bytes] = {}
    while wire:
        _, kind, _, stream_id, length = struct.unpack(">BBHII", wire[:12])
        payload = wire[12 : 12 + length] if kind == 0 else b""
        streams[stream_id] = streams.get(stream_id, b"") + payload
        wire = wire[12 + len(payload) :]
    return streams


def work_streams(recording: dict[str, Any], *, mux: bool) -> list[tuple[bytes, bytes]]:
    """Return client's and server's bytes of the streams that carried datagrams."""
    pairs = [
        (bytes_of(connection, "c2s"), bytes_of(connection, "s2c"))
        for connection in recording["connections"]
    ]
    if mux:
        [(client, server)] = pairs
        pairs = [(unmixed(client)[number], said) for number, said in unmixed(server).items()]
    found = []
    for client, server in pairs:
        if not server.startswith(b"s"):
            continue
        decoder = MessageDecoder()
        decoder.receive_data(server)
        assert isinstance(decoder.next_message(), StartWorkConn)
        payload = decoder.take_rest()
        decoder.receive_data(client)
        decoder.next_message()  # NewWorkConn
        if payload:
            found.append((decoder.take_rest(), payload))
    return found


@pytest.mark.parametrize(
    "name", ["udp_mux_v021", "udp_nomux_v021", "udp_enc_flags_ignored_v021", "udp_enc_flags_v031"]
)
def test_recorded_streams_hold_the_datagrams_that_were_exchanged(name: str) -> None:
    recording = json.loads((RECORDINGS / f"{name}.json").read_text())
    [(from_client, from_server)] = work_streams(recording, mux="_mux_" in name)
    exchanges = recording["exchanges"]
    sent = [base64.b64decode(exchange["sent_b64"]) for exchange in exchanges]
    received = [base64.b64decode(exchange["received_b64"]) for exchange in exchanges]
    [(visitor, datagrams)] = read(GoPackets(), from_server).items()
    assert datagrams == sent
    [(answered, answers)] = read(GoPackets(), from_client).items()
    assert answers == received
    assert answered == visitor  # the address travels back as it came


@given(
    st.lists(
        st.tuples(
            st.sampled_from([VISITOR, LONGEST, GoPackets.name_visitor("::1", 1)]),
            st.binary(max_size=300),
        ),
        max_size=20,
    ),
    st.data(),
)
def test_any_cut_gives_the_same_datagrams_in_order(
    sent: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    wire = encoded(*sent) + GoPackets.keepalive
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=8)))
    packets = GoPackets()
    got: dict[bytes, list[bytes]] = {}
    for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        for name, some in read(packets, wire[start:stop]).items():
            got.setdefault(name, []).extend(some)
    wanted: dict[bytes, list[bytes]] = {}
    for visitor, datagram in sent:
        wanted.setdefault(visitor, []).append(datagram)
    assert got == wanted


@given(st.binary(max_size=2000))
def test_what_we_write_is_a_message(datagram: bytes) -> None:
    decoder = MessageDecoder()
    decoder.receive_data(encoded((VISITOR, datagram)))
    assert decoder.next_message() == UdpPacket(
        c=datagram, l=None, r=UdpAddress("192.0.2.7", 54321, "")
    )


def test_the_largest_datagram_fits_a_message() -> None:
    wire = encoded((LONGEST, bytes(MAX_DATAGRAM_BYTES)))
    assert len(wire) - 9 <= MAX_BODY_BYTES
    assert read(GoPackets(), wire) == {LONGEST: [bytes(MAX_DATAGRAM_BYTES)]}


@pytest.mark.parametrize(
    ("body", "datagram"),
    [
        ('{"c":"aGk=","l":null,"r":%s}', b"hi"),
        ('{"c":"aGk=","r":%s}', b"hi"),
        ('{"r":%s}', b""),
        ('{"c":"","l":null,"r":%s}', b""),
        ('{"r":%s,"c":"aGk=","l":null}', b"hi"),
        ('{ "C" : "aGk\\u003d", "r" : %s }', b"hi"),
    ],
)
def test_every_way_to_write_it_is_understood(body: str, datagram: bytes) -> None:
    packets = GoPackets()
    wire = frame(body % VISITOR.decode())
    for _ in range(3):  # the second time by the short way, where there is one
        assert read(packets, wire + wire) == {VISITOR: [datagram, datagram]}


def test_the_short_way_is_not_taken_on_its_outline_alone() -> None:
    packets = GoPackets()
    body = '{"c":"%s","r":' + VISITOR.decode() + "}"
    assert read(packets, frame(body % "aGk=")) == {VISITOR: [b"hi"]}
    assert read(packets, frame(body % "aGk\\u003d")) == {VISITOR: [b"hi"]}
    with pytest.raises(RemoteProtocolError):
        packets.receive_data(frame(body % "a"))


def test_what_is_no_datagram_says_nothing() -> None:
    wire = encode_message(Ping()) + encode_message(Pong()) + frame('{"c":"aGk=","r":null}')
    assert read(GoPackets(), wire + frame("null")) == {}


@pytest.mark.parametrize(
    "wire",
    [
        b"X" + bytes(8),
        b"u" + (10241).to_bytes(8, "big"),
        b"u" + b"\xff" * 8,
        frame("{"),
        frame('{"c":1}'),
        frame('{"c":"!!!!","r":{"IP":"","Port":1,"Zone":""}}'),
        frame(json.dumps({"r": {"IP": "1.2.3.4", "Port": 1, "Zone": "z" * 200}})),
    ],
)
def test_illegal_bytes_end_it_for_good(wire: bytes) -> None:
    packets = GoPackets()
    with pytest.raises(RemoteProtocolError):
        packets.receive_data(wire)
    with pytest.raises(RemoteProtocolError):
        packets.receive_data(encoded((VISITOR, b"")))


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_hostile_bytes_are_an_error_or_less_than_one_message(chunks: list[bytes]) -> None:
    packets = GoPackets()
    try:
        for chunk in chunks:
            packets.receive_data(frame(chunk) if len(chunk) % 2 else chunk)
    except RemoteProtocolError:
        assert packets._rest == b""
    assert len(packets._rest) < 9 + MAX_BODY_BYTES


def test_what_is_remembered_of_visitors_is_bounded() -> None:
    packets = GoPackets()
    for port in range(MAX_KNOWN_TAILS + 10):
        name = GoPackets.name_visitor("10.0.0.1", port)
        assert read(packets, encoded((name, b"x"))) == {name: [b"x"]}
    assert len(packets._tails) <= MAX_KNOWN_TAILS


def test_visitors_are_named_as_go_names_them() -> None:
    assert GoPackets.name_visitor("2001:DB8:0::7", 53) == (
        b'{"IP":"2001:db8::7","Port":53,"Zone":""}'
    )
    assert GoPackets.name_visitor("fe80::1", 53, 3) == b'{"IP":"fe80::1","Port":53,"Zone":"3"}'
    assert GoPackets.describe_visitor(VISITOR) == "192.0.2.7:54321"


@pytest.mark.parametrize(
    ("version", "wraps"),
    [
        ("0.21.0", False),
        ("0.33.0", False),
        ("0.34.0", True),
        ("0.70.1", True),
        ("1.0.0", True),
        ("", True),
        ("dev", True),
        ("0.x", True),
    ],
)
def test_wrappers_are_a_matter_of_the_version(version: str, wraps: bool) -> None:
    assert wraps_udp(version) is wraps
