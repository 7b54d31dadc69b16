from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.http_connect import (
    MAX_HEAD_BYTES,
    MAX_REASON_CHARS,
    Answer,
    HttpConnectClient,
    connect_request,
)

OPEN = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 tinyproxy\r\n\r\n"
DENIED = b"HTTP/1.1 407 Proxy Authentication Required\r\n"


def client(*, credentials: tuple[bytes, bytes] | None = None) -> HttpConnectClient:
    made = HttpConnectClient("frps.example.com", 7000, credentials)
    assert made.data_to_send() != b""
    return made


def fed(data: bytes, *, credentials: tuple[bytes, bytes] | None = None) -> HttpConnectClient:
    made = client(credentials=credentials)
    made.receive_data(data)
    return made


# Recorded from Go frpc 0.51.3 and 0.70.1; 0.31 differs in the brackets alone.
@pytest.mark.parametrize(
    ("host", "credentials", "wire"),
    [
        (
            "frps.example.com",
            (b"al ice", b"p@ss:w"),
            (
                b"CONNECT frps.example.com:7000 HTTP/1.1\r\nHost: frps.example.com:7000\r\n"
                b"User-Agent: Mozilla/5.0\r\n"
                b"Proxy-Authorization: Basic YWwgaWNlOnBAc3M6dw==\r\n\r\n"
            ),
        ),
        (
            "::1",
            None,
            b"CONNECT [::1]:7000 HTTP/1.1\r\nHost: [::1]:7000\r\nUser-Agent: Mozilla/5.0\r\n\r\n",
        ),
    ],
)
def test_the_request_is_gos(host: str, credentials: tuple[bytes, bytes], wire: bytes) -> None:
    made = HttpConnectClient(host, 7000, credentials)
    assert made.data_to_send() == wire
    assert made.data_to_send() == b""


def test_long_credentials_stay_on_one_line() -> None:
    wire = connect_request("h", 1, (b"u" * 300, b"p" * 300))
    assert wire.count(b"\n") == 5


@pytest.mark.parametrize("host", ["", "a b", "a\r\nX: y", "a\x00", "b\u00fccher.example"])
def test_a_host_that_would_break_the_request_line_is_refused(host: str) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be asked of an HTTP proxy"):
        connect_request(host, 1)


def test_200_opens_the_tunnel_and_what_follows_is_kept() -> None:
    made = client()
    assert made.take_rest() == b""
    made.receive_data(OPEN + b"\n\r\n first")
    made.receive_data(b" bytes")
    assert made.is_ready
    assert made.refusal is None
    assert made.take_rest() == b"\n\r\n first bytes"
    assert made.take_rest() == b""


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200\r\n\r\n",
        b"HTTP/1.1 200 \r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 99\n\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 Verbindung ge\xc3\xb6ffnet\r\nX-Empty:\r\n\r\n",
    ],
)
def test_a_head_of_many_kinds_opens_it_and_has_no_body(head: bytes) -> None:
    made = fed(head + b"frp")
    assert made.is_ready
    assert made.take_rest() == b"frp"


@pytest.mark.parametrize(
    ("head", "refusal"),
    [
        (b"HTTP/1.1 403 Access denied\r\n\r\n", "403 Access denied"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "100 Continue"),
        (b"HTTP/1.1 201 Created\r\n\r\n", "201 Created"),
        (b"HTTP/1.0 503\r\n\r\n", "503"),
    ],
)
def test_any_other_status_is_a_refusal(head: bytes, refusal: str) -> None:
    made = fed(head)
    assert not made.is_ready
    assert made.refusal == refusal


def test_407_without_credentials_asks_for_some() -> None:
    offers = b"Proxy-Authenticate: Basic realm=x\r\nproxy-authenticate:NTLM\r\n"
    again = b"Proxy-Authenticate: Basic realm=y\r\nProxy-Authenticate: ,?\r\n\r\n"
    made = fed(DENIED + offers + again)
    assert made.answer == Answer(407, "Proxy Authentication Required", ("Basic", "NTLM"))
    assert made.refusal == (
        "407 Proxy Authentication Required: it wants a user and a password"
        " (it takes Basic, NTLM), and none are given"
    )


def test_407_with_credentials_says_that_they_are_wrong_and_repeats_none() -> None:
    made = fed(DENIED + b"\r\n", credentials=(b"alice", b"hunter2"))
    assert made.refusal == (
        "407 Proxy Authentication Required: it does not accept the user and password given"
    )


def test_401_is_understood_as_407() -> None:
    made = fed(b"HTTP/1.0 401 Unauthorized\r\n\r\n", credentials=(b"alice", b"hunter2"))
    assert made.refusal == "401 Unauthorized: it does not accept the user and password given"


def test_a_long_reason_is_shortened() -> None:
    made = fed(b"HTTP/1.1 500 " + b"x" * 9000 + b"\r\n\r\n")
    assert made.refusal == "500 " + "x" * MAX_REASON_CHARS


@pytest.mark.parametrize(
    "beginning",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x05\x00", b"<", b"HTTP/2 200\r\n", b"http/1.1 200 OK"],
)
def test_what_is_not_http_is_known_at_once(beginning: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not HTTP"):
        fed(beginning)


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 200OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 020 OK",
        b"HTTP/1.10 200 OK",
        b"HTTP/1.1 200 O\x00K",
        b"HTTP/1.1 200 OK\r",
        b"HTTP/1.1 \xb2\xb0\xb0 OK",
    ],
)
def test_a_malformed_status_line_ends_it(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="status line"):
        fed(line + b"\r\n\r\n")


@pytest.mark.parametrize(
    "line", [b"no colon", b"Name : space", b" folded: on", b": nameless", b"N: \x1b[31m", b"N: \r"]
)
def test_a_malformed_header_ends_it(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="header line"):
        fed(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n")


def padded(size: int) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nX: "
    return head + b"x" * (size - len(head) - 4) + b"\r\n\r\n"


def test_a_head_may_be_so_long() -> None:
    assert fed(padded(MAX_HEAD_BYTES) + b"rest").take_rest() == b"rest"


@pytest.mark.parametrize("at_first", [0, 16000, MAX_HEAD_BYTES - 1])
def test_a_head_may_not_be_a_byte_longer(at_first: int) -> None:
    wire = padded(MAX_HEAD_BYTES + 1)
    made = fed(wire[:at_first])
    with pytest.raises(RemoteProtocolError, match="longer than 16384 bytes"):
        made.receive_data(wire[at_first:])


@given(st.lists(st.integers(0, len(OPEN) + 4)), st.sampled_from([b"\r\n", b"\n"]))
def test_cuts_change_nothing(cuts: list[int], line_end: bytes) -> None:
    wire = OPEN.replace(b"\r\n", line_end) + b"\r\nxy"
    places = [0, *sorted(cuts), len(wire)]
    made = client()
    for start, end in pairwise(places):
        made.receive_data(wire[start:end])
    assert made.is_ready
    assert made.take_rest() == b"\r\nxy"


@given(st.binary(max_size=200), st.integers(0, len(OPEN)))
def test_rubbish_is_refused_or_waited_for(rubbish: bytes, keep: int) -> None:
    made = client()
    try:
        made.receive_data(OPEN[:keep] + rubbish)
    except RemoteProtocolError:
        return
    assert made.is_ready == (made.answer is not None and made.answer.status == 200)
