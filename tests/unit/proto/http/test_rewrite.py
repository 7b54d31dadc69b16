from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto.http.head import ResponseHead, parse_request, parse_response
from frpd.proto.http.rewrite import (
    UNSETTABLE,
    AnswerRules,
    ForwardRules,
    RequestRules,
    Rules,
    render_request,
    render_response,
)

PLAIN = RequestRules(visitor_ip="192.0.2.1")
FORWARDED = (
    "X-Forwarded-For: 192.0.2.1",
    "X-Forwarded-Host: a.example:8080",
    "X-Forwarded-Proto: http",
    "X-Real-IP: 192.0.2.1",
)


def sent(
    fields: str = "",
    line: str = "GET /x?y HTTP/1.1",
    rules: Rules = PLAIN,
    host: str = "Host: a.example:8080\r\n",
) -> list[str]:
    """Return the lines that go to the service."""
    head = parse_request(f"{line}\r\n{host}{fields}\r\n".encode("latin-1"))
    text = render_request(head, rules).decode("latin-1")
    assert text.endswith("\r\n\r\n")
    return text.removesuffix("\r\n\r\n").split("\r\n")


def kept(fields: str, line: str = "GET / HTTP/1.1", rules: RequestRules = PLAIN) -> list[str]:
    """Return the lines between Host and what is always added."""
    lines = sent(fields, line, rules)
    assert tuple(lines[-4:]) == FORWARDED
    return lines[2:-4]


def answered(
    fields: str = "",
    line: str = "HTTP/1.1 200 OK",
    *,
    connection: str | None = None,
    dechunk: bool = False,
    version: tuple[int, int] = (1, 1),
) -> list[str]:
    """Return the lines that go to the visitor."""
    head = parse_response(f"{line}\r\n{fields}\r\n".encode("latin-1"))
    rendered = render_response(head, connection=connection, dechunk=dechunk, version=version)
    return rendered.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")


def test_host_comes_first_then_the_visitor_s_fields_then_ours() -> None:
    assert sent("B: 1\r\na:2\r\nB:  3\r\nCookie: x\r\n") == [
        "GET /x?y HTTP/1.1",
        "Host: a.example:8080",
        *("B: 1", "a: 2", "B: 3", "Cookie: x"),
        *FORWARDED,
    ]


@pytest.mark.parametrize(
    ("line", "expected", "host"),
    [
        ("GET /a//b/../c?d HTTP/1.0", "GET /a//b/../c?d", "a.example:8080"),
        ("GET /%41%2f HTTP/1.1", "GET /%41%2f", "a.example:8080"),
        ("GET http://b.example:81/c?d HTTP/1.1", "GET /c?d", "b.example:81"),
        ("GET HTTPS://b.example HTTP/1.1", "GET /", "b.example"),
        ("GET http://b.example?d=/e HTTP/1.1", "GET /?d=/e", "b.example"),
        ("OPTIONS http://b.example HTTP/1.1", "OPTIONS *", "b.example"),
        ("OPTIONS * HTTP/1.1", "OPTIONS *", "a.example:8080"),
        ("CONNECT b.example:443 HTTP/1.1", "CONNECT b.example:443", "b.example:443"),
    ],
)
def test_the_service_gets_the_form_that_origin_servers_read(
    line: str, expected: str, host: str
) -> None:
    lines = sent(line=line)
    assert lines[:2] == [f"{expected} HTTP/1.1", f"Host: {host}"]
    assert f"X-Forwarded-Host: {host}" in lines


def test_a_host_rewrite_changes_host_only() -> None:
    rules = RequestRules(host_rewrite="inner.example:90", visitor_ip="192.0.2.1")
    assert sent(rules=rules)[1:] == ["Host: inner.example:90", *FORWARDED]
    absolute = sent(line="GET http://b.example/ HTTP/1.1", rules=rules)
    assert absolute[1] == "Host: inner.example:90"
    assert "X-Forwarded-Host: b.example" in absolute


