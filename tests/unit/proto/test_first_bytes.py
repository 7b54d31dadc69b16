from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frpd.proto.first_bytes import MAX_PREFIX_BYTES, WEBSOCKET_PREFIX, Spoken, recognize

starts = st.one_of(
    st.binary(max_size=40),
    st.binary(max_size=20).map(lambda rest: WEBSOCKET_PREFIX + rest),
    st.from_regex(rb"\A[A-Z-]{0,30} ?[ -~]{0,10}"),
    st.integers(0, len(WEBSOCKET_PREFIX)).map(lambda count: WEBSOCKET_PREFIX[:count]),
)


@pytest.mark.parametrize("http", [True, False])
@pytest.mark.parametrize(
    ("prefix", "spoken"),
    [
        (b"\x00", Spoken.YAMUX),
        (b"\x16\x03\x01", Spoken.TLS),
        (b"\x17\x16\x03\x01", Spoken.FRP_TLS),
        (b"GET /~!frp HTTP/1.1\r\n", Spoken.WEBSOCKET),
        (b"GET /~!frp", Spoken.WEBSOCKET),
        (b"o\x00\x00\x00\x00\x00\x00\x00\xc2{", Spoken.FRP),
        (b"w", Spoken.FRP),
        (b"v", Spoken.FRP),
        (b"\x15", Spoken.FRP),
        (b"\xff", Spoken.FRP),
        (b"get / HTTP/1.1", Spoken.FRP),
        (b" GET / HTTP/1.1", Spoken.FRP),
        (b"\r\n", Spoken.FRP),
        (b"GEt", Spoken.FRP),
        (b"-", Spoken.FRP),
        (b"", None),
        (b"G", None),
        (b"GET", None),
        (b"GET ", None),
        (b"GET /~!fr", None),
    ],
)
def test_what_is_told_whatever_the_port_serves(
    prefix: bytes, http: bool, spoken: Spoken | None
) -> None:
    assert recognize(prefix, http=http) is spoken


@pytest.mark.parametrize(
    "prefix",
    [
        b"GET /~!frq",
        b"GET /i",
        b"GET http://a.test/ HTTP/1.1",
        b"HEAD ",
        b"POST /x",
        b"OPTIONS *",
        b"CONNECT a.test:443 HTTP/1.1",
        b"PROPFIND /dav",
        b"UPDATEREDIRECTREF /",
        b"BASELINE-CONTROL /",
        b"A" * (MAX_PREFIX_BYTES - 1) + b" ",
    ],
)
def test_a_request_is_http_only_where_http_is_served(prefix: bytes) -> None:
    assert recognize(prefix, http=True) is Spoken.HTTP
    assert recognize(prefix, http=False) is Spoken.FRP


@pytest.mark.parametrize("letters", [b"P", b"GE", b"PROPFIND", b"A" * (MAX_PREFIX_BYTES - 1)])
def test_upper_case_letters_may_yet_become_a_method(letters: bytes) -> None:
    assert recognize(letters, http=True) is None


def test_a_method_that_does_not_end_is_none() -> None:
    assert recognize(b"A" * MAX_PREFIX_BYTES, http=True) is Spoken.FRP
    assert recognize(b"A" * MAX_PREFIX_BYTES + b" / HTTP/1.1", http=True) is Spoken.FRP


@given(starts, st.booleans())
@example(b"GET /~!frp", True)
@example(b"A" * 40, True)
def test_no_verdict_changes_when_more_bytes_follow(data: bytes, http: bool) -> None:
    verdicts = [recognize(data[:count], http=http) for count in range(len(data) + 1)]
    told = [verdict for verdict in verdicts if verdict is not None]
    assert verdicts == [None] * (len(verdicts) - len(told)) + told
    assert len(set(told)) <= 1


@given(st.one_of(starts, st.from_regex(rb"\A[A-Z-]{24,60}\Z")), st.booleans())
def test_24_bytes_are_always_enough(data: bytes, http: bool) -> None:
    if len(data) >= MAX_PREFIX_BYTES:
        verdict = recognize(data, http=http)
        assert verdict is not None
        assert recognize(data[:MAX_PREFIX_BYTES], http=http) is verdict
