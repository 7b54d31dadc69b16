from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.proto.http.body import ChunkedBody, FixedBody, NoBody, UntilClose
from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import (
    FIELD_COUNT,
    HEAD_BYTES,
    MAX_EMPTY_LINES,
    START_LINE_BYTES,
    Form,
    Limits,
    RequestHead,
    ResponseHead,
    head_end,
    parse_request,
    parse_response,
    response_framing,
)

SMALL = Limits(head_bytes=60, start_line_bytes=24, field_count=2)


def request(fields: str = "", line: str = "GET / HTTP/1.1", host: str = "a.example") -> RequestHead:
    return parse_request(f"{line}\r\nHost: {host}\r\n{fields}\r\n".encode("latin-1"))


def response(fields: str = "", line: str = "HTTP/1.1 200 OK") -> ResponseHead:
    return parse_response(f"{line}\r\n{fields}\r\n".encode("latin-1"))


def status_of(call: Any, *args: Any) -> int:
    with pytest.raises(HttpError) as caught:
        call(*args)
    return caught.value.status


def test_a_head_is_found_at_its_empty_line() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for buffer in (head, bytearray(head), head + b"rest\r\n\r\n"):
        assert head_end(buffer) == len(head)
    for length in range(len(head)):
        assert head_end(head[:length]) == 0
        assert head_end(head, length) == len(head)


def test_empty_lines_before_a_head_are_part_of_it() -> None:
    head = b"\r\n" * MAX_EMPTY_LINES + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for length in range(len(head)):
        assert head_end(head[:length], max(0, length - 1)) == 0
    assert head_end(head) == len(head)
    assert parse_request(head).host == "a"
    assert status_of(head_end, b"\r\n" + head) == 400
    assert status_of(parse_request, b"\r\n" + head) == 400


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (b"\x16\x03\x01", 400),
        (b"\x00", 400),
        (b"\n", 400),
        (b"\rG", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\rb", 400),
        (b"GET / HTTP/1.1\r\nHost: \x1b", 400),
        (b"GET /\r\n", 400),
        (b"HELP\r\n", 400),
        (b"GET / HTTP/1.3\r\n", 505),
        (b"\r\nGET / HTTP/0.9\r\n", 505),
        (b"\r\nHELP\r\n", 400),
    ],
)
def test_what_cannot_become_a_head_is_refused_without_its_end(begun: bytes, status: int) -> None:
    assert status_of(head_end, begun) == status
    refusals = 0
    for length in range(1, len(begun) + 1):
        try:
            assert head_end(begun[:length], length - 1) == 0
        except HttpError:
            refusals += 1
    assert refusals > 0


def test_what_may_become_a_head_is_waited_for() -> None:
    for begun in (b"", b"\r", b"\r\n\r", b"GET", b"HTTP/1.1 200\r\n", b"GET / HTTP/1.0\r\n\r"):
        assert head_end(begun) == 0


def test_a_head_may_be_as_long_as_its_limit() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 28 + b"\r\n\r\n"
    assert len(head) == SMALL.head_bytes
    assert head_end(head, 0, SMALL) == 60
    assert head_end(b"\r\n" + head, 0, SMALL) == 62
    for length in range(60):
        assert head_end(head[:length], 0, SMALL) == 0
    longer = head.replace(b"X", b"XX")
    assert status_of(head_end, longer, 0, SMALL) == 431
    assert status_of(head_end, longer[:60], 0, SMALL) == 431


def test_a_start_line_may_be_as_long_as_its_limit() -> None:
    line = b"GET /12345678 HTTP/1.1\r\n"
    assert len(line) == SMALL.start_line_bytes
    rest = b"Host: a\r\n\r\n"
    assert head_end(line, 0, SMALL) == 0
    for whole in (line + rest, b"\r\n" + line + rest):
        assert parse_request(whole, SMALL).path == "/12345678"
    longer = line.replace(b"/", b"//", 1)
    assert status_of(head_end, longer, 0, SMALL) == 414
    assert status_of(head_end, longer[:24], 0, SMALL) == 414
    assert status_of(parse_request, longer + rest, SMALL) == 414
    answer = b"HTTP/1.1 200 OK is long\r\n\r\n"
    assert status_of(parse_response, answer, SMALL) == 502


