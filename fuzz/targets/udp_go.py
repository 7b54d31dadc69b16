"""Datagrams of udp proxies as Go writes them, read by the short way and by the general one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from frpd.errors import RemoteProtocolError
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import Ping, UdpAddress, UdpPacket
from frpd.udp.go_packets import MAX_KNOWN_TAILS, MAX_VISITOR_BYTES, GoPackets, wraps_udp
from fuzz.reading import Choices, Reading, cut, same

_FRONT = b'{"c":"'
WORDS: Final = (b'{"c":"', b'","r":', b'{"IP":"', b'","Port":', b',"Zone":"', b'"l":null', b"}}")


def one(data: bytes) -> None:
    """Any cut, and the decoder of all messages, read the same datagrams of the same visitors."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    rest = choices.rest()
    wraps_udp(rest[:20].decode("latin-1"))
    stream = _framed(Choices(rest), like_go=bool(form & 2)) if form & 1 else rest
    whole = _read(stream, 0)
    same(_sorted(whole), _sorted(_read(stream, plan)))
    general = _read_generally(stream)
    if general.refused and not whole.refused:
        # A type that there is not is refused by its byte; the short way waits for the length.
        assert _read(stream + b"\xff" * 8, 0).refused
        return
    same(_sorted(whole), _sorted(general))


def _framed(choices: Choices, *, like_go: bool) -> bytes:
    frames = []
    while choices:
        body = choices.take(choices.byte())
        if like_go:
            text = body.rstrip(b"=") + b"=" * (-len(body) % 4)
            body = _FRONT + text + b'","r":{"IP":"192.0.2.1","Port":53,"Zone":""}}'
        frames.append(bytes((UdpPacket.TYPE,)) + len(body).to_bytes(8, "big") + body)
    return b"".join(frames)


def _read(stream: bytes, plan: int) -> Reading:
    packets = GoPackets()
    events: list[Any] = []
    refused = False
    for piece in cut(stream, plan):
        try:
            found = packets.receive_data(piece)
        except RemoteProtocolError:
            refused = True
            break
        for visitor, datagrams in found.items():
            assert len(visitor) <= MAX_VISITOR_BYTES
            packets.describe_visitor(visitor)
            events += [(visitor, bytes(datagram)) for datagram in datagrams]
            _there_and_back(packets, visitor, bytes(datagrams[0]))
        assert len(packets._tails) <= MAX_KNOWN_TAILS
        assert len(packets._rest) < 9 + 10240
    return Reading(events, refused)


def _there_and_back(packets: GoPackets, visitor: bytes, datagram: bytes) -> None:
    out = bytearray()
    packets.append(out, visitor, datagram)
    assert GoPackets().receive_data(bytes(out)) == {visitor: [datagram]}


def _read_generally(stream: bytes) -> Reading:
    decoder = MessageDecoder()
    decoder.receive_data(stream)
    events: list[Any] = []
    try:
        while (message := decoder.next_message()) is not None:
            if isinstance(message, UdpPacket) and message.r is not None:
                ip, port, zone = message.r.ip, message.r.port, message.r.zone
                named = encode_message(UdpPacket(r=UdpAddress(ip, port, zone)))
                del named
                events.append((_name(message.r), message.c))
                if len(events[-1][0]) > MAX_VISITOR_BYTES:
                    events.pop()
                    return Reading(events, True)
    except RemoteProtocolError:
        return Reading(events, True)
    return Reading(events, False)


def _name(address: UdpAddress) -> bytes:
    from frpd.udp.go_packets import _address_json  # noqa: PLC0415 - how a visitor is named

    return _address_json(address)


def _sorted(reading: Reading) -> Reading:
    """Order by visitor: which of two was first is lost where they came in one piece.

    Of a stream that is refused nothing counts: the short way may have handed out less.
    """
    events = [] if reading.refused else sorted(reading.events, key=lambda event: bytes(event[0]))
    return Reading(events, reading.refused)


def seeds() -> Iterator[bytes]:
    """Yield packets of Go's and others that are as legal."""
    packet = encode_message(UdpPacket(c=b"hello", r=UdpAddress("192.0.2.1", 53, "")))
    other = encode_message(UdpPacket(c=b"", r=UdpAddress("2001:db8::1", 53, "eth0")))
    yield b"\x05\0" + packet + packet + encode_message(Ping()) + other
    yield b"\x05\x03" + b"\x08aGVsbG8=" * 3
    body = b'{"r":{"IP":"\\u0031","Port":1,"Zone":""},"c":"aGk=","x":[1]}'
    yield b"\x05\x01" + bytes((len(body),)) + body
    yield b"\x01\0" + packet[:20] + b"zz"
