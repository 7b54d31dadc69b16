from __future__ import annotations

import itertools
from typing import Any

import pytest

from frpd.proto.ciphers import derive_key
from frpd.proto.deflate import DeflateCodec
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
