"""Detect datagrams: as Go's ends write them, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import RemoteProtocolError
from frpd.proto.ciphers import IV_BYTES, derive_key
from frpd.proto.message.codec import encode_message
from frpd.proto.message.types import NatHoleSid, Ping
from frpd.proto.punch import MAX_DATAGRAM_BYTES, decode_detect, encode_detect
from tests.unit.proto.vectors import load

RECORDED = load("messages_v070")["nathole_datagrams"]
KEY = derive_key("sk")
IV = bytes(range(IV_BYTES))


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda one: f"sk={one['sk']!r}")
def test_what_go_has_written_is_read_and_written_alike(recorded: dict[str, str]) -> None:
    key, datagram = derive_key(recorded["sk"]), bytes.fromhex(recorded["datagram_hex"])
    said = decode_detect(datagram, key)
    assert encode_message(said).hex() == recorded["plain_hex"]
    assert encode_detect(said, key, datagram[:IV_BYTES]) == datagram


@given(st.text(max_size=40), st.text(max_size=40), st.booleans(), st.integers(0, 19))
def test_what_is_written_is_read(name: str, sid: str, response: bool, zeros: int) -> None:
    said = NatHoleSid(transaction_id=name, sid=sid, response=response, nonce="0" * zeros)
    assert decode_detect(encode_detect(said, KEY, IV), KEY) == said


def test_another_sk_reads_nothing() -> None:
    datagram = encode_detect(NatHoleSid(sid="one"), KEY, IV)
    with pytest.raises(RemoteProtocolError):
        decode_detect(datagram, derive_key("other"))


def test_another_message_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        decode_detect(encode_detect(Ping(), KEY, IV), KEY)  # type: ignore[arg-type]


@given(st.binary(max_size=MAX_DATAGRAM_BYTES + 1))
def test_any_other_datagram_is_refused(datagram: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_detect(datagram, KEY)
