from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.socks5 import (
    REPLY_WORDS,
    Command,
    Host,
    Packet,
    Reply,
    Socks5Client,
    decode_address,
    decode_packet,
    encode_address,
    encode_packet,
    reply_words,
)

IPV6 = bytes(range(16))
ALICE = (b"alice", b"secret")
DONE = bytes.fromhex("05000001000000000000")
FQDN = b"\x05\x01\x00\x03\x10frps.example.com\x1bX"


def client(credentials: tuple[bytes, bytes] | None = None) -> Socks5Client:
    return Socks5Client("frps.example.com", 7000, credentials)


# The codecs.


@pytest.mark.parametrize(
    ("host", "port", "wire"),
    [
        (b"\x0a\x01\x02\x03", 7000, b"\x01\x0a\x01\x02\x03\x1b\x58"),
        (IPV6, 65535, b"\x04" + IPV6 + b"\xff\xff"),
        ("a.test", 0, b"\x03\x06a.test\x00\x00"),
        ("n" * 255, 1, b"\x03\xff" + b"n" * 255 + b"\x00\x01"),
    ],
)
def test_an_address_goes_there_and_back(host: Host, port: int, wire: bytes) -> None:
    assert encode_address(host, port) == wire
    assert decode_address(wire + b"rest") == (host, port, len(wire))
    assert all(decode_address(wire[:cut]) is None for cut in range(len(wire)))


@pytest.mark.parametrize("host", ["", "n" * 256, "b\u00fccher.example"])
def test_a_name_that_cannot_be_sent_is_refused(host: str) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be asked of a SOCKS proxy"):
        encode_address(host, 1)


