"""Three readers of the same bytes: ours, h11 and llhttp.

What we accept both must read as we do. What they accept and we refuse must be
refused for one of the reasons listed here: they leave it to their users, or
they forgive it. Found inputs are the same in every run.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.proto.http.errors import HttpError
from frpd.proto.http.head import head_end, parse_response, response_framing
from tests.unit.proto.http.corpus import CASES, Case, payload_of, read_request
from tests.unit.proto.http.oracles import H11, Llhttp, Reading

Oracle = H11 | Llhttp

# Our reason to refuse, and why the other reader does not mind.
FORGIVEN: dict[type, dict[str, str]] = {
    H11: {
        "CONNECT with content": "takes it for any request",
        "Transfer-Encoding in HTTP/1.0": "takes the chunks",
        "asterisk without OPTIONS": "leaves targets to its user",
        "bad Content-Length": "counts without a bound",
        "bad escape in the path": "leaves targets to its user",
        "bad host": "leaves Host to its user",
        "bad port": "leaves Host to its user",
        "bad request line": "leaves fragments to its user, and skips what a bare line feed ends",
        "bad request target": "leaves targets to its user",
        "bad status line": "leaves versions to its user",
        "bare line end": "takes a line feed for a line end",
        "both Content-Length and Transfer-Encoding": "lets the chunks win, as RFC 9112 allows",
        "control character in a field": "refuses NUL, CR and LF only",
        "control character or bare line end": "takes a line feed for a line end",
        "chunk size overflows": "counts without a bound",
        "folded field line": "unfolds it, as RFC 9112 allows",
        "forbidden trailer": "leaves trailers to its user",
        "head too long": "bounds what is buffered, not what came whole",
        "malformed chunk": "skips extensions unread, and forgives spaces behind a size",
        "malformed trailer": "takes a line feed for a line end",
        "more than one Content-Length": "forgives equal ones, as RFC 9112 allows",
        "neither HTTP/1.0 nor HTTP/1.1": "leaves versions to its user",
        "no port": "leaves targets to its user",
        "not a field line": "skips the space before the first name",
        "request line too long": "has one bound for all of a head",
        "start line too long": "has one bound for all of a head",
        "too long chunk extensions": "has one bound for a line",
        "too many fields": "has one bound for all of a head",
        "too many trailers": "has one bound for all of them",
        "unknown expectation": "leaves Expect to its user",
    },
    Llhttp: {
        "CONNECT with content": "takes it for any request",
        "Transfer-Encoding in HTTP/1.0": "takes the chunks",
        "asterisk without OPTIONS": "leaves targets to its user",
        "bad Content-Length": "counts zeros without a bound, and with 64 bits without a sign",
        "bad Transfer-Encoding": "looks at the last coding only",
        "bad escape in the path": "leaves targets to its user",
        "bad host": "leaves Host to its user",
        "bad port": "leaves Host to its user",
        "bad request line": "forgives spaces, and knows HTTP/0.9",
        "bad request target": "leaves schemes and authorities to its user",
        "chunk size overflows": "counts with 64 bits without a sign",
        "bad status line": "knows 0.9 and 2.0, and leaves reasons to its user",
        "control character or bare line end": "skips line feeds before a request",
        "empty element in Transfer-Encoding": "looks at the last coding only",
        "empty lines instead of a request": "skips them without a bound",
        "forbidden trailer": "refuses those only that frame",
        "head too long": "keeps nothing, so has no bound",
        "malformed chunk": "skips zeros without a bound, and some extensions unread",
        "more than one Host": "leaves Host to its user",
        "neither HTTP/1.0 nor HTTP/1.1": "knows 0.9 and 2.0",
        "no Host": "leaves Host to its user",
        "no port": "leaves targets to its user",
        "request line too long": "keeps nothing, so has no bound",
        "start line too long": "keeps nothing, so has no bound",
        "too long chunk extensions": "keeps nothing, so has no bound",
        "too many fields": "keeps nothing, so has no bound",
        "too many trailers": "keeps nothing, so has no bound",
        "unknown expectation": "leaves Expect to its user",
        "unknown transfer coding": "looks at the last coding only",
    },
}
# What we accept and they do not.
REFUSED_BY_THEM: dict[type, set[str]] = {
    H11: {"two empty lines first"},
    Llhttp: {"unknown method", "lower case method is another method"},  # knows a list of methods
}


@pytest.fixture(params=["h11", "httptools"])
def oracle(request: pytest.FixtureRequest) -> Oracle:
    # Older ones forgive more.
    pytest.importorskip(
        request.param, minversion={"h11": "0.14", "httptools": "0.6"}[request.param]
    )
    return H11() if request.param == "h11" else Llhttp()


def read_by_us(wire: bytes) -> Reading | str:
    """Return our reading of a request, or the reason for none."""
    try:
        message = read_request([wire])
    except HttpError as error:
        return error.reason
    if message is None:
        return Reading()
    head = message.head
    return Reading((head.method, head.target), lowered(head.fields), message.payload, complete=True)


def lowered(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return fields with names, and what h11 lowers besides, in lower case."""
    pairs = [(name.lower(), value) for name, value in fields]
    return [(name, value.lower() if "-encod" in name else value) for name, value in pairs]


