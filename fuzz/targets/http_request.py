"""Heads of requests: what we take, others must frame as we do, and what we write we read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import h11
import httptools

from frpd.proto.http.conditional import Validators, evaluate, range_applies
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import (
    HEAD_BYTES,
    MAX_EMPTY_LINES,
    Form,
    RequestHead,
    head_end,
    parse_request,
)
from frpd.proto.http.host import canonical_host, port_of
from frpd.proto.http.rewrite import ForwardRules, RequestRules, render_request
from fuzz.reading import HTTP_WORDS, Choices, cut

_RULES: Final = (
    ForwardRules(),
    RequestRules(host_rewrite="service.example", headers={"X-Set": "1"}, visitor_ip="192.0.2.1"),
)
_OWN: Final = Validators('"a"', 784111777)
WORDS: Final = HTTP_WORDS


def one(data: bytes) -> None:
    """Only HttpError comes out; any cut finds the same end; h11 and llhttp frame it alike."""
    choices = Choices(data)
    plan = choices.byte()
    stream = choices.rest()
    end = _end(stream, 0)
    assert end == _end(stream, plan), (end, _end(stream, plan))
    if end <= 0:
        return
    try:
        head = parse_request(stream[:end])
    except HttpError as error:
        assert 400 <= error.status <= 505
        return
    evaluate(head, _OWN)
    range_applies(head, _OWN)
    canonical_host(head.host)
    port_of(head.host, 80)
    _compare(stream[:end], head)
    for rules in _RULES:
        _rewritten(head, rules)


def _end(stream: bytes, plan: int) -> int:
    """Return where the head ends; 0: not yet; -1: it is refused, now or when it is read."""
    held = b""
    for piece in cut(stream, plan):
        searched, held = len(held), held + piece
        try:
            end = head_end(held, searched)
            if end:
                parse_request(held[:end])
                assert end <= HEAD_BYTES + 2 * MAX_EMPTY_LINES
                return end
        except HttpError:
            return -1
    return 0


class _Reader:
    """What llhttp says of a request."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))


def _compare(text: bytes, head: RequestHead) -> None:
    """Check method, target, fields and framing against those who read it too."""
    fields = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in head.fields
    ]
    reader = _Reader()
    parser = httptools.HttpRequestParser(reader)
    with suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        parser.feed_data(text)
        assert reader.url == head.target.encode()
        assert parser.get_method() == head.method.encode()
        assert [(name, value.strip(b" \t")) for name, value in reader.fields] == fields
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    server.receive_data(text)
    try:
        event = server.next_event()
    except h11.RemoteProtocolError:
        return
    assert isinstance(event, h11.Request), event
    assert event.method == head.method.encode()
    assert event.target == head.target.encode()
    theirs = [(name, value) for name, value in event.headers if name != b"transfer-encoding"]
    ours = [(name, value) for name, value in fields if name != b"transfer-encoding"]
    assert theirs == ours
    length = dict(event.headers).get(b"content-length")
    assert (length is None or int(length) == head.content_length) or head.chunked
    if head.method != "CONNECT":
        with suppress(h11.RemoteProtocolError):
            # A body begins where none is wanted, or the other way round.
            is_over = isinstance(server.next_event(), h11.EndOfMessage)
            assert is_over == head.body.over


def _rewritten(head: RequestHead, rules: ForwardRules | RequestRules) -> None:
    """Check that the service is told one request, framed as the visitor's."""
    text = render_request(head, rules)
    assert head_end(text) == len(text)
    again = parse_request(text)
    assert (again.method, again.chunked, again.content_length) == (
        head.method,
        head.chunked,
        head.content_length,
    )
    if head.form in (Form.ORIGIN, Form.ASTERISK):
        assert again.path == head.path
    assert again.names.count("host") == 1
    assert again.version == (1, 1)


def seeds() -> Iterator[bytes]:
    """Yield requests of every form."""
    for text in (
        "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "\r\nPOST /%41?q HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "PUT / HTTP/1.1\r\nHost:a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
        "GET http://b.example:80/x HTTP/1.1\r\nHost: b\r\nX_Real_IP: 1\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive, x\r\nX: y\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        'GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/"a", "b"\r\nIf-Range: "a"\r\n\r\n',
        "GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n x\r\n\r\n",
    ):
        yield b"\0" + text.encode()
        yield b"\x05" + text.encode()