def test_fields_are_counted() -> None:
    line = b"GET / HTTP/1.1\r\nHost: a\r\n"
    assert len(parse_request(line + b"A:\r\n\r\n", SMALL).fields) == 2
    assert status_of(parse_request, line + b"A:\r\nB:\r\n\r\n", SMALL) == 431
    assert status_of(parse_response, b"HTTP/1.1 200\r\nA:\r\nB:\r\nC:\r\n\r\n", SMALL) == 502


def test_limits_have_sane_defaults() -> None:
    assert Limits() == Limits(HEAD_BYTES, START_LINE_BYTES, FIELD_COUNT) == Limits(32768, 8192, 100)


def test_fields_are_found_in_any_case_and_kept_as_sent() -> None:
    head = request("X-One: 1\r\nx-two: 2\r\nX-ONE: 3\r\n")
    assert head.fields == [("Host", "a.example"), ("X-One", "1"), ("x-two", "2"), ("X-ONE", "3")]
    assert head.names == ["host", "x-one", "x-two", "x-one"]
    assert (head.get("X-one"), head.get("X-Two"), head.get("X-Three")) == ("1", "2", None)
    assert (head.get_all("x-One"), head.get_all("X-Two"), head.get_all("x-three")) == (
        ["1", "3"],
        ["2"],
        [],
    )


@pytest.mark.parametrize(
    ("line", "form", "host", "path"),
    [
        ("GET /a/b?c=/d HTTP/1.1", Form.ORIGIN, "a.example", "/a/b"),
        ("GET /?c HTTP/1.1", Form.ORIGIN, "a.example", "/"),
        ("GET /%41%2f%e6%97%a5%2e HTTP/1.1", Form.ORIGIN, "a.example", "/A/日."),
        ("GET /%ff%41 HTTP/1.1", Form.ORIGIN, "a.example", "/\ufffdA"),
        ("GET /a/../b/./c HTTP/1.1", Form.ORIGIN, "a.example", "/a/../b/./c"),
        ("GET http://b.example:80/a%20b?c HTTP/1.1", Form.ABSOLUTE, "b.example:80", "/a b"),
        ("GET https://b.example HTTP/1.1", Form.ABSOLUTE, "b.example", "/"),
        ("GET http://b.example?a/b HTTP/1.1", Form.ABSOLUTE, "b.example", "/"),
        ("GET http://[::1]:80/ HTTP/1.0", Form.ABSOLUTE, "[::1]:80", "/"),
        ("OPTIONS http://b.example HTTP/1.1", Form.ABSOLUTE, "b.example", "*"),
        ("OPTIONS http://b.example/ HTTP/1.1", Form.ABSOLUTE, "b.example", "/"),
        ("OPTIONS http://b.example?x HTTP/1.1", Form.ABSOLUTE, "b.example", "/"),
        ("OPTIONS * HTTP/1.1", Form.ASTERISK, "a.example", "*"),
        ("OPTIONS /x HTTP/1.1", Form.ORIGIN, "a.example", "/x"),
        ("CONNECT b.example:443 HTTP/1.1", Form.AUTHORITY, "b.example:443", ""),
        ("CONNECT [::1]:443 HTTP/1.0", Form.AUTHORITY, "[::1]:443", ""),
    ],
)
def test_the_target_says_where_to(line: str, form: Form, host: str, path: str) -> None:
    head = request(line=line)
    assert (head.form, head.host, head.path) == (form, host, path)
    assert f"{head.method} {head.target} HTTP/1.{head.version[1]}" == line


@pytest.mark.parametrize(
    "host",
    ["a", "a.example:8080", "a.example:", "[::1]", "[::ffff:192.0.2.1]:80", "192.0.2.1:1", "a_b",
     "-", "~", "\xc3\xa9.example", ""],
)  # fmt: skip
def test_hosts_are_kept_as_sent(host: str) -> None:
    assert request(host=host).host == host


def test_http_1_0_needs_no_host() -> None:
    head = parse_request(b"GET / HTTP/1.0\r\n\r\n")
    assert (head.version, head.host, head.wants_close) == ((1, 0), "", True)


