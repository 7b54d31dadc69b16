"""What a SOCKS5 proxy answers us."""

from __future__ import annotations

from collections.abc import Iterator

from frpd.errors import RemoteProtocolError
from frpd.proto.socks5 import Socks5Client, decode_packet, encode_packet
from fuzz.reading import Choices, cut


def one(data: bytes) -> None:
    """Any cut ends alike and sends alike; a packet that was read can be written again."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    stream = choices.rest()
    assert _read(stream, 0, form) == _read(stream, plan, form)
    _packet(stream)


def _read(stream: bytes, plan: int, form: int) -> tuple[object, ...]:
    client = Socks5Client("a.example", 80, (b"user", b"password") if form & 1 else None)
    sent = client.data_to_send()
    try:
        for piece in cut(stream, plan):
            client.receive_data(piece)
            sent += client.data_to_send()
    except RemoteProtocolError:
        return ("refused",)
    return client.is_ready, client.refusal, sent, client.take_rest()


def _packet(stream: bytes) -> None:
    try:
        found = decode_packet(stream)
    except RemoteProtocolError:
        return
    if found is None:
        return
    packet, length = found
    if not isinstance(packet.host, str) or packet.host.isascii():
        front = bytes((5, packet.code, 0))
        assert front + encode_packet(1, packet.host, packet.port)[3:] == stream[:length]  # type: ignore[arg-type]


def seeds() -> Iterator[bytes]:
    """Yield answers of proxies with and without authentication, and refusals."""
    granted = b"\x05\0\0\x01\x7f\0\0\x01\x04\x38"
    yield b"\0\0\x05\0" + granted + b"SSH-2.0"
    yield b"\x01\x01\x05\x02\x01\0" + granted
    yield b"\0\x01\x05\x02\x01\x01"
    yield b"\0\0\x05\xff"
    yield b"\0\0\x05\0\x05\x05"
    yield b"\x05\0\x05\0\x05\0\0\x03\x01a\0\x50rest"
    yield b"\x05\0\x05\0\x05\0\0\x04" + bytes(16) + b"\0\x50"
    yield b"\0\0" + granted