@pytest.mark.parametrize("host", [b"", b"abc", bytes(17)])
def test_bytes_that_are_no_address_are_refused(host: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="bytes are no IP address"):
        encode_address(host, 1)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(LocalProtocolError, match="is no port"):
        encode_address("a.test", port)


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"\x00", "unknown SOCKS address type 0"),
        (b"\x02abc", "unknown SOCKS address type 2"),
        (b"\x03\x00", "empty name"),
    ],
)
def test_what_is_no_address_is_known_before_it_is_whole(wire: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        decode_address(wire)


def test_a_name_of_any_bytes_is_kept_as_it_is() -> None:
    found = decode_address(b"\x03\x02\xc3\xff\x00\x01")
    assert found is not None
    assert isinstance(found[0], str)
    assert found[0].encode("ascii", "surrogateescape") == b"\xc3\xff"


@pytest.mark.parametrize("code", [*Command, *Reply])
def test_a_packet_goes_there_and_back(code: Command | Reply) -> None:
    wire = encode_packet(code, "a.test", 80)
    assert decode_packet(memoryview(wire + b"rest")) == (Packet(code, "a.test", 80), len(wire))
    assert all(decode_packet(wire[:cut]) is None for cut in range(len(wire)))


@pytest.mark.parametrize(
    ("wire", "why"),
    [(b"\x04", "SOCKS version 4, expected 5"), (b"\x05\x01\x07", "reserved SOCKS byte 7")],
)
def test_what_is_no_packet_is_known_at_once(wire: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        decode_packet(wire)


def test_every_reply_has_its_words() -> None:
    assert set(REPLY_WORDS) == set(Reply)
    assert len(set(REPLY_WORDS.values())) == len(Reply)
    assert reply_words(5) == "connection refused"
    assert reply_words(200) == "unknown reply 200"


# The client. What it sends was recorded from Go frpc 0.31, 0.51.3 and 0.70.1.


def test_without_credentials_it_offers_none() -> None:
    made = client()
    assert made.data_to_send() == b"\x05\x01\x00"
    made.receive_data(b"\x05\x00")
    assert made.data_to_send() == FQDN
    made.receive_data(DONE + b"first")
    made.receive_data(b" bytes")
    assert made.is_ready
    assert made.refusal is None
    assert made.data_to_send() == b""
    assert made.take_rest() == b"first bytes"
    assert made.take_rest() == b""


def test_with_credentials_it_offers_both_and_says_them_when_asked() -> None:
    made = client(ALICE)
    assert made.data_to_send() == b"\x05\x02\x00\x02"
    made.receive_data(b"\x05\x02")
    assert made.data_to_send() == b"\x01\x05alice\x06secret"
    made.receive_data(b"\x01\x00")
    assert made.data_to_send() == FQDN
    made.receive_data(DONE)
    assert made.is_ready


def test_credentials_are_kept_where_nobody_asks() -> None:
    made = client(ALICE)
    made.data_to_send()
    made.receive_data(b"\x05\x00")
    assert made.data_to_send() == FQDN


def test_an_address_is_sent_as_one() -> None:
    made = Socks5Client(b"\x0a\x01\x02\x03", 7000)
    made.data_to_send()
    made.receive_data(b"\x05\x00")
    assert made.data_to_send() == b"\x05\x01\x00\x01\n\x01\x02\x03\x1bX"


@pytest.mark.parametrize("bound", [bytes(4), IPV6, "out.example.com"])
def test_the_proxys_own_address_may_be_of_any_kind(bound: Host) -> None:
    made = client()
    made.receive_data(b"\x05\x00" + encode_packet(Reply.SUCCEEDED, bound, 9) + b"x")
    assert made.is_ready
    assert made.take_rest() == b"x"


@pytest.mark.parametrize("code", [*list(Reply)[1:], 9, 255])
def test_a_refusal_is_told_in_words_and_needs_no_address(code: int) -> None:
    made = client()
    made.receive_data(b"\x05\x00\x05" + bytes([code]))
    assert made.refusal == reply_words(code)
    assert not made.is_ready
    assert made.take_rest() == b""
    made.receive_data(DONE)
    assert not made.is_ready


@pytest.mark.parametrize(
    ("credentials", "wire", "refusal"),
    [
        (None, b"\x05\xff", "it wants a user and a password, and none are given"),
        (ALICE, b"\x05\xff", "it takes no way to authenticate that we can offer"),
        (ALICE, b"\x05\x02\x01\x01", "it does not accept the user and password given"),
        (ALICE, b"\x05\x02\x01\xff", "it does not accept the user and password given"),
    ],
)
def test_a_refusal_to_authenticate_is_told(
    credentials: tuple[bytes, bytes] | None, wire: bytes, refusal: str
) -> None:
    made = client(credentials)
    made.receive_data(wire)
    assert made.refusal == refusal


@pytest.mark.parametrize(
    ("credentials", "wire", "why"),
    [
        (None, b"H", "SOCKS version 72"),
        (None, b"\x04\x5a", "SOCKS version 4"),
        (None, b"\x05\x02", "SOCKS method 2 was never offered"),
        (ALICE, b"\x05\x01", "SOCKS method 1 was never offered"),
        (ALICE, b"\x05\x02\x05\x00", "SOCKS version 5, expected 1"),
        (None, b"\x05\x00\x04\x5a", "SOCKS version 4"),
        (None, b"\x05\x00\x05\x00\x01", "reserved SOCKS byte 1"),
        (None, b"\x05\x00\x05\x00\x00\x05", "unknown SOCKS address type 5"),
    ],
)
def test_what_no_proxy_may_say_ends_it(
    credentials: tuple[bytes, bytes] | None, wire: bytes, why: str
) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        client(credentials).receive_data(wire)


@pytest.mark.parametrize("credentials", [(b"", b"p"), (b"u" * 256, b""), (b"u", b"p" * 256)])
def test_credentials_that_do_not_fit_are_refused(credentials: tuple[bytes, bytes]) -> None:
    with pytest.raises(LocalProtocolError, match="user of 1 to 255 bytes"):
        client(credentials)


def test_credentials_of_the_greatest_length_fit() -> None:
    made = client((b"u" * 255, b"p" * 255))
    made.data_to_send()
    made.receive_data(b"\x05\x02")
    assert made.data_to_send() == b"\x01\xff" + b"u" * 255 + b"\xff" + b"p" * 255


WHOLE = b"\x05\x02\x01\x00" + encode_packet(Reply.SUCCEEDED, "out.test", 9) + b"rest"


@given(st.lists(st.integers(0, len(WHOLE))))
def test_cuts_change_nothing(cuts: list[int]) -> None:
    made = client(ALICE)
    sent = made.data_to_send()
    places = [0, *sorted(cuts), len(WHOLE)]
    for start, end in pairwise(places):
        made.receive_data(WHOLE[start:end])
        sent += made.data_to_send()
    assert sent == b"\x05\x02\x00\x02\x01\x05alice\x06secret" + FQDN
    assert made.is_ready
    assert made.take_rest() == b"rest"


@given(st.integers(0, len(WHOLE) - 4), st.binary(max_size=300))
def test_rubbish_is_refused_or_waited_for(keep: int, rubbish: bytes) -> None:
    made = client(ALICE)
    try:
        made.receive_data(WHOLE[:keep] + rubbish)
    except RemoteProtocolError:
        return
    assert not (made.is_ready and made.refusal)