def test_a_visitor_without_a_host_gives_an_empty_one() -> None:
    lines = sent(line="GET / HTTP/1.0", host="")
    assert lines[1] == "Host: "
    assert not any(line.startswith("X-Forwarded-Host") for line in lines)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nA: b\r\n", ["A: b"]),
        ("Connection: close, X-Mine\r\nx-MINE: 1\r\nX-Mine: 2\r\nA: b\r\n", ["A: b"]),
        ("Connection: A\r\nConnection: B\r\nA: 1\r\nB: 2\r\nC: 3\r\n", ["C: 3"]),
        ("Connection: Host, Authorization\r\nAuthorization: x\r\n", ["Authorization: x"]),
        ("Connection: X-Forwarded-For, X-Forwarded-Proto, X-Real-IP\r\n", []),
        ("Connection: Expect\r\nExpect: 100-continue\r\n", ["Expect: 100-continue"]),
        ("Proxy-Authorization: x\r\nProxy-Authenticate: y\r\n", []),
        ("Trailer: X-Sum\r\n", []),
        ("TE: gzip, Trailers\r\nConnection: TE\r\n", ["TE: trailers", "Connection: TE"]),
        ("TE: gzip\r\nConnection: TE\r\n", []),
        ("TE: trailers;q=0.5\r\n", []),
        ("Upgrade: websocket\r\n", []),
        (
            "Upgrade: h2c, WebSocket\r\nConnection: upgrade\r\nHTTP2-Settings: AAAA\r\n",
            ["Upgrade: WebSocket", "Connection: Upgrade"],
        ),
        (
            "TE: trailers\r\nUpgrade: x\r\nConnection: upgrade, te\r\n",
            ["TE: trailers", "Upgrade: x", "Connection: TE, Upgrade"],
        ),
        ("HTTP2-Settings: AAAA\r\n", []),
        ("X_Real_IP: 1\r\nX-Forwarded_For: 2\r\nx_forwarded_proto: 3\r\na_b: 4\r\n", ["a_b: 4"]),
        ("Forwarded: for=x\r\nVia: y\r\n", ["Forwarded: for=x", "Via: y"]),
        ("User-Agent: \xc3\xa9\r\n", ["User-Agent: \xc3\xa9"]),
    ],
)
def test_what_was_meant_for_us_does_not_go_on(fields: str, expected: list[str]) -> None:
    assert kept(fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("Content-Length: 5\r\n", ["Content-Length: 5"]),
        ("Connection: Content-Length\r\nContent-Length: 5\r\n", ["Content-Length: 5"]),
        ("Transfer-Encoding: CHUNKED\r\n", ["Transfer-Encoding: chunked"]),
        (
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n",
            ["Trailer: X-Sum", "Transfer-Encoding: chunked"],
        ),
        ("", []),
    ],
)
def test_the_body_s_framing_is_said_again(fields: str, expected: list[str]) -> None:
    assert kept(fields, "POST / HTTP/1.1") == expected


def test_http_1_0_offers_neither_expect_nor_trailers() -> None:
    fields = "Expect: 100-continue\r\nTE: trailers\r\nUpgrade: x\r\nConnection: upgrade\r\n"
    assert kept(fields, "GET / HTTP/1.0") == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("Connection: close", ["Connection: close"]),
        ("TE: trailers\r\nConnection: close, TE", ["TE: trailers", "Connection: close, TE"]),
    ],
)
def test_the_service_is_told_that_no_request_follows(fields: str, expected: list[str]) -> None:
    head = parse_request(f"GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n".encode())
    lines = render_request(head, PLAIN, close=True).decode().split("\r\n")
    assert [line for line in lines if line.startswith(("TE", "Connection"))] == expected


def test_what_proxies_before_us_say_of_the_visitor() -> None:
    lines = sent(
        "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\nx-forwarded-for: 10.0.0.3\r\nX-Forwarded-For:\r\n"
        "X-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\n"
    )
    assert lines[2:] == [
        "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.1",
        *FORWARDED[1:],
    ]


def test_an_unknown_visitor_is_not_named() -> None:
    rules = RequestRules(x_forwarded_proto="https")
    assert sent(rules=rules)[2:] == [FORWARDED[1], "X-Forwarded-Proto: https"]
    assert sent("X-Forwarded-For: a\r\n", rules=rules)[2] == "X-Forwarded-For: a"


def test_configured_fields_replace_all_others_last_of_all() -> None:
    rules = RequestRules(
        headers={"X-From": "frp", "x-forwarded-FOR": "f", "Cookie": "", "X-Name": "日本"},
        visitor_ip="192.0.2.1",
    )
    lines = sent("x-FROM: visitor\r\nX_From: v\r\nCookie: c\r\nA: b\r\nX-From: 2\r\n", rules=rules)
    assert lines[2:] == [
        "A: b",
        *FORWARDED[1:],
        "X-From: frp",
        "x-forwarded-FOR: f",
        "Cookie: ",
        "X-Name: " + "日本".encode().decode("latin-1"),
    ]


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"])
def test_a_configured_forwarding_field_stands_alone(name: str) -> None:
    rules = RequestRules(headers={name: "own"}, visitor_ip="192.0.2.1")
    lines = sent(rules=rules)
    assert [line for line in lines if line.lower().startswith(name.lower())] == [f"{name}: own"]


def test_a_configured_host_is_a_host_rewrite() -> None:
    rules = RequestRules(host_rewrite="one.example", headers={"host": "two.example"})
    assert [line for line in sent(rules=rules) if line.lower().startswith("host")] == [
        "Host: two.example"
    ]


