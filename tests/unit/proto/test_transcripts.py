"""Recorded sessions of Go frp, without tcp_mux, read by our decoders together."""

from __future__ import annotations

from typing import Any

import pytest

from frpd.proto.ciphers import StreamDecryptor, derive_key
from frpd.proto.message.codec import MessageDecoder
from frpd.proto.message.types import (
    CloseProxy,
    Login,
    LoginResp,
    Message,
    NewProxy,
    NewProxyResp,
    NewWorkConn,
    ReqWorkConn,
    StartWorkConn,
)
from frpd.proto.wrappers import wrapper_stack
from tests.unit.proto.vectors import b64, load

TCP = [
    "tcp_nomux_plain_v021",
    "tcp_nomux_enc_v021",
    "tcp_nomux_comp_v021",
    "tcp_nomux_enc_comp_v021",
    "tcp_nomux_enc_comp_v031",
]
VERSIONS = ["v021", "v031"]
Chunks = list[bytes]


def direction(connection: dict[str, Any], name: str) -> Chunks:
    return [
        b64(event["data_b64"])
        for event in connection["events"]
        if event["dir"] == name and "data_b64" in event
    ]


def first_message(chunks: Chunks) -> tuple[Message | None, bytes]:
    """Return the first message and all bytes behind it."""
    decoder = MessageDecoder()
    for index, data in enumerate(chunks):
        decoder.receive_data(data)
        message = decoder.next_message()
        if message is not None:
            return message, decoder.take_rest() + b"".join(chunks[index + 1 :])
    return None, b""


def control_messages(chunks: Chunks, token: str) -> list[Message]:
    """Return the clear first message and the encrypted ones of one direction."""
    first, rest = first_message(chunks)
    assert first is not None
    decoder = MessageDecoder()
    decoder.receive_data(StreamDecryptor(derive_key(token)).decrypt(rest))
    messages = [first]
    while (message := decoder.next_message()) is not None:
        messages.append(message)
    decoder.receive_eof()
    return messages


def connections(recording: dict[str, Any], kind: type[Message]) -> list[dict[str, Any]]:
    """Return the connections whose first client message is a ``kind``."""
    return [
        connection
        for connection in recording["connections"]
        if isinstance(first_message(direction(connection, "c2s"))[0], kind)
    ]


def unwrap(payload: bytes, recording: dict[str, Any]) -> bytes:
    key = derive_key(recording["token"]) if recording["use_encryption"] else None
    stack = wrapper_stack(key=key, compress=recording["use_compression"], iv=bytes(16))
    for codec in reversed(stack):
        payload = codec.decode(payload)
    return payload


@pytest.mark.parametrize("name", TCP)
def test_payload_of_both_directions_is_recovered(name: str) -> None:
    recording = load(f"transcripts/{name}")
    to_client, to_user = [], []
    for connection in connections(recording, NewWorkConn):
        start, from_user = first_message(direction(connection, "s2c"))
        if start is None:  # pooled, never used
            continue
        assert isinstance(start, StartWorkConn)
        assert start.proxy_name == "tcp1"
        to_client.append(unwrap(from_user, recording))
        _, from_service = first_message(direction(connection, "c2s"))
        to_user.append(unwrap(from_service, recording))
    assert b"".join(to_client) == b64(recording["user_sent_b64"])
    assert b"".join(to_user) == b64(recording["user_received_b64"])


@pytest.mark.parametrize("name", TCP)
def test_control_stream_is_read_to_its_end(name: str) -> None:
    recording = load(f"transcripts/{name}")
    (control,) = connections(recording, Login)
    login, *later = control_messages(direction(control, "c2s"), recording["token"])
    assert isinstance(login, Login)
    assert login.version == recording["frpc_version"]
    (new_proxy,) = [message for message in later if isinstance(message, NewProxy)]
    assert new_proxy.use_encryption == recording["use_encryption"]
    assert new_proxy.use_compression == recording["use_compression"]
    answer, *later = control_messages(direction(control, "s2c"), recording["token"])
    assert isinstance(answer, LoginResp)
    assert len(answer.run_id) == 16
    assert NewProxyResp("tcp1", f":{new_proxy.remote_port}") in later
    assert ReqWorkConn() in later


@pytest.mark.parametrize("version", VERSIONS)
def test_refused_login_is_clear_text(version: str) -> None:
    recording = load(f"transcripts/login_wrong_token_nomux_{version}")
    (control,) = recording["connections"]
    assert isinstance(first_message(direction(control, "c2s"))[0], Login)
    answer, rest = first_message(direction(control, "s2c"))
    assert isinstance(answer, LoginResp)
    assert answer.error == "authorization failed"
    assert (answer.run_id, rest) == ("", b"")


@pytest.mark.parametrize("version", VERSIONS)
def test_refused_proxy_carries_its_reason(version: str) -> None:
    recording = load(f"transcripts/newproxy_port_not_allowed_{version}")
    control = connections(recording, Login)[0]
    answers = control_messages(direction(control, "s2c"), recording["token"])
    (refusal,) = [message for message in answers if isinstance(message, NewProxyResp)]
    assert refusal.error == "port not allowed"
    sent = control_messages(direction(control, "c2s"), recording["token"])
    # 0.21 withdraws a proxy that was refused, 0.31 does not.
    assert (CloseProxy(refusal.proxy_name) in sent) == (version == "v021")