def compare(oracle: Oracle, ours: Reading | str, theirs: Reading | None) -> None:
    """Fail unless both agree, or we were stricter for a known reason."""
    if isinstance(ours, str):
        if theirs is not None and theirs.start:
            assert ours in FORGIVEN[type(oracle)], theirs
        return
    if not ours.complete:
        assert theirs is None or not theirs.complete
        return
    assert theirs is not None
    theirs.fields = lowered(theirs.fields)
    assert theirs == ours


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_corpus_is_read_alike(oracle: Oracle, case: Case) -> None:
    if case.name in REFUSED_BY_THEM[type(oracle)]:
        assert oracle.request(case.request) is None
    else:
        compare(oracle, read_by_us(case.request), oracle.request(case.request))


# Good ones stand several times in these lists, so that about half of all messages are.
GOOD_LINES = [
    "X: y",
    "X:",
    "X: \xe9",
    "X: a\tb",
    "X_Y: z",
    "A: 'b\"c",
    "Trailer: X",
    "TE: trailers",
]
OPTIONS = ["Connection: close", "Connection: keep-alive, x", "Expect: 100-continue"]
LENGTHS = ["Content-Length: 5", "content-length:5", "Content-Length:\t5 ", "Content-Length: 05"]
CHUNKED = ["Transfer-Encoding: chunked", "transfer-encoding:\tCHUNKED "]
BAD_LINES = [
    *("Host: b", "host : a", "Content-Length: 5, 5", "Content-Length: +5", "Content-Length:"),
    *("Transfer-Encoding: gzip", "Transfer-Encoding: identity", "Transfer-Encoding: gzip, chunked"),
    *("Transfer-Encoding : chunked", " Transfer-Encoding: chunked", "Transfer-Encoding: chunked,"),
    *("Transfer-Encoding:\x0bchunked", "X: a\x00", "X: a\x7f", "X y: z", "X", ": y", "", " folded"),
    *("X: y\rZ: z", "X: y\nZ: z", "X: y\r", "\xe9: x", "@: x"),
]
LINES = st.sampled_from([*(GOOD_LINES * 4), *OPTIONS, *(LENGTHS * 2), *(CHUNKED * 4), *BAD_LINES])
REQUEST_LINES = st.sampled_from(
    [
        *(["GET / HTTP/1.1", "POST / HTTP/1.1", "PUT /a?b HTTP/1.1", "POST / HTTP/1.0"] * 4),
        *("GET http://a/ HTTP/1.1", "OPTIONS * HTTP/1.1", "DELETE /%41 HTTP/1.1"),
        *("GET / HTTP/1.2", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /\xe9 HTTP/1.1"),
        *("GET /a#b HTTP/1.1", "GET a HTTP/1.1", "GET /"),
    ]
)
STATUS_LINES = st.sampled_from(
    [
        *(["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.0 200 OK"] * 4),
        *("HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified", "HTTP/1.1 500 "),
        *("HTTP/1.1 200", "HTTP/1.1 2000 OK", "HTTP/1.1 20 OK", "HTTP/1.2 200 OK", "HTTP/2 200"),
        *("HTTP/1.1  200 OK", "ICY 200 OK", "HTTP/1.1 200 caf\xe9", "HTTP/1.1 200 \x00", ""),
    ]
)
CHUNKS = ["5\r\nhello\r\n", "A\r\n0123456789\r\n", "01;a=b\r\nx\r\n", '5;a="b"\r\nhello\r\n']
PARTS = [
    "hello",
    "5\r\nhello",
    "5 \r\nhello\r\n",
    "5\nhello\r\n",
    "-5\r\n",
    "\n",
    "\r\n",
    "x: y\r\n",
]
ENDS = ["0\r\n\r\n", "0\r\n\r\n", "000;x\r\nX: y\r\n\r\n", "0\r\n", "0\n\r\n", "0\r\nX\r\n\r\n", ""]
BODIES = st.one_of(
    st.just("hello"),
    st.builds(
        lambda parts, end: "".join(parts) + end,
        st.lists(st.sampled_from([*(CHUNKS * 6), *PARTS]), max_size=4),
        st.sampled_from(ENDS),
    ),
)
EOLS = st.sampled_from(["\r\n"] * 60 + ["\n", "\r", "\r\r\n"])


@st.composite
def messages(draw: st.DrawFn, start_lines: st.SearchStrategy[str], host: str) -> bytes:
    """Return messages, about half of them with something wrong about them."""
    lines = [draw(start_lines), *host.splitlines(), *draw(st.lists(LINES, max_size=4)), ""]
    return ("".join(line + draw(EOLS) for line in lines) + draw(BODIES)).encode("latin-1")


@given(wire=messages(REQUEST_LINES, "Host: a"))
@settings(max_examples=300, derandomize=True)
def test_made_up_requests_are_read_alike_by_h11(wire: bytes) -> None:
    pytest.importorskip("h11", minversion="0.14")
    compare(H11(), read_by_us(wire), H11().request(wire))


@given(wire=messages(REQUEST_LINES, "Host: a"))
@settings(max_examples=300, derandomize=True)
def test_made_up_requests_are_read_alike_by_llhttp(wire: bytes) -> None:
    pytest.importorskip("httptools", minversion="0.6")
    compare(Llhttp(), read_by_us(wire), Llhttp().request(wire))


def response_read_by_us(wire: bytes, method: str) -> Reading | str:
    """Return our reading of a response after which the service closes, or the reason for none."""
    try:
        length = head_end(wire)
        if not length:
            return Reading()
        head = parse_response(wire[:length])
        framing = response_framing(head, method)
        raw = wire[length : length + framing.take(wire[length:])]
        framing.eof()
    except HttpError as error:
        return error.reason
    fields = lowered(head.fields)
    return Reading((str(head.status),), fields, payload_of(framing, raw), complete=True)


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED_HEAD = OK + b"Transfer-Encoding: chunked\r\n\r\n"
RESPONSES = {
    "until close": OK + b"Server: x\r\n\r\nall of it",
    "fixed": OK + b"Content-Length: 5\r\n\r\nhello and more",
    "empty": OK + b"Content-Length: 0\r\n\r\n",
    "chunked": CHUNKED_HEAD + b"5;a\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "chunked without end": CHUNKED_HEAD + b"5\r\nhello\r\n",
    "fixed without end": OK + b"Content-Length: 9\r\n\r\nhello",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>",
    "no reason": b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    "no reason and no space": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "reason in UTF-8": b"HTTP/1.1 200 caf\xc3\xa9\r\nContent-Length: 0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "204 with a length": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "304 with a length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "odd status": b"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n",
    "both lengths": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a length twice": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "length with plus": OK + b"Content-Length: +5\r\n\r\nhello",
    "gzip and chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space in a chunk size": CHUNKED_HEAD + b"5 \r\nhello\r\n0\r\n\r\n",
    "overflow": CHUNKED_HEAD + b"fffffffffffffffff\r\n",
    "folded": OK + b"X: y\r\n z\r\nContent-Length: 0\r\n\r\n",
    "NUL": OK + b"X: y\x00z\r\nContent-Length: 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare carriage return": OK + b"X: y\rZ: z\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": OK + b"Content-Length : 0\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status with a letter": b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
}


def compare_responses(oracle: Oracle, wire: bytes, method: str = "GET") -> None:
    ours, theirs = response_read_by_us(wire, method), oracle.response(wire, method)
    if theirs is not None and isinstance(oracle, Llhttp):  # it is not told of the end
        if isinstance(ours, str) and ours.endswith("cut short"):
            assert not theirs.complete
            return
        theirs.complete = isinstance(ours, Reading) and ours.complete
    compare(oracle, ours, theirs)


@pytest.mark.parametrize("name", RESPONSES)
def test_responses_are_read_alike(oracle: Oracle, name: str) -> None:
    compare_responses(oracle, RESPONSES[name])


def test_every_reason_is_one_of_ours() -> None:
    ours = {read_by_us(case.request) for case in CASES if case.status != 200}
    ours |= {response_read_by_us(wire, "GET") for wire in (RESPONSES["HTTP/2.0"],)}
    assert {reason for reasons in FORGIVEN.values() for reason in reasons} - ours == set()


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "POST"])
@pytest.mark.parametrize("name", RESPONSES)
def test_responses_to_other_methods_are_read_alike(method: str, name: str) -> None:
    pytest.importorskip("h11", minversion="0.14")
    compare_responses(H11(), RESPONSES[name], method)


@given(wire=messages(STATUS_LINES, ""))
@settings(max_examples=200, derandomize=True)
def test_made_up_responses_are_read_alike_by_h11(wire: bytes) -> None:
    pytest.importorskip("h11", minversion="0.14")
    compare_responses(H11(), wire)


@given(wire=messages(STATUS_LINES, ""))
@settings(max_examples=200, derandomize=True)
def test_made_up_responses_are_read_alike_by_llhttp(wire: bytes) -> None:
    pytest.importorskip("httptools", minversion="0.6")
    compare_responses(Llhttp(), wire)
