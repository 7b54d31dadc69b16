"""Our deflate records, with both libraries that may read them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from frpd.errors import RemoteProtocolError
from frpd.proto.deflate import (
    LIBRARY,
    MAX_DEFLATED_BYTES,
    MAX_RATIO,
    DeflateDecoder,
    DeflateEncoder,
    Library,
)
from fuzz.reading import Choices, Reading, cut, read, same, same_bytes

STANDARD = Library(zlib, zlib.error)


def one(data: bytes) -> None:
    """Any cut and either library read alike, and never more than the ratio allows."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    rest = choices.rest()
    stream = _framed(Choices(rest)) if form & 1 else rest
    whole = _read(stream, 0, LIBRARY)
    same_bytes(whole, _read(stream, plan, LIBRARY))
    same(whole, _read(stream, 0, STANDARD))
    plain = b"".join(map(bytes, whole.events))
    assert len(plain) <= MAX_RATIO * len(stream)
    for library in (LIBRARY, STANDARD):
        encoder = DeflateEncoder(library)
        encoded = b"".join(map(encoder.encode, cut(rest, plan)))
        assert b"".join(map(bytes, _read(encoded, plan, LIBRARY).events)) == rest


def _framed(choices: Choices) -> bytes:
    """Return records of right lengths."""
    records = []
    while choices:
        head = choices.byte()
        body = choices.take(1 + (head >> 1))
        records.append(bytes((head & 1,)) + len(body).to_bytes(3, "big") + body)
    return b"".join(records)


def _read(stream: bytes, plan: int, library: Library) -> Reading:
    decoder = DeflateDecoder(library)
    reading = read(lambda piece: (decoder.decode(piece),), cut(stream, plan))
    assert len(decoder._held) <= MAX_DEFLATED_BYTES + 4
    if reading.refused:
        try:
            decoder.decode(b"")
        except RemoteProtocolError:
            return reading
        raise AssertionError("a failed decoder goes on")
    return reading


def seeds() -> Iterator[bytes]:
    """Yield stored and deflated records, and one that inflates too far."""
    encoder = DeflateEncoder()
    yield b"\0\0" + encoder.encode(b"hello, " * 20) + encoder.encode(b"hello, " * 20)
    yield b"\x07\0" + DeflateEncoder(STANDARD).encode(b"abcdefgh" * 40) + b"\0\0\0\x02ab"
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packed.compress(bytes(60000)) + packed.flush(zlib.Z_SYNC_FLUSH)
    yield b"\0\0\x01" + len(bomb).to_bytes(3, "big") + bomb
    yield b"\x05\x01\x0f" + bomb[:8] + b"\x04abc"
