from __future__ import annotations

import importlib.util
import sys
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.proto import ciphers
from frpd.proto.ciphers import IV_BYTES, StreamDecryptor, StreamEncryptor, derive_key
from frpd.proto.message.codec import MessageDecoder
from frpd.proto.message.types import NatHoleSid
from tests.unit.proto.vectors import b64, load

KEY_CASES: list[dict[str, str]] = load("key_derivation")["cases"]
STREAM_CASES: list[dict[str, Any]] = load("aes_cfb_streams")["cases"]
DATAGRAMS: list[dict[str, str]] = load("messages_v070")["nathole_datagrams"]

KEY = derive_key("t")
IV = bytes(range(IV_BYTES))


def test_keys_equal_frps_and_not_its_librarys_default() -> None:
    assert len(KEY_CASES) == 12
    for case in KEY_CASES:
        same = derive_key(case["token"]).hex() == case["key_hex"]
        assert same == (case["salt"] == "frp")


def test_key_of_text_is_the_key_of_its_bytes() -> None:
    assert derive_key("é\udcff") == derive_key(b"\xc3\xa9\xff")


@pytest.mark.parametrize("case", STREAM_CASES)
def test_each_write_gives_the_bytes_that_frp_wrote(case: dict[str, Any]) -> None:
    encryptor = StreamEncryptor(derive_key(case["token"]), bytes.fromhex(case["iv_hex"]))
    plain = b64(case["plain_b64"])
    position = 0
    for step in case["steps"]:
        block = plain[position : position + step["write_len"]]
        assert encryptor.encrypt(memoryview(block)) == b64(step["wire_b64"])
        position += step["write_len"]
    assert position == len(plain)


@pytest.mark.parametrize("case", STREAM_CASES)
def test_what_frp_wrote_is_read(case: dict[str, Any]) -> None:
    wire = b64(case["wire_b64"])
    assert StreamDecryptor(derive_key(case["token"])).decrypt(wire) == b64(case["plain_b64"])
    bytewise = StreamDecryptor(derive_key(case["token"]))
    plain = b"".join(bytewise.decrypt(wire[at : at + 1]) for at in range(len(wire)))
    assert plain == b64(case["plain_b64"])


@pytest.mark.parametrize("case", DATAGRAMS)
def test_encrypted_datagrams_of_hole_punching_are_read(case: dict[str, str]) -> None:
    plain = StreamDecryptor(derive_key(case["sk"])).decrypt(bytes.fromhex(case["datagram_hex"]))
    assert plain.hex() == case["plain_hex"]
    decoder = MessageDecoder()
    decoder.receive_data(plain)
    assert decoder.next_message() == NatHoleSid(transaction_id="t", sid="s", nonce="0000")


@given(st.lists(st.binary(max_size=40), max_size=6), st.data())
def test_any_split_decrypts_to_the_same_bytes(blocks: list[bytes], data: st.DataObject) -> None:
    encryptor = StreamEncryptor(KEY, IV)
    wire = b"".join(map(encryptor.encrypt, blocks))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    decryptor = StreamDecryptor(KEY)
    plain = b"".join(
        decryptor.decrypt(bytearray(wire[start:end]))
        for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)
    )
    assert plain == b"".join(blocks)


def test_cfb_is_found_where_older_cryptography_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.decrepit.ciphers.modes", None)
    assert ciphers.__spec__ is not None
    assert ciphers.__spec__.loader is not None
    second = importlib.util.module_from_spec(ciphers.__spec__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer ones say that it moved
        ciphers.__spec__.loader.exec_module(second)
        assert second.StreamEncryptor(KEY, IV).encrypt(b"a") == StreamEncryptor(KEY, IV).encrypt(
            b"a"
        )
