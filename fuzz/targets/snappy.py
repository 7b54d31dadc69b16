"""Framed snappy, beside another library that reads the same format."""

from __future__ import annotations

from collections.abc import Iterator

import cramjam
import snappy as library

from frpd.errors import RemoteProtocolError
from frpd.proto.snappy import MAX_CHUNK_BYTES, SnappyDecoder, SnappyEncoder
from fuzz.reading import Choices, Reading, cut, read, same_bytes

_GAIN = 22
"""Most plain bytes for each byte that came, as the decoder promises."""


def one(data: bytes) -> None:
    """Any cut reads alike; a library that reads it too reads the same; output is bounded."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    rest = choices.rest()
    stream = SnappyEncoder().encode(b"") + _framed(rest) if form & 1 else rest
    whole = _read(stream, 0)
    same_bytes(whole, _read(stream, plan))
    plain = b"".join(map(bytes, whole.events))
    assert len(plain) <= _GAIN * max(len(stream), 1)
    if not whole.refused:
        _compare(stream, plain)
    encoder = SnappyEncoder()
    encoded = b"".join(map(encoder.encode, cut(rest, plan)))
    assert b"".join(map(bytes, _read(encoded, plan).events)) == rest


def _framed(body: bytes) -> bytes:
    """Return the body in a chunk with a right checksum, if it is a sound block."""
    block = library.compress(body) if len(body) & 1 else body
    try:
        plain = library.uncompress(block)
    except library.UncompressError:
        plain = b""
    # An uncompressed chunk of the same bytes has the checksum; it is taken from there.
    stream = SnappyEncoder().encode(plain or b"x")
    at = 10 + 4
    return (
        stream[:10]
        + bytes((0,))
        + (len(block) + 4).to_bytes(3, "little")
        + (stream[at : at + 4] + block)
    )


def _read(stream: bytes, plan: int) -> Reading:
    decoder = SnappyDecoder()
    reading = read(lambda piece: (decoder.decode(piece),), cut(stream, plan))
    assert len(decoder._held) <= MAX_CHUNK_BYTES + 4
    if reading.refused:
        try:
            decoder.decode(b"")
        except RemoteProtocolError:
            return reading
        raise AssertionError("a failed decoder goes on")
    return reading


def _compare(stream: bytes, plain: bytes) -> None:
    """Let cramjam read it, which refuses what is cut inside a chunk."""
    try:
        other = bytes(cramjam.snappy.decompress(stream))
    except cramjam.DecompressionError:
        return
    assert other == plain, (other, plain)


def seeds() -> Iterator[bytes]:
    """Yield text, noise and padding."""
    text = SnappyEncoder().encode(b"hello, hello, hello, hello, hello, hello, hello!")
    noise = SnappyEncoder().encode(bytes(range(200)))
    yield b"\0\0" + text
    yield b"\x07\0" + noise
    yield b"\x01\0" + text + b"\xfe\x02\0\0ab" + noise
    yield b"\x05\x01" + library.compress(b"abcabcabcabcabcabcabcabc")
