from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.seal_keys import (
    C2S,
    S2C,
    NonceMemory,
    SessionKeys,
    check_work_proof,
    is_marked,
    make_marked_iv,
    public_key,
    stream_context,
    stretch,
    transcript_hash,
    work_context,
    work_proof,
)
from tests.unit.proto.vectors import load

CASES: list[dict[str, Any]] = load("seal")["schedules"]
PSK = b"p" * 32


def unhex(case: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


def make_keys(psk: bytes = PSK, transcript: bytes = b"t" * 32) -> SessionKeys:
    return SessionKeys(
        psk=psk,
        private_key=b"c" * 32,
        peer_public_key=public_key(b"s" * 32),
        transcript=transcript,
    )


def keys_of(case: dict[str, Any]) -> SessionKeys:
    psk, private, peer, transcript = unhex(
        case, "psk", "client_private", "server_public", "transcript"
    )
    return SessionKeys(psk=psk, private_key=private, peer_public_key=peer, transcript=transcript)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["token"])
def test_a_token_is_stretched_as_documented(case: dict[str, Any]) -> None:
    assert stretch(case["token"]).hex() == case["psk"]
    assert stretch(case["token"].encode()).hex() == case["psk"]


def test_a_token_that_is_not_utf8_counts_as_its_bytes() -> None:
    assert stretch("\udcff") == stretch(b"\xff")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["token"])
def test_the_schedule_gives_the_documented_keys(case: dict[str, Any]) -> None:
    assert public_key(bytes.fromhex(case["client_private"])).hex() == case["client_public"]
    assert public_key(bytes.fromhex(case["server_private"])).hex() == case["server_public"]
    login, login_resp = unhex(case, "login", "login_resp")
    assert transcript_hash(memoryview(login), bytearray(login_resp)).hex() == case["transcript"]
    keys = keys_of(case)
    for entry in case["keys"]:
        assert keys.key(entry["label"], bytes.fromhex(entry["context"])).hex() == entry["key"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["token"])
def test_both_ends_derive_the_same_keys(case: dict[str, Any]) -> None:
    psk, private, peer, transcript = unhex(
        case, "psk", "server_private", "client_public", "transcript"
    )
    server = SessionKeys(psk=psk, private_key=private, peer_public_key=peer, transcript=transcript)
    assert server.key("ctl c2s") == keys_of(case).key("ctl c2s")


def test_every_input_changes_the_keys() -> None:
    other_peer = SessionKeys(
        psk=PSK, private_key=b"d" * 32, peer_public_key=public_key(b"s" * 32), transcript=b"t" * 32
    )
    keys = make_keys()
    made = {
        keys.key("ctl c2s"),
        keys.key("ctl s2c"),
        keys.key("str c2s", stream_context(1)),
        keys.key("str c2s", stream_context(3)),
        keys.key("str c2s", work_context(b"n" * 16)),
        make_keys(psk=b"q" * 32).key("ctl c2s"),
        make_keys(transcript=b"u" * 32).key("ctl c2s"),
        other_peer.key("ctl c2s"),
    }
    assert len(made) == 8


def test_a_frame_boundary_is_part_of_the_transcript() -> None:
    assert transcript_hash(b"ab", b"c") != transcript_hash(b"a", b"bc")


@pytest.mark.parametrize(
    "point",
    [
        bytes(32),
        b"\x01" + bytes(31),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        b"",
        b"\x09" * 31,
        b"\x09" * 33,
    ],
)
def test_a_public_key_without_a_secret_is_refused(point: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="public key is not usable"):
        SessionKeys(psk=PSK, private_key=b"c" * 32, peer_public_key=point, transcript=b"t" * 32)


@pytest.mark.parametrize("private", [b"", bytes(31), bytes(33)])
def test_a_private_key_of_another_length_is_our_mistake(private: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="32 bytes"):
        public_key(private)
    with pytest.raises(LocalProtocolError, match="32 bytes"):
        SessionKeys(
            psk=PSK, private_key=private, peer_public_key=b"\x09" * 32, transcript=b"t" * 32
        )


def test_erased_keys_make_no_more_keys() -> None:
    keys = make_keys()
    keys.erase()
    keys.erase()
    with pytest.raises(LocalProtocolError, match="were erased"):
        keys.key("ctl c2s")


def test_keys_do_not_show_in_a_repr() -> None:
    assert repr(make_keys()).startswith("<frpd.proto.seal_keys.SessionKeys object")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["token"])
def test_a_work_connection_proves_its_session(case: dict[str, Any]) -> None:
    nonce, proof = unhex(case, "nonce", "proof")
    keys = keys_of(case)
    assert work_proof(keys, case["run_id"], nonce) == proof
    assert check_work_proof(keys, case["run_id"], nonce, proof)


@pytest.mark.parametrize(
    ("run_id", "nonce", "change"),
    [
        ("other", b"n" * 16, b""),
        ("run", b"m" * 16, b""),
        ("run", b"n" * 16, b"x"),
        ("runn", b"n" * 15, b""),
        ("run", b"", b""),
    ],
)
def test_another_proof_is_refused(run_id: str, nonce: bytes, change: bytes) -> None:
    keys = make_keys()
    proof = work_proof(keys, "run", b"n" * 16) + change
    assert not check_work_proof(keys, run_id, nonce, proof)


def test_a_proof_of_another_session_is_refused() -> None:
    proof = work_proof(make_keys(transcript=b"u" * 32), "run", b"n" * 16)
    assert not check_work_proof(make_keys(), "run", b"n" * 16, proof)


def test_a_nonce_is_new_once_and_never_forgotten() -> None:
    generator = random.Random(1)
    nonces = [generator.randbytes(16) for _ in range(3000)]
    memory = NonceMemory()
    assert all(memory.add(nonce) for nonce in nonces)
    assert not any(memory.add(nonce) for nonce in nonces)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["token"])
def test_a_mark_is_made_and_found_as_documented(case: dict[str, Any]) -> None:
    psk = bytes.fromhex(case["psk"])
    for mark in case["marks"]:
        iv = make_marked_iv(psk, mark["direction"], bytes.fromhex(mark["random"]))
        assert iv.hex() == mark["iv"]
        assert is_marked(psk, mark["direction"], iv)


@given(st.binary(max_size=40))
def test_no_other_iv_is_marked(iv: bytes) -> None:
    assert not is_marked(PSK, C2S, iv)


def test_a_mark_holds_for_one_token_and_one_direction() -> None:
    iv = make_marked_iv(PSK, C2S, b"r" * 8)
    assert len(iv) == 16
    assert not is_marked(PSK, S2C, iv)
    assert not is_marked(b"q" * 32, C2S, iv)
