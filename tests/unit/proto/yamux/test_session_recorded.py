"""The session against recordings of frp's own yamux: scripts, violations, transcripts."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from frpd.errors import LimitError, RemoteProtocolError
from frpd.proto.yamux.events import Data, GoAwayReceived, StreamEnded, StreamOpened, StreamReset
from frpd.proto.yamux.frames import MAX_UINT32, PING, SYN, pack_header
from frpd.proto.yamux.session import YamuxSession
from tests.unit.proto.yamux.pair import take_output

VECTORS = Path(__file__).parents[3] / "data" / "vectors"
RECORDED: dict[str, Any] = json.loads((VECTORS / "yamux.json").read_text())
SCRIPTS: dict[str, Any] = {script["name"]: script["events"] for script in RECORDED["sessions"]}
VIOLATIONS: list[Any] = RECORDED["violations"]
TRANSCRIPTS = sorted((VECTORS / "transcripts").glob("tcp_mux_*.json"))


def wire(script: str, direction: str) -> bytes:
    """Everything that one side of a recorded script wrote."""
    return b"".join(
        bytes(event["zeros"]) if "zeros" in event else bytes.fromhex(event["hex"])
        for event in SCRIPTS[script]
        if event.get("dir") == direction
    )


def make_session(*, is_client: bool, high_water_bytes: int = 1 << 20) -> YamuxSession:
    return YamuxSession(
        is_client=is_client, now=0.0, keepalive_seconds=None, high_water_bytes=high_water_bytes
    )


def test_open_write_both_ways_and_close_matches_the_recording() -> None:
    script = "open, accept, write both ways, close both"
    client, server = make_session(is_client=True), make_session(is_client=False)
    stream_id = client.open_stream(0.0)
    assert client.send_data(stream_id, b"ping") == 4
    client.end_stream(stream_id, 0.0)
    to_server = take_output(client)
    assert to_server == wire(script, "c2s")
    server.receive_data(to_server, 0.0)
    assert [type(event) for event in server.take_events()] == [StreamOpened, Data, StreamEnded]
    assert server.send_data(stream_id, b"pong!") == 5
    server.end_stream(stream_id, 0.0)
    to_client = take_output(server)
    assert to_client == wire(script, "s2c")
    client.receive_data(to_client, 0.0)
    assert [type(event) for event in client.take_events()] == [Data, StreamEnded]
    assert client.stream_count == server.stream_count == 0


def test_data_before_the_acknowledgement_is_delivered() -> None:
    server = make_session(is_client=False)
    server.receive_data(wire("write before accept", "c2s"), 0.0)
    events = server.take_events()
    assert [type(event) for event in events] == [StreamOpened, Data, StreamEnded]
    server.end_stream(1, 0.0)
    assert take_output(server) == wire("write before accept", "s2c")


def test_a_server_opens_even_ids() -> None:
    script = "server opens a stream"
    client, server = make_session(is_client=True), make_session(is_client=False)
    server.end_stream(server.open_stream(0.0), 0.0)
    to_client = take_output(server)
    assert to_client == wire(script, "s2c")
    client.receive_data(to_client, 0.0)
    assert take_output(client) == wire(script, "c2s")


def test_keepalive_pings_match_the_recording() -> None:
    client = YamuxSession(is_client=True, now=0.0, keepalive_seconds=30.0)
    server = make_session(is_client=False)
    for now in (30.0, 60.0):
        client.handle_deadline(now)
        server.receive_data(take_output(client), now)
        client.receive_data(take_output(server), now)
    client.handle_deadline(90.0)
    assert take_output(client) == pack_header(PING, SYN, 0, 2)
    server.receive_data(wire("ping", "c2s")[:24], 0.0)
    assert take_output(server) == wire("ping", "s2c")[:24]


def test_no_stream_can_be_opened_after_a_go_away() -> None:
    client, server = make_session(is_client=True), make_session(is_client=False)
    server.go_away()
    to_client = take_output(server)
    assert to_client == wire("go away then open", "s2c")
    client.receive_data(to_client * 2, 0.0)
    assert [type(event) for event in client.take_events()] == [GoAwayReceived]
    assert not client.may_open
    with pytest.raises(LimitError, match="accepts no new streams"):
        client.open_stream(0.0)


def test_credit_comes_back_in_half_windows_as_recorded() -> None:
    script = "window use"
    client, server = make_session(is_client=True), make_session(is_client=False)
    stream_id = client.open_stream(0.0)
    assert client.send_data(stream_id, bytes(262154)) == 262144
    first = take_output(client)
    server.receive_data(first, 0.0)
    to_client = take_output(server)
    server.consumed(stream_id, 131071)
    assert take_output(server) == b""
    server.consumed(stream_id, 1)
    to_client += take_output(server)
    assert to_client == wire(script, "s2c")
    client.receive_data(to_client, 0.0)
    assert [repr(event) for event in client.take_events()] == ["WindowOpened(1)"]
    assert client.send_data(stream_id, bytes(10)) == 10
    assert first + take_output(client) == wire(script, "c2s")


@pytest.mark.parametrize("case", VIOLATIONS, ids=lambda case: str(case["name"]))
@pytest.mark.parametrize("cut", [1, 5, 12, 1 << 20])
def test_violations_get_the_recorded_reaction(case: Any, cut: int) -> None:
    server = make_session(is_client=False)
    answered = b""

    def feed() -> None:
        nonlocal answered
        for sent in case["sent_hex"]:
            if sent.endswith("(header + zero body)"):
                data = bytes.fromhex(sent[:24]) + bytes(1000)
            else:
                data = bytes.fromhex(sent)
            for start in range(0, len(data), cut):
                server.receive_data(data[start : start + cut], 0.0)
                answered += take_output(server)

    if case["session_closed"]:
        with pytest.raises(RemoteProtocolError):
            feed()
    else:
        feed()
    assert answered == bytes.fromhex(case["received_hex"])


@pytest.mark.parametrize("name", ["duplicate SYN", "FIN twice"])
def test_a_go_away_with_protocol_error_is_queued_as_in_the_original(name: str) -> None:
    case = next(case for case in VIOLATIONS if case["name"] == name)
    server = make_session(is_client=False)
    with pytest.raises(RemoteProtocolError):
        server.receive_data(bytes.fromhex("".join(case["sent_hex"])), 0.0)
    assert take_output(server).endswith(bytes.fromhex("000300000000000000000001"))


def demultiplex(session: YamuxSession, data: bytes, cut: int) -> dict[int, bytes]:
    """Feed a recorded direction in pieces; return the bytes of each stream."""
    streams: dict[int, bytearray] = {}
    for start in range(0, len(data), cut):
        session.receive_data(data[start : start + cut], 0.0)
        for event in session.take_events():
            if isinstance(event, StreamOpened):
                streams[event.stream_id] = bytearray()
            elif isinstance(event, Data):
                streams.setdefault(event.stream_id, bytearray()).extend(event.payload)
                session.consumed(event.stream_id, len(event.payload))
            else:
                assert not isinstance(event, StreamReset)
    return {stream_id: bytes(data) for stream_id, data in streams.items()}


def split_messages(data: bytes, count: int) -> tuple[list[tuple[bytes, Any]], bytes]:
    """Take ``count`` frp messages (type, length, JSON) off a stream's front."""
    messages = []
    for _ in range(count):
        length = int.from_bytes(data[1:9], "big")
        messages.append((data[:1], json.loads(data[9 : 9 + length])))
        data = data[9 + length :]
    return messages, data


