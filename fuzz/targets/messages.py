"""Messages of frp's control protocol: every type, cut anywhere, there and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.message.codec import (
    MAX_BODY_BYTES,
    MessageDecoder,
    decode_message,
    encode_message,
)
from frpd.proto.message.types import MESSAGES, Message
from frpd.server.plugins.content import content_of
from fuzz.reading import Choices, Reading, cut, read, same

WORDS: Final = (
    *(
        f'"{name}":'.encode()
        for name in sorted({name for cls in MESSAGES.values() for name in cls.__dataclass_fields__})
    ),
    b"null",
    b"1e999",
    b'"frpd":{',
    b'[{"',
    b"\\ud800",
    b"-9223372036854775808",
    b"true",
)


def one(data: bytes) -> None:
    """One stream: any cut reads alike, what was read can be written and is read again the same."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    stream = _framed(choices) if form & 1 else choices.rest()
    whole, pieces = _read(stream, 0), _read(stream, plan)
    same(whole, pieces)
    for message, frame in whole.events:
        assert decode_message(frame) == message
        _there_and_back(message)


def _framed(choices: Choices) -> bytes:
    """Return frames with right lengths around bodies of the input's own."""
    kinds = sorted(MESSAGES)
    frames = []
    while choices:
        kind, size = kinds[choices.byte() % len(kinds)], choices.number(2) % 2048
        body = choices.take(size)
        frames.append(bytes((kind,)) + len(body).to_bytes(8, "big") + body)
    return b"".join(frames)


def _read(stream: bytes, plan: int) -> Reading:
    decoder = MessageDecoder()

    def feed(piece: bytes) -> Iterator[tuple[Message, bytes]]:
        decoder.receive_data(piece)
        while (message := decoder.next_message()) is not None:
            yield message, decoder.last_frame

    reading = read(feed, cut(stream, plan))
    if reading.refused:
        assert decoder.take_rest() == b""
        try:
            decoder.next_message()
        except RemoteProtocolError:
            return reading
        raise AssertionError("a failed decoder goes on")
    rest = decoder.take_rest()
    assert len(rest) < 9 + MAX_BODY_BYTES
    assert stream.endswith(rest)
    return reading


def _there_and_back(message: Message) -> None:
    content_of(message, {})
    try:
        frame = encode_message(message)
    except LocalProtocolError:
        return  # escapes make it longer than a peer takes
    again = decode_message(frame)
    assert encode_message(again) == frame, (message, again)


def seeds() -> Iterator[bytes]:
    """Yield a message of each type, and odd bodies."""
    for kind, cls in sorted(MESSAGES.items()):
        frame = encode_message(cls())
        yield b"\0\0" + frame
        names = {field: "a" for field in cls.__dataclass_fields__}
        body = json.dumps(names).encode()
        yield b"\x01\0" + bytes((kind,)) + len(body).to_bytes(8, "big") + body
    login = b'{"frpd":{"v":1,"features":["seal"],"pub":"AA=="},"metas":{"a":"b"},"pool_count":1}'
    yield b"\x05\0o" + len(login).to_bytes(8, "big") + login
    yield b"\x05\x01\x00\x00" + bytes((len(login),)) + login