@pytest.mark.parametrize(
    ("fields", "chunked", "length", "opaque"),
    [
        ("", False, None, 0),
        ("Content-Length: 0\r\n", False, 0, 0),
        ("content-length: 007\r\n", False, 7, 7),
        (f"Content-Length: {2**63 - 1}\r\n", False, 2**63 - 1, 2**63 - 1),
        ("Transfer-Encoding: Chunked\r\n", True, None, 0),
    ],
)
def test_lengths_become_framings(
    fields: str, chunked: bool, length: int | None, opaque: int
) -> None:
    head = request(fields, "POST / HTTP/1.1")
    assert (head.chunked, head.content_length, head.body.opaque()) == (chunked, length, opaque)
    assert head.body.over == (not chunked and not length)


@pytest.mark.parametrize(
    ("version", "fields", "closes"),
    [
        ("1.1", "", False),
        ("1.1", "Connection: close\r\n", True),
        ("1.1", "Connection: x\r\nConnection: y ,Close\r\n", True),
        ("1.1", "Connection: closed\r\n", False),
        ("1.0", "", True),
        ("1.0", "Connection: Keep-Alive\r\n", False),
        ("1.0", "Connection: keep-alive, close\r\n", True),
    ],
)
def test_the_last_message_is_known(version: str, fields: str, closes: bool) -> None:
    assert request(fields, f"GET / HTTP/{version}").wants_close == closes
    assert response(fields, f"HTTP/{version} 200 OK").wants_close == closes


def test_expect_is_understood_in_http_1_1_only() -> None:
    assert request("Expect: 100-Continue\r\n").expects_continue
    assert not request().expects_continue
    assert not request("Expect: 100-continue\r\n", "GET / HTTP/1.0").expects_continue
    assert not request("Expect: x\r\n", "GET / HTTP/1.0").expects_continue
    assert status_of(request, "Expect: 100-continue\r\nExpect: 100-continue\r\n") == 417


@pytest.mark.parametrize(
    ("fields", "upgrade"),
    [
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n", "websocket"),
        ("Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n", "WebSocket"),
        ("Connection: upgrade\r\nUpgrade: h2c, websocket\r\nUpgrade: x/1\r\n", "websocket, x/1"),
        ("Connection: upgrade\r\nUpgrade: H2C\r\n", ""),
        ("Connection: upgrade\r\nUpgrade: a b, c/d/e, f\r\n", "f"),
        ("Connection: upgrade\r\n", ""),
        ("Upgrade: websocket\r\n", ""),
        ("Connection: x\r\nUpgrade: websocket\r\n", ""),
    ],
)
def test_upgrades_are_offered_only_through_connection(fields: str, upgrade: str) -> None:
    assert request(fields).upgrade == upgrade
    assert request(fields, "GET / HTTP/1.0").upgrade == ""


@pytest.mark.parametrize(
    ("line", "version", "status", "reason"),
    [
        ("HTTP/1.1 200 OK", (1, 1), 200, "OK"),
        ("HTTP/1.0 404 Not Found", (1, 0), 404, "Not Found"),
        ("HTTP/1.1 204 ", (1, 1), 204, ""),
        ("HTTP/1.1 204", (1, 1), 204, ""),
        ("HTTP/1.1 999 caf\xe9", (1, 1), 999, "caf\xe9"),
        ("HTTP/1.1 100 Continue", (1, 1), 100, "Continue"),
    ],
)
def test_status_lines(line: str, version: tuple[int, int], status: int, reason: str) -> None:
    head = response(line=line)
    assert (head.version, head.status, head.reason) == (version, status, reason)


@pytest.mark.parametrize(
    "line",
    ["HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 No",
     "HTTP/1.1  200 OK", "HTTP/1.1 200\tOK", "HTTP/1.1 +20 OK", "HTTP/1.1 2x0 OK",
     "HTTP/1.2 200 OK", "HTTP/2.0 200 OK", "HTTP/2 200", "http/1.1 200 OK", "ICY 200 OK",
     "HTTP/1.1 200 O\x00K",
     "HTTP/1.1 200 O\rK", "\r\nHTTP/1.1 200 OK", "GET / HTTP/1.1", ""],
)  # fmt: skip
def test_what_is_no_status_line_is_refused(line: str) -> None:
    assert status_of(response, "", line) == 502


