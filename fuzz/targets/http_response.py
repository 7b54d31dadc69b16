"""Heads of answers, beside two other readers of HTTP, and as visitors get them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import h11
import httptools

from frpd.proto.http.body import ChunkedBody, FixedBody, NoBody, UntilClose
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import ResponseHead, head_end, parse_response, response_framing
from frpd.proto.http.rewrite import AnswerRules, render_response
from fuzz.reading import HTTP_WORDS, Choices, cut

_METHODS: Final = ("GET", "HEAD", "CONNECT", "POST")
_RULES: Final = AnswerRules({"X-Set": "1"})
WORDS: Final = HTTP_WORDS


def one(data: bytes) -> None:
    """Only HttpError comes out, as 502; what is passed on has the same framing."""
    choices = Choices(data)
    plan, form = choices.byte(), choices.byte()
    stream = choices.rest()
    end = _end(stream, 0)
    assert end == _end(stream, plan), (end, _end(stream, plan))
    if end <= 0:
        return
    head = parse_response(stream[:end])
    method = _METHODS[form & 3]
    _compare(stream[:end], head, method)
    text = render_response(head, connection="close" if form & 4 else None, rules=_RULES)
    assert head_end(text) == len(text)
    again = parse_response(text)
    assert again.status == head.status
    framing, theirs = response_framing(head, method), response_framing(again, method)
    assert type(framing) is type(theirs)
    assert framing.opaque() == theirs.opaque()


def _end(stream: bytes, plan: int) -> int:
    held = b""
    for piece in cut(stream, plan):
        searched, held = len(held), held + piece
        try:
            end = head_end(held, searched)
        except HttpError:
            return -1
        if end:
            try:
                parse_response(held[:end])
            except HttpError as error:
                assert error.status == 502
                return -1
            return end
    return 0


class _Reader:
    """What llhttp says of an answer."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))


def _compare(text: bytes, head: ResponseHead, method: str) -> None:
    fields = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in head.fields
    ]
    reader = _Reader()
    parser = httptools.HttpResponseParser(reader)
    with suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        parser.feed_data(text)
        assert parser.get_status_code() == head.status
        assert [(name, value.strip(b" \t")) for name, value in reader.fields] == fields
    if not 200 <= head.status < 600 or method == "CONNECT":
        return
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(text)
    try:
        event = client.next_event()
        assert isinstance(event, h11.Response), event
        assert event.status_code == head.status
        following = client.next_event()
    except h11.RemoteProtocolError:
        return
    framing = response_framing(head, method)
    if isinstance(following, h11.EndOfMessage):
        assert framing.over, framing
    else:
        assert following is h11.NEED_DATA
        assert isinstance(framing, FixedBody | ChunkedBody | UntilClose)
    assert isinstance(framing, NoBody | FixedBody | ChunkedBody | UntilClose)


def seeds() -> Iterator[bytes]:
    """Yield answers with each kind of framing."""
    for text in (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
        "HTTP/1.0 200 OK\r\nServer: x\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nConnection: close, x\r\nX: y\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 999 Caf\xe9\r\nX:\r\n\r\n",
    ):
        for form in range(4):
            yield bytes((form * 2, form)) + text.encode("latin-1")
