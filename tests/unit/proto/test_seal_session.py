from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.message.codec import MessageDecoder, encode_message
from frpd.proto.message.types import NewVisitorConn, NewVisitorConnResp
from frpd.proto.seal_keys import (
    VISIT,
    SessionKeys,
    public_key,
    stream_context,
    stretch,
    work_context,
)
from frpd.proto.seal_session import SessionSeal

VISITOR: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "data" / "seal" / "visitor.json").read_text(encoding="utf-8")
)
CLIENT, SERVER = b"c" * 32, b"s" * 32


def session(*, is_client: bool, psk: bytes = b"p" * 32) -> SessionSeal:
    own, peer = (CLIENT, SERVER) if is_client else (SERVER, CLIENT)
    keys = SessionKeys(
        psk=psk, private_key=own, peer_public_key=public_key(peer), transcript=b"t" * 32
    )
    return SessionSeal(keys, is_client=is_client)


def test_the_control_streams_of_both_ends_understand_each_other() -> None:
    client, server = session(is_client=True).control(), session(is_client=False).control()
    assert client.decode(server.start()) == b""
    assert client.finished_received
    assert server.decode(client.start() + client.encode(b"hello")) == b"hello"


def test_another_token_is_found_in_the_first_record() -> None:
    client = session(is_client=True, psk=b"q" * 32).control()
    with pytest.raises(RemoteProtocolError, match="does not open"):
        client.decode(session(is_client=False).control().start())


def test_a_work_stream_has_keys_of_its_own_and_payload_goes_on_behind_its_first_record() -> None:
    client, server = session(is_client=True), session(is_client=False)
    here, there = server.work(stream_context(2)), client.work(stream_context(2))
    there.reader.receive_data(here.writer.write(b"start"))
    assert there.reader.next_record() == b"start"
    ours, theirs = here.payload(), there.payload()
    assert theirs.decode(ours.encode(b"down")) == b"down"
    assert ours.decode(theirs.encode(b"up")) == b"up"
    other = client.work(stream_context(4))
    other.reader.receive_data(server.work(stream_context(2)).writer.write(b"start"))
    with pytest.raises(RemoteProtocolError):
        other.reader.next_record()


def test_a_proof_admits_once_and_only_for_its_session() -> None:
    client, server = session(is_client=True), session(is_client=False)
    proof = client.prove("abc", b"n" * 16)
    assert not server.admits("abd", b"n" * 16, proof)
    assert not server.admits("abc", b"m" * 16, proof)
    assert not server.admits("abc", b"", b"")
    assert server.admits("abc", b"n" * 16, proof)
    assert not server.admits("abc", b"n" * 16, proof)


def test_a_proof_of_one_kind_is_none_of_the_other() -> None:
    client, server = session(is_client=True), session(is_client=False)
    proof = client.prove("abc", b"n" * 16, VISIT)
    assert not server.admits("abc", b"n" * 16, proof)
    assert server.admits("abc", b"n" * 16, proof, VISIT)
    work = client.prove("abc", b"n" * 16)
    assert not server.admits("abc", b"n" * 16, work), "a nonce works once, whatever for"


def test_a_visitor_s_proof_is_of_one_stream_and_one_sk() -> None:
    seal, other = session(is_client=True), session(is_client=True, psk=b"q" * 32)
    context, secret = stream_context(3), b"s" * 32
    proofs = {
        seal.visitor_proof(context, secret),
        seal.visitor_proof(context, b"S" * 32),
        seal.visitor_proof(context, b""),
        seal.visitor_proof(stream_context(5), secret),
        other.visitor_proof(context, secret),
    }
    assert len(proofs) == 5


def test_a_visitor_s_payload_needs_the_session_and_the_sk() -> None:
    client, server = session(is_client=True), session(is_client=False)
    context = stream_context(3)
    there = client.visitor_payload(context, b"s" * 32)
    here = server.visitor_payload(context, b"s" * 32)
    assert here.decode(there.encode(b"up")) == b"up"
    assert there.decode(here.encode(b"down")) == b"down"
    assert client.visitor_proof(context, b"s" * 32) == server.visitor_proof(context, b"s" * 32)
    others = [
        server.visitor_payload(context, b"S" * 32),
        server.visitor_payload(stream_context(5), b"s" * 32),
        session(is_client=False, psk=b"q" * 32).visitor_payload(context, b"s" * 32),
    ]
    said = client.visitor_payload(context, b"s" * 32).encode(b"up")
    for other in others:
        with pytest.raises(RemoteProtocolError):
            other.decode(said)


# The golden exchange.


def golden_session(*, is_client: bool) -> SessionSeal:
    # Both ends have the same keys; which direction is whose is the only difference.
    keys = SessionKeys(
        psk=bytes.fromhex(VISITOR["psk"]),
        private_key=bytes.fromhex(VISITOR["client_private"]),
        peer_public_key=bytes.fromhex(VISITOR["server_public"]),
        transcript=bytes.fromhex(VISITOR["transcript"]),
    )
    return SessionSeal(keys, is_client=is_client)


def test_the_golden_sk_is_stretched_as_a_token_is() -> None:
    assert stretch(VISITOR["sk"]).hex() == VISITOR["stretched_sk"]


@pytest.mark.parametrize("case", VISITOR["streams"], ids=lambda case: case["name"])
@pytest.mark.parametrize("direction", ["c2s", "s2c"])
def test_all_bytes_of_a_visitor_s_stream_are_as_documented(
    case: dict[str, Any], direction: str
) -> None:
    reads_requests = direction == "c2s"
    seal = golden_session(is_client=not reads_requests)
    context, wire = bytes.fromhex(case["context"]), bytes.fromhex(case[direction])
    if reads_requests:
        decoder = MessageDecoder()
        decoder.receive_data(wire)
        clear = decoder.next_message()
        assert isinstance(clear, NewVisitorConn)
        assert encode_message(clear).hex() == case["clear"]
        wire = decoder.take_rest()
        if clear.nonce:
            assert context == work_context(clear.nonce)
            assert seal.admits(clear.run_id, clear.nonce, clear.proof, VISIT)
    first = seal.work(context).reader
    first.receive_data(wire)
    record, secret = first.next_record(), bytes.fromhex(VISITOR["stretched_sk"])
    assert record is not None
    assert record.hex() == case["hello" if reads_requests else "answer"]
    assert first.ended
    decoder = MessageDecoder()
    decoder.receive_data(record)
    message = decoder.next_message()
    if isinstance(message, NewVisitorConn):
        assert message.proof == seal.visitor_proof(context, secret)
    else:
        assert message == NewVisitorConnResp("alice.vault", half_closes=True)
    payload = seal.visitor_payload(context, secret)
    plain = payload.decode(first.take_rest())
    assert plain.hex() == case["up" if reads_requests else "down"]
    assert payload.ended


def test_an_erased_session_makes_no_more_keys() -> None:
    seal = session(is_client=True)
    seal.erase()
    with pytest.raises(LocalProtocolError):
        seal.work(work_context(b"n" * 16))