@pytest.mark.parametrize("cut", [65536, 1000, 7])
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcripts_demultiplex_into_login_and_payload(path: Path, cut: int) -> None:
    recording = json.loads(path.read_text())
    (connection,) = recording["connections"]
    raw = {
        way: b"".join(
            base64.b64decode(event["data_b64"])
            for event in connection["events"]
            if event["dir"] == way and "data_b64" in event
        )
        for way in ("c2s", "s2c")
    }
    from_client = demultiplex(make_session(is_client=False), raw["c2s"], cut)

    client = make_session(is_client=True)
    for stream_id in sorted(from_client):
        assert client.open_stream(0.0) == stream_id
    from_server = demultiplex(client, raw["s2c"], cut)

    ((login_type, login),), _ = split_messages(from_client[1], 1)
    assert (login_type, login["version"]) == (b"o", recording["frpc_version"])
    ((answer_type, answer),), _ = split_messages(from_server[1], 1)
    assert (answer_type, answer["error"]) == (b"1", "")
    used = [stream_id for stream_id in from_client if stream_id != 1 and stream_id in from_server]
    ((new_type, new_work_conn),), to_user = split_messages(from_client[used[0]], 1)
    assert (new_type, new_work_conn["run_id"]) == (b"w", answer["run_id"])
    ((start_type, start),), to_service = split_messages(from_server[used[0]], 1)
    assert (start_type, start["proxy_name"]) == (b"s", "tcp1")
    if not (recording["use_encryption"] or recording["use_compression"]):
        assert to_user == base64.b64decode(recording["user_received_b64"])
        if "user_sent_sha256" in recording:
            assert len(to_service) == recording["user_sent_len"]
            assert hashlib.sha256(to_service).hexdigest() == recording["user_sent_sha256"]
        else:
            assert to_service == base64.b64decode(recording["user_sent_b64"])


def test_the_last_id_is_the_largest_odd_number() -> None:
    client = make_session(is_client=True)
    client._table._next_id = MAX_UINT32
    assert client.open_stream(0.0) == MAX_UINT32
    assert not client.may_open
    with pytest.raises(LimitError, match="stream ids"):
        client.open_stream(0.0)
