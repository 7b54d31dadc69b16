from __future__ import annotations

import itertools
from typing import Any

import pytest

from frpd.proto.ciphers import derive_key
from frpd.proto.deflate import DeflateCodec
from frpd.proto.seal import StreamSeal
from frpd.proto.wrappers import CipherCodec, SnappyCodec, StreamCodec, wrapper_stack
from tests.unit.proto.vectors import b64, load

CASES: list[dict[str, Any]] = load("wrapper_stacks")["cases"]
KEY = derive_key("t")
IV = bytes(16)


def encode(stack: list[StreamCodec], data: bytes) -> bytes:
    for codec in stack:
        data = codec.encode(data)
    return data


def decode(stack: list[StreamCodec], data: bytes) -> bytes:
    for codec in reversed(stack):
        data = codec.decode(data)
    return data


@pytest.mark.parametrize("case", CASES)
def test_what_frp_wrapped_is_unwrapped(case: dict[str, Any]) -> None:
    key = derive_key(case["token"]) if case["encryption"] else None
    stack = wrapper_stack(key=key, compress=case["compression"], iv=IV)
    assert decode(stack, b64(case["wire_b64"])) == b64(case["plain_b64"])


@pytest.mark.parametrize(
    ("key", "compress", "kinds"),
    [
        (None, False, []),
        (KEY, False, [CipherCodec]),
        (None, True, [SnappyCodec]),
        (KEY, True, [SnappyCodec, CipherCodec]),
    ],
)
def test_compression_stands_inside_encryption(
    key: bytes | None, compress: bool, kinds: list[type]
) -> None:
    assert [type(codec) for codec in wrapper_stack(key=key, compress=compress, iv=IV)] == kinds


def test_deflate_takes_the_place_of_snappy() -> None:
    stack = wrapper_stack(key=KEY, compress=True, iv=IV, deflate=True)
    assert [type(codec) for codec in stack] == [DeflateCodec, CipherCodec]
    assert wrapper_stack(key=None, compress=False, iv=IV, deflate=True) == []


@pytest.mark.parametrize(("key", "compress"), list(itertools.product([None, KEY], [False, True])))
def test_each_write_arrives_whole_in_both_directions(key: bytes | None, compress: bool) -> None:
    left = wrapper_stack(key=key, compress=compress, iv=b"l" * 16)
    right = wrapper_stack(key=key, compress=compress, iv=b"r" * 16)
    for data in (b"a", b"", bytes(70000), b"b"):
        assert decode(right, encode(left, data)) == data
        assert decode(left, encode(right, data)) == data


def test_nothing_stays_nothing_and_sends_no_iv() -> None:
    stack = wrapper_stack(key=KEY, compress=True, iv=IV)
    assert encode(stack, b"") == b""
    assert encode(stack, b"a")[:16] == IV


def test_a_seal_takes_the_cipher_s_place() -> None:
    seal = StreamSeal(b"o" * 32, b"p" * 32).payload()
    assert wrapper_stack(key=KEY, compress=False, iv=IV, sealed=seal) == [seal]
    assert wrapper_stack(key=None, compress=True, iv=IV, sealed=seal)[1:] == [seal]


@pytest.mark.parametrize("piece", [1, 15, 99])
def test_the_peer_s_iv_is_checked_once_before_anything_is_handed_on(piece: int) -> None:
    seen: list[bytes] = []
    codec = CipherCodec(KEY, IV, check_iv=seen.append)
    wire = CipherCodec(KEY, b"v" * 16).encode(b"data" * 9)
    plain = b""
    for start in range(0, len(wire), piece):
        plain += codec.decode(wire[start : start + piece])
        assert bool(seen) >= bool(plain)
    assert (plain, seen) == (b"data" * 9, [b"v" * 16])


def test_formats_without_a_mark_end_anywhere() -> None:
    for codec in (CipherCodec(KEY, IV), SnappyCodec(), DeflateCodec()):
        assert codec.finish() == b""
        codec.receive_eof()
