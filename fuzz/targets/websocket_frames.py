"""WebSocket frames, beside a library that reads them too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame
from websockets.streams import StreamReader

from frpd.errors import RemoteProtocolError
from frpd.proto.websocket.frames import (
    BINARY,
    CLOSE,
    MAX_CONTROL_BYTES,
    MAX_FRAME_BYTES,
    PING,
    PONG,
    TEXT,
    WebSocketCodec,
    encode_frame,
)
from fuzz.reading import Choices, Reading, cut, same_bytes

_MASK = b"\x01\x02\x03\x04"


def one(data: bytes) -> None:
    """Any cut reads alike; what we take, the library reads as the same payload."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    is_client = bool(form & 1)
    rest = choices.rest()
    stream = _framed(Choices(rest), is_client=is_client) if form & 2 else rest
    whole, ended, answers = _read(stream, 0, is_client=is_client)
    pieces, ended_too, _ = _read(stream, plan, is_client=is_client)
    same_bytes(whole, pieces)
    assert ended == ended_too
    assert len(answers) <= 2 * (MAX_CONTROL_BYTES + 14)
    if not whole.refused:
        _compare(stream, b"".join(map(bytes, whole.events)), is_client=is_client)
    sender, receiver = _codec(is_client=is_client), _codec(is_client=not is_client)
    wire = b"".join(map(sender.encode, cut(rest, plan))) + sender.finish()
    assert b"".join(bytes(receiver.decode(piece)) for piece in cut(wire, plan)) == rest
    assert receiver.ended
    receiver.receive_eof()


def _codec(*, is_client: bool) -> WebSocketCodec:
    return WebSocketCodec((lambda: _MASK) if is_client else None)


def _framed(choices: Choices, *, is_client: bool) -> bytes:
    frames = []
    kinds = (0, TEXT, BINARY, CLOSE, PING, PONG)
    while choices:
        first, body = choices.byte(), choices.take(choices.byte())
        frame = encode_frame(kinds[first % 6], body, None if is_client else _MASK)
        frames.append(bytes((frame[0] ^ (first & 0x80),)) + frame[1:])
    return b"".join(frames)


def _read(stream: bytes, plan: int, *, is_client: bool) -> tuple[Reading, bool, bytes]:
    codec = _codec(is_client=is_client)
    payload: list[bytes] = []
    refused = False
    for piece in cut(stream, plan):
        try:
            payload.append(bytes(codec.decode(piece)))
        except RemoteProtocolError:
            refused = True
            break
        assert len(codec._held) <= 14 + MAX_CONTROL_BYTES
    answers = codec.answers()
    return Reading(payload, refused), codec.ended, answers


def _compare(stream: bytes, payload: bytes, *, is_client: bool) -> None:
    """Read the frames by the library, up to the close frame or the first that is not whole."""
    reader = StreamReader()
    reader.feed_data(stream)
    reader.feed_eof()
    found = b""
    while True:
        frame = _next(reader, is_client=is_client)
        if frame is None:
            break
        if frame.opcode < CLOSE:
            found += bytes(frame.data)
        elif frame.opcode == CLOSE:
            assert payload == found
            return
    assert payload.startswith(found)


def _next(reader: StreamReader, *, is_client: bool) -> Any:
    # The masks are for us: a client reads frames without, a server those with them.
    parsing = Frame.parse(reader.read_exact, mask=not is_client, max_size=MAX_FRAME_BYTES)
    try:
        next(parsing)
    except StopIteration as done:
        return done.value
    except (EOFError, PayloadTooBig, ProtocolError, UnicodeDecodeError):
        return None
    return None


def seeds() -> Iterator[bytes]:
    """Yield frames of all kinds for both roles."""
    for is_client in (False, True):
        mask = None if is_client else _MASK
        frames = encode_frame(BINARY, b"hello", mask) + encode_frame(PING, b"x", mask)
        frames += encode_frame(TEXT, b"a" * 200, mask) + encode_frame(PONG, b"", mask)
        yield bytes((5, is_client)) + frames + encode_frame(CLOSE, b"\x03\xe8", mask) + b"more"
        yield bytes((1, is_client)) + b"\x02\x83" + frames
        yield bytes((7, 2 | is_client)) + b"\x81\x03abc\x80\x02de\x04\x01p\0\x01f\x03\x04\x03\xeaxy"
