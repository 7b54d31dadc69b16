from __future__ import annotations

import pytest

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.seal_keys import SessionKeys, public_key, stream_context, work_context
from frpd.proto.seal_session import SessionSeal

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


def test_an_erased_session_makes_no_more_keys() -> None:
    seal = session(is_client=True)
    seal.erase()
    with pytest.raises(LocalProtocolError):
        seal.work(work_context(b"n" * 16))
