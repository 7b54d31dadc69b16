"""Chunked bodies, beside two other readers of HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import h11
import httptools

from frpd.proto.http.body import ChunkedBody, Dechunker
from frpd.proto.http.errors import HttpError
from fuzz.reading import Choices, Reading, cut, read, same, same_bytes

_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


WORDS = (b"\r\n", b"0\r\n\r\n", b";", b'="', b'"\r\n', b"7fffffffffffffff", b": ", b"\\")


def one(data: bytes) -> None:
    """Any cut ends at the same byte; what we take for a whole body, h11 and llhttp do as well."""
    choices = Choices(data)
    plan = choices.byte()
    body = choices.rest()
    end = _end(body, 0)
    same(end, _end(body, plan))
    payload = _payload(body, 0)
    same_bytes(payload, _payload(body, plan))
    assert payload.refused == end.refused
    taken = sum(end.events)
    tracker = ChunkedBody()
    if not end.refused:
        tracker.take(body)
        if tracker.over:
            _compare(body[:taken], b"".join(payload.events))


def _end(body: bytes, plan: int) -> Reading:
    """Return how many bytes belong to the body, as one number where nothing was refused."""
    tracker = ChunkedBody()
    held = 0

    def feed(piece: bytes) -> tuple[int, ...]:
        nonlocal held
        taken = tracker.take(piece)
        assert 0 <= taken <= len(piece)
        assert taken == len(piece) or tracker.over
        assert len(tracker._held) <= max(8 * 1024, 300)
        held += taken
        return ()

    reading = read(feed, cut(body, plan), HttpError)
    return Reading((held,) if not reading.refused else (), reading.refused)


def _payload(body: bytes, plan: int) -> Reading:
    dechunker = Dechunker()
    return read(lambda piece: (dechunker.feed(piece),), cut(body, plan), HttpError)


class _Reader:
    """What llhttp says of a message."""

    def __init__(self) -> None:
        self.payload = b""
        self.completed = 0

    def on_body(self, body: bytes) -> None:
        self.payload += body

    def on_message_complete(self) -> None:
        self.completed += 1


def _compare(body: bytes, payload: bytes) -> None:
    """Check that a whole body is one to them too: not a byte less, and the same payload."""
    reader = _Reader()
    parser = httptools.HttpRequestParser(reader)
    try:
        parser.feed_data(_HEAD + body[:-1])
        ends_early = reader.completed
        parser.feed_data(body[-1:])
    except httptools.HttpParserError:
        pass  # stricter than we are, which is safe
    else:
        assert (ends_early, reader.completed) == (0, 1), "llhttp sees another end"
        assert reader.payload == payload
    server = h11.Connection(h11.SERVER)
    server.receive_data(_HEAD + body)
    found = b""
    try:
        while (event := server.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Data):
                found += bytes(event.data)
            if isinstance(event, h11.EndOfMessage):
                assert found == payload
                assert server.trailing_data == (b"", False)
                return
    except h11.RemoteProtocolError:
        return
    raise AssertionError("h11 does not see the end")


def seeds() -> Iterator[bytes]:
    """Yield bodies that are whole, with everything that may stand in them, and broken ones."""
    for body in (
        b"5\r\nhello\r\n0\r\n\r\n",
        b'5;a=b;c="d\\"e"\r\nhello\r\nA\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\nGET',
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"7fffffffffffffff\r\nabc",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"00005\r\nhello\r\n000\r\nContent-Length: 5\r\n\r\n",
    ):
        yield b"\0" + body
        yield b"\x05" + body
