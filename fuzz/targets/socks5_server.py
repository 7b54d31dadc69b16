"""What visitors of the socks5 plugin send, datagrams too."""

from __future__ import annotations

from collections.abc import Iterator

from frpd.errors import RemoteProtocolError
from frpd.proto.socks5 import Reply
from frpd.proto.socks5_server import Socks5Server, decode_datagram, encode_datagram
from fuzz.reading import Choices, cut


def one(data: bytes) -> None:
    """Any cut ends alike and is answered alike; datagrams are the same there and back."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    stream = choices.rest()
    whole, pieces = _read(stream, 0, form), _read(stream, plan, form)
    assert whole == pieces, (whole, pieces)
    found = decode_datagram(stream)
    if found is not None:
        host, port, payload = found
        if not isinstance(host, str) or host.isascii():
            assert encode_datagram(host, port, payload)[3:] == stream[3:]


def _read(stream: bytes, plan: int, form: int) -> tuple[object, ...]:
    admits = (lambda user, password: len(user) > len(password)) if form & 1 else None
    server = Socks5Server(admits)
    sent = b""
    try:
        for piece in cut(stream, plan):
            server.receive_data(piece)
            sent += server.data_to_send()
    except RemoteProtocolError:
        return ("refused",)
    request = server.request
    if request is not None:
        server.reply(Reply.SUCCEEDED)
        sent += server.data_to_send()
        return request, sent, server.take_rest()
    return server.refusal, sent


def seeds() -> Iterator[bytes]:
    """Yield visitors with and without a login, and datagrams."""
    request = b"\x05\x01\0\x03\x09localhost\0\x50"
    yield b"\0\0\x05\x01\0" + request + b"GET / HTTP/1.1"
    yield b"\x05\x01\x05\x02\0\x02\x01\x02ab\x01c" + request
    yield b"\0\x01\x05\x01\0"
    yield b"\0\x01\x05\x01\x02\x01\x01a\x05abcde"
    yield b"\0\0\x05\x01\0\x05\x03\0\x04" + bytes(16) + b"\0\x50"
    yield b"\0\0\x05\x01\0\x05\x01\0\x09abc"
    yield b"\0\0\0\0\0\x01\x7f\0\0\x01\0\x35query"
