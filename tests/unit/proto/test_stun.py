"""STUN: what answers a request, and what does not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.stun import (
    BINDING_ERROR,
    BINDING_SUCCESS,
    CHANGED_ADDRESS,
    COOKIE,
    ERROR_CODE,
    MAPPED_ADDRESS,
    MAX_ATTRIBUTES,
    MAX_MESSAGE_BYTES,
    OTHER_ADDRESS,
    XOR_MAPPED_ADDRESS,
    Answer,
    binding_request,
    read_answer,
)

TRANSACTION = bytes(range(12))
NAME = struct.Struct("!HHI12s")


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def address(kind: int, ip: tuple[int, int, int, int], port: int) -> bytes:
    return attribute(kind, struct.pack("!xBH4B", 1, port, *ip))


def answer(*attributes: bytes, kind: int = BINDING_SUCCESS) -> bytes:
    body = b"".join(attributes)
    return NAME.pack(kind, len(body), COOKIE, TRANSACTION) + body


MAPPED = address(MAPPED_ADDRESS, (198, 51, 100, 7), 4000)
OTHER = address(OTHER_ADDRESS, (203, 0, 113, 2), 3479)


def test_a_request_is_a_bare_header() -> None:
    assert binding_request(TRANSACTION).hex() == "000100002112a442" + TRANSACTION.hex()


def test_an_answer_of_the_rfc_is_read() -> None:
    # RFC 5769, 2.2: the attributes of its sample answer over IPv4, without the sealed ones.
    transaction = bytes.fromhex("b7e7a701bc34d686fa87dfae")
    body = bytes.fromhex("8022000b7465737420766563746f7220002000080001a147e112a643")
    head = NAME.pack(BINDING_SUCCESS, len(body), COOKIE, transaction)
    assert read_answer(head + body, transaction) == Answer(("192.0.2.1", 32853), None)


def test_an_old_server_names_the_addresses_in_clear() -> None:
    changed = address(CHANGED_ADDRESS, (203, 0, 113, 2), 3479)
    found = read_answer(answer(MAPPED, changed), TRANSACTION)
    assert found == Answer(("198.51.100.7", 4000), ("203.0.113.2", 3479))


def test_the_newer_attributes_count_where_both_are_there() -> None:
    xored = struct.pack("!HI", 4001 ^ COOKIE >> 16, 0xC6336408 ^ COOKIE)
    found = read_answer(
        answer(
            MAPPED,
            attribute(XOR_MAPPED_ADDRESS, b"\0\1" + xored),
            address(CHANGED_ADDRESS, (1, 1, 1, 1), 1),
            OTHER,
        ),
        TRANSACTION,
    )
    assert found == Answer(("198.51.100.8", 4001), ("203.0.113.2", 3479))


@pytest.mark.parametrize(
    "told",
    [
        attribute(MAPPED_ADDRESS, struct.pack("!xBH16x", 2, 4000)),
        attribute(MAPPED_ADDRESS, b"\0\1"),
        address(MAPPED_ADDRESS, (0, 0, 0, 0), 0),
    ],
    ids=["IPv6", "cut", "zero"],
)
def test_an_address_that_we_cannot_use_is_none(told: bytes) -> None:
    assert read_answer(answer(told), TRANSACTION) == Answer(None, None)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        answer(MAPPED)[:19],
        answer(MAPPED).replace(TRANSACTION, b"another one!"),
        NAME.pack(BINDING_SUCCESS, 0, 1, TRANSACTION),
        NAME.pack(0x0001, 0, COOKIE, TRANSACTION),
        answer(attribute(0x8000, bytes(MAX_MESSAGE_BYTES))),
    ],
    ids=["empty", "short", "stranger", "cookie", "request", "long"],
)
def test_what_is_no_answer_to_us_is_not_read(datagram: bytes) -> None:
    assert read_answer(datagram, TRANSACTION) is None


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (answer(MAPPED)[:-1], "the length"),
        (answer(b"\0\1"), "cut short"),
        (answer(b"\0\1\0\x09" + bytes(8)), "cut short"),
        (answer(*[attribute(0x8000, b"")] * (MAX_ATTRIBUTES + 1)), "more than 64"),
        (answer(attribute(ERROR_CODE, b"\0\0\4\x14"), kind=BINDING_ERROR), "error 420"),
        (answer(kind=BINDING_ERROR), "error 0"),
    ],
)
def test_a_broken_answer_or_a_refusal_is_an_error(datagram: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        read_answer(datagram, TRANSACTION)


def test_the_last_padding_may_be_missing() -> None:
    datagram = answer(MAPPED, b"\x80\x22\0\5abcde")
    assert read_answer(datagram, TRANSACTION) == Answer(("198.51.100.7", 4000), None)


@given(st.binary(max_size=200))
def test_any_attributes_are_read_or_refused(body: bytes) -> None:
    try:
        found = read_answer(answer(body), TRANSACTION)
    except RemoteProtocolError:
        return
    assert found is not None