def test_a_name_given_twice_has_the_last_value() -> None:
    rules = RequestRules(headers={"X-A": "1", "x-a": "2"})
    assert sent(rules=rules)[-1] == "x-a: 2"


def test_credentials_for_a_proxy_are_relayed_if_the_rules_say_so() -> None:
    rules = RequestRules(visitor_ip="192.0.2.1", relay_proxy_authorization=True)
    assert kept("Proxy-Authorization: x\r\n", rules=rules) == ["Proxy-Authorization: x"]
    rules = RequestRules(headers={"Proxy-Authorization": "own"}, relay_proxy_authorization=True)
    assert "Proxy-Authorization: x" not in sent("Proxy-Authorization: x\r\n", rules=rules)


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "a\x00", "\x1b", "\x7f"])
def test_values_that_would_break_a_head_are_refused(value: str) -> None:
    for arguments in (
        {"host_rewrite": value},
        {"headers": {"X-A": value}},
        {"headers": {value: "x"}},
        {"headers": {"Host": value}},
        {"visitor_ip": value},
        {"x_forwarded_proto": value},
    ):
        with pytest.raises(ValueError, match=r"not a|control characters"):
            RequestRules(**arguments)


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", *sorted(UNSETTABLE), "CONTENT-LENGTH"])
def test_names_that_cannot_be_set_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"not a header name|cannot be set"):
        RequestRules(headers={name: "x"})


def test_a_host_has_no_white_space() -> None:
    with pytest.raises(ValueError, match="a host"):
        RequestRules(host_rewrite="a b")


def test_an_answer_stays_as_it_was() -> None:
    fields = ["server: x", "Set-Cookie: a", "Set-Cookie: b", "Content-Length: 5", "VIA: caf\xe9"]
    lines = answered("".join(f"{line}\r\n" for line in fields), "HTTP/1.1 200 Very OK")
    assert lines == ["HTTP/1.1 200 Very OK", *fields]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nA: b\r\n", ["A: b"]),
        ("Connection: X-Hop, close\r\nX-Hop: 1\r\n", []),
        ("Connection: Content-Length\r\nContent-Length: 0\r\n", ["Content-Length: 0"]),
        ("Upgrade: h2,h2c\r\nConnection: Upgrade\r\n", []),
        ("Proxy-Authenticate: Basic\r\nProxy-Connection: x\r\nTE: x\r\n", []),
        ("WWW-Authenticate: Basic\r\n", ["WWW-Authenticate: Basic"]),
        ("Trailer: X\r\n", []),
        (
            "Transfer-Encoding: chunked\r\nTrailer: X\r\nA: b\r\n",
            ["Transfer-Encoding: chunked", "Trailer: X", "A: b"],
        ),
    ],
)
def test_what_the_service_told_us_does_not_go_on(fields: str, expected: list[str]) -> None:
    assert answered(fields)[1:] == expected


def test_connection_says_what_we_say() -> None:
    assert answered("Connection: keep-alive\r\n", connection="close")[1:] == ["Connection: close"]
    assert answered(connection="keep-alive", version=(1, 0)) == [
        "HTTP/1.0 200 OK",
        "Connection: keep-alive",
    ]


def test_switching_protocols_names_the_protocol() -> None:
    fields = "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n"
    line = "HTTP/1.1 101 Switching Protocols"
    assert answered(fields, line) == [
        line,
        "Upgrade: websocket",
        "Sec-WebSocket-Accept: x",
        "Connection: Upgrade",
    ]
    assert answered("Upgrade: x\r\n", "HTTP/1.1 426 x", connection="close")[1:] == [
        "Upgrade: x",
        "Connection: close, Upgrade",
    ]


def test_a_proxy_behind_us_may_ask_for_credentials() -> None:
    line = "HTTP/1.1 407 Proxy Authentication Required"
    assert answered("Proxy-Authenticate: Basic\r\n", line)[1:] == ["Proxy-Authenticate: Basic"]


def test_a_body_taken_apart_has_no_chunks() -> None:
    fields = "A: b\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n"
    assert answered(fields, dechunk=True, connection="close", version=(1, 0)) == [
        "HTTP/1.0 200 OK",
        "A: b",
        "Connection: close",
    ]


@pytest.mark.parametrize("status", [100, 103, 204])
def test_a_length_is_not_said_where_no_body_can_be(status: int) -> None:
    line = f"HTTP/1.1 {status} x"
    assert answered("Content-Length: 0\r\nA: b\r\n", line) == [line, "A: b"]
    assert answered("Transfer-Encoding: chunked\r\n", line) == [line]


def test_lengths_of_bodies_not_sent_are_kept() -> None:
    line = "HTTP/1.1 304 Not Modified"
    assert answered("Content-Length: 5\r\n", line) == [line, "Content-Length: 5"]