@pytest.mark.parametrize(
    "fields",
    ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5, 5\r\n",
     "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: -1\r\n", "Content-Length:\r\n",
     "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: identity\r\n", "A: b\r\n c\r\n",
     "A : b\r\n", "A: \x00\r\n", "A: b\nC: d\r\n", "A\r\n"],
)  # fmt: skip
def test_a_service_s_framing_is_read_as_strictly(fields: str) -> None:
    assert status_of(response, fields) == 502


def test_chunks_from_http_1_0_are_refused() -> None:
    assert status_of(response, "Transfer-Encoding: chunked\r\n", "HTTP/1.0 200 OK") == 502


@pytest.mark.parametrize(
    ("status", "method", "fields", "kind"),
    [
        (200, "GET", "", UntilClose),
        (200, "GET", "Content-Length: 5\r\n", FixedBody),
        (200, "GET", "Content-Length: 0\r\n", FixedBody),
        (200, "POST", "Transfer-Encoding: chunked\r\n", ChunkedBody),
        (200, "HEAD", "Content-Length: 5\r\n", NoBody),
        (200, "HEAD", "Transfer-Encoding: chunked\r\n", NoBody),
        (100, "POST", "", NoBody),
        (101, "GET", "", NoBody),
        (103, "GET", "Content-Length: 5\r\n", NoBody),
        (204, "GET", "Content-Length: 5\r\n", NoBody),
        (304, "GET", "Content-Length: 5\r\n", NoBody),
        (205, "GET", "Content-Length: 0\r\n", FixedBody),
        (200, "CONNECT", "Content-Length: 5\r\n", NoBody),
        (299, "CONNECT", "", NoBody),
        (407, "CONNECT", "Content-Length: 5\r\n", FixedBody),
        (200, "head", "Content-Length: 5\r\n", FixedBody),  # methods have their case
    ],
)
def test_a_response_s_body_depends_on_the_request(
    status: int, method: str, fields: str, kind: type
) -> None:
    head = response(fields, f"HTTP/1.1 {status} x")
    assert type(response_framing(head, method)) is kind
    assert response_framing(head, method).over == (kind is NoBody or "Content-Length: 0" in fields)


# What heads are made of, so that a search finds near misses of them.
WORDS = st.sampled_from(
    ["GET", "POST", "CONNECT", "OPTIONS", " ", "/", "*", "http://", "a", "a:80", "@", "?", "#", "%",
     "%41", "[", "]", "::1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "200", "OK", "\r\n", "\r", "\n",
     "Host: a", "Host", ":", "Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close",
     "Upgrade: h2c", "Connection: upgrade", "Expect: 100-continue", ",", "\t", "\x00", "\xe9"],
)  # fmt: skip
NEAR_MISSES = st.lists(WORDS, max_size=16).map(lambda words: "".join(words).encode("latin-1"))
BLOCKS = st.one_of(st.binary(max_size=120), NEAR_MISSES)


@given(BLOCKS, BLOCKS)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_head_or_an_http_error(first: bytes, second: bytes) -> None:
    for wire in (first, first + b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n" + first + b"\r\n\r\n",
                 first + b"\r\nHost: a\r\n" + second + b"\r\n\r\n"):  # fmt: skip
        for parse in (head_end, parse_request, parse_response):
            with contextlib.suppress(HttpError):
                parse(wire)


@given(BLOCKS, st.lists(st.integers(0, 300), max_size=5))
@settings(deadline=None)
def test_a_head_ends_in_the_same_place_however_it_comes(block: bytes, places: list[int]) -> None:
    wire = b"GET / HTTP/1.1\r\n" + block + b"\r\n\r\nbody"
    searched = found = 0
    try:
        for place in sorted({place % len(wire) for place in places}):
            found = found or head_end(wire[:place], searched)
            searched = place
        found = found or head_end(wire, searched)
    except HttpError:
        # What is refused early would have been refused in the end.
        with pytest.raises(HttpError):
            parse_request(wire[: head_end(wire)])
        return
    assert found == head_end(wire)
