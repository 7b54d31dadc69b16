"""Datagrams between two frpd ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from frpd.errors import RemoteProtocolError
from frpd.proto.udp_binary import KEEPALIVE, MAX_VISITOR_BYTES, BinaryPackets
from fuzz.reading import Choices, Reading, cut, same


def one(data: bytes) -> None:
    """Any cut reads the same datagrams; what was read can be written and read again."""
    choices = Choices(data)
    plan = choices.byte()
    stream = choices.rest()
    whole = _read(stream, 0)
    same(whole, _read(stream, plan))
    out = bytearray()
    for visitor, datagram in whole.events:
        BinaryPackets.append(out, visitor, datagram)
    assert _read(bytes(out), plan).events == whole.events


def _read(stream: bytes, plan: int) -> Reading:
    packets = BinaryPackets()
    events: list[Any] = []
    refused = False
    for piece in cut(stream, plan):
        try:
            found = packets.receive_data(piece)
        except RemoteProtocolError:
            refused = True
            break
        for visitor, datagrams in found.items():
            assert 0 < len(visitor) <= MAX_VISITOR_BYTES
            packets.describe_visitor(visitor)
            events += [(visitor, bytes(datagram)) for datagram in datagrams]
    if refused:
        return Reading([], True)  # what came in the same piece is lost
    return Reading(sorted(events, key=lambda event: bytes(event[0])), refused)


def seeds() -> Iterator[bytes]:
    """Yield records of each family, a sign of life, and one that is too long."""
    out = bytearray(KEEPALIVE)
    for host, scope in (("192.0.2.1", 0), ("2001:db8::1", 0), ("fe80::1", 3)):
        BinaryPackets.append(out, BinaryPackets.name_visitor(host, 53, scope), b"hello")
    yield b"\0" + bytes(out)
    yield b"\x05" + bytes(out)
    yield b"\x01\x17\0\x01" + bytes(24)