def test_a_status_line_without_a_reason_gets_its_space() -> None:
    assert answered(line="HTTP/1.1 200") == ["HTTP/1.1 200 "]


TOKENS = st.from_regex(r"[a-z][a-zA-Z0-9_-]{0,8}", fullmatch=True)
VALUES = st.text(
    [chr(code) for code in (*range(32, 127), *range(128, 256))], max_size=12
).map(str.strip)  # fmt: skip
FIELDS = st.lists(st.tuples(TOKENS, VALUES), max_size=6)


def block(fields: list[tuple[str, str]]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in fields)


@given(FIELDS)
def test_other_fields_are_read_by_the_service_as_by_us(fields: list[tuple[str, str]]) -> None:
    fields = [(f"Z{name}", value) for name, value in fields]
    head = parse_request(f"GET / HTTP/1.1\r\nHost: a\r\n{block(fields)}\r\n".encode("latin-1"))
    again = parse_request(render_request(head, RequestRules()))
    assert again.fields[1:-2] == head.fields[1:]
    assert again.fields[-2:] == [("X-Forwarded-Host", "a"), ("X-Forwarded-Proto", "http")]
    twice = parse_request(render_request(again, RequestRules()))
    assert twice.fields == again.fields


@given(FIELDS, st.integers(100, 999), VALUES)
def test_an_answer_is_read_by_the_visitor_as_by_us(
    fields: list[tuple[str, str]], status: int, reason: str
) -> None:
    fields = [(f"Z{name}", value) for name, value in fields]
    wire = f"HTTP/1.1 {status} {reason}\r\n{block(fields)}\r\n".encode("latin-1")
    head = parse_response(wire)
    assert meaning(parse_response(render_response(head))) == meaning(head)


def meaning(head: ResponseHead) -> tuple[object, ...]:
    return head.status, head.reason, head.fields, head.wants_close


def test_on_the_way_to_whom_the_visitor_names_only_this_hop_changes() -> None:
    fields = (
        "Proxy-Authorization: Basic eDp5\r\nAuthorization: Basic YTpi\r\n"
        "X-Forwarded-For: 1.2.3.4\r\n"
        "Connection: close, X-Hop\r\nX-Hop: 1\r\nProxy-Connection: close\r\nKeep-Alive: 5\r\n"
        "Proxy_Authorization: Basic eDp5\r\nTE: gzip\r\nX_Real_IP: 1\r\nCookie: x\r\n"
    )
    line = "GET http://b.example:81?q HTTP/1.1"
    assert sent(fields, line, ForwardRules()) == [
        "GET /?q HTTP/1.1",
        "Host: b.example:81",
        "Authorization: Basic YTpi",
        "X-Forwarded-For: 1.2.3.4",
        "X_Real_IP: 1",
        "Cookie: x",
    ]


def test_a_body_keeps_its_framing_on_the_way_to_whom_the_visitor_names() -> None:
    line = "POST http://b.example/ HTTP/1.1"
    chunked = sent("Trailer: X-T\r\nTransfer-Encoding: chunked\r\n", line, ForwardRules())
    assert chunked[2:] == ["Trailer: X-T", "Transfer-Encoding: chunked"]
    assert sent("Content-Length: 3\r\n", line, ForwardRules())[2:] == ["Content-Length: 3"]


def test_expectations_of_http_1_0_are_ignored_on_the_way_to_whom_the_visitor_names() -> None:
    lines = sent("Expect: 100-continue\r\n", "POST http://b.example/ HTTP/1.0", ForwardRules())
    assert lines[2:] == []


def test_answers_get_the_configured_fields_in_place_of_the_service_s() -> None:
    head = parse_response(b"HTTP/1.1 200 OK\r\nX-Frame: no\r\nServer: s\r\nx-frame: 2\r\n\r\n")
    rules = AnswerRules({"X-Frame": "DENY", "X-Umlaut": "ä"})
    assert (
        render_response(head, rules=rules, connection="close")
        == (
            "HTTP/1.1 200 OK\r\nServer: s\r\nX-Frame: DENY\r\nX-Umlaut: ä\r\n"
            "Connection: close\r\n\r\n"
        ).encode()
    )


@pytest.mark.parametrize(
    ("name", "value"), [("Content-Length", "1"), ("a b", "x"), ("X", "a\r\nb: c"), ("", "x")]
)
def test_what_would_break_an_answer_cannot_be_set(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"header|control"):
        AnswerRules({name: value})


def test_without_forwarding_what_a_head_says_of_the_visitor_goes_on() -> None:
    said = b"X-Forwarded-For: 192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"
    head = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n" + said + b"\r\n")
    rendered = render_request(head, RequestRules(visitor_ip="198.51.100.1", forwards=False))
    assert rendered == b"GET / HTTP/1.1\r\nHost: a\r\n" + said + b"\r\n"
