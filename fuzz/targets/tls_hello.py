"""The server name in a ClientHello."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from frpd.errors import RemoteProtocolError
from frpd.proto.http.host import canonical_host
from frpd.proto.tls_hello import MAX_NAME_BYTES, HelloReader
from fuzz.reading import Choices, cut

_MAX_BYTES: Final = 900  # so that inputs reach it


def one(data: bytes) -> None:
    """Any cut, into pieces and into records, reads the same name, in one spelling."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    rest = choices.rest()
    if not form & 1:
        assert _read(rest, 0) == _read(rest, plan)
        return
    hello = _hello(Choices(rest)) if form & 2 else rest
    message = b"\x01" + len(hello).to_bytes(3, "big") + hello
    found = _read(_records(message, 0), 0)
    if len(message) < _MAX_BYTES // 2:
        assert found == _read(_records(message, plan), form) or len(message) > 100
    _read(_records(message, plan), plan)


def _hello(choices: Choices) -> bytes:
    """Return a hello of the right shape with extensions of the input's own."""
    extensions = b""
    while choices:
        kind, body = choices.byte() & 3, choices.take(choices.byte() & 63)
        if not kind:
            name = b"\0" + len(body).to_bytes(2, "big") + body
            body = len(name).to_bytes(2, "big") + name
        extensions += kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body
    front = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0"
    return front + len(extensions).to_bytes(2, "big") + extensions


def _records(message: bytes, plan: int) -> bytes:
    return b"".join(
        b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in cut(message, plan)
    )


def _read(stream: bytes, plan: int) -> tuple[object, ...]:
    reader = HelloReader(_MAX_BYTES)
    try:
        for piece in cut(stream, plan):
            reader.feed(piece)
            assert len(reader._body) <= _MAX_BYTES
    except RemoteProtocolError:
        assert not reader.done
        return ("refused",)
    if reader.server_name:
        assert len(reader.server_name) <= MAX_NAME_BYTES
        assert canonical_host(reader.server_name) == reader.server_name
    return reader.done, reader.server_name


def seeds() -> Iterator[bytes]:
    """Yield hellos with a name, with none, with two, and other records."""
    name = b"\0\x0ewww.example.com"
    yield b"\x05\x03" + name
    yield b"\x05\x03" + name + name
    yield b"\x02\x03" + b"\x01\x04abcd" + name
    hello = _hello(Choices(name))
    message = b"\x01" + len(hello).to_bytes(3, "big") + hello
    yield b"\0\0" + _records(message, 0)
    yield b"\x05\0" + _records(message, 6)
    yield b"\x01\x01" + hello
    yield b"\0\0\x15\x03\x01\0\x02\x02\x28"
