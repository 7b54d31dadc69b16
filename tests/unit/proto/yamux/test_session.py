from __future__ import annotations

import pytest

from frpd.errors import ConnectionLost, LimitError, LocalProtocolError, RemoteProtocolError
from frpd.proto.yamux.frames import (
    ACK,
    FIN,
    GO_AWAY,
    INITIAL_WINDOW_BYTES,
    MAX_UINT32,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
    pack_header,
)
from frpd.proto.yamux.output import MAX_QUEUED_REPLIES
from frpd.proto.yamux.session import YamuxSession
from frpd.proto.yamux.table import MAX_UNACKNOWLEDGED
from tests.unit.proto.yamux.pair import (
    OPEN_ONE,
    ConnectionPair,
    data_frame,
    events,
    feed,
    make_client,
    make_server,
    take_output,
)

# -- streams -------------------------------------------------------------------


def test_half_close_lets_the_other_direction_go_on() -> None:
    pair = ConnectionPair()
    client, server = pair.client, pair.server
    stream_id = client.session.open_stream(0.0)
    client.add(stream_id)
    client.session.send_data(stream_id, b"question")
    client.session.end_stream(stream_id, 0.0)
    pair.settle()
    assert stream_id in server.ended
    assert server.session.send_data(stream_id, b"late answer") == 11
    server.session.end_stream(stream_id, 0.0)
    pair.settle()
    assert client.received[stream_id] == b"late answer"
    assert stream_id in client.ended
    assert client.session.stream_count == server.session.stream_count == 0


def test_a_larger_window_is_granted_with_syn_and_ack() -> None:
    pair = ConnectionPair(max_window_bytes=6 << 20, high_water_bytes=16 << 20)
    client, server = pair.client.session, pair.server.session
    stream_id = client.open_stream(0.0)
    assert client.send_data(stream_id, bytes(8 << 20)) == INITIAL_WINDOW_BYTES
    pair.client.add(stream_id)
    pair.settle()
    assert server.send_data(stream_id, bytes(8 << 20)) == 6 << 20
    assert client.send_data(stream_id, bytes(8 << 20)) == (6 << 20) - INITIAL_WINDOW_BYTES
    pair.settle()
    assert len(pair.server.received[stream_id]) == 6 << 20


def test_a_reset_by_the_peer_ends_both_directions() -> None:
    server = make_server()
    feed(server, OPEN_ONE)
    assert feed(server, data_frame(1, b"dropped", RST)) == ["StreamReset(1)"]
    assert server.send_data(1, b"x") == 0
    assert server.stream_count == 0


def test_calls_for_a_stream_that_is_gone_do_nothing() -> None:
    server = make_server()
    assert server.send_data(1, b"x") == 0
    server.consumed(1, 5)
    server.end_stream(1, 0.0)
    server.reset_stream(1)
    assert server.next_segment() is None


def test_sending_and_ending_after_the_end_is_our_bug() -> None:
    server = make_server()
    feed(server, OPEN_ONE)
    server.end_stream(1, 0.0)
    with pytest.raises(LocalProtocolError, match="after the end"):
        server.send_data(1, b"x")
    with pytest.raises(LocalProtocolError, match="second end"):
        server.end_stream(1, 0.0)


def test_sending_nothing_sends_no_frame() -> None:
    server = make_server()
    feed(server, OPEN_ONE)
    take_output(server)
    assert server.send_data(1, b"") == 0
    assert server.output_bytes == 0


def test_the_callers_buffer_may_be_reused_after_a_send() -> None:
    server = make_server()
    feed(server, OPEN_ONE)
    take_output(server)
    buffer = bytearray(b"before")
    server.send_data(1, memoryview(buffer))
    buffer[:] = b"after!"
    assert take_output(server) == data_frame(1, b"before")


# -- flow ----------------------------------------------------------------------


def test_credit_wakes_a_stream_that_was_cut_by_its_window() -> None:
    client = YamuxSession(is_client=True, now=0.0, high_water_bytes=1 << 20)
    client.open_stream(0.0)
    assert client.send_data(1, bytes(INITIAL_WINDOW_BYTES + 5)) == INITIAL_WINDOW_BYTES
    assert client.send_data(1, bytes(5)) == 0
    assert feed(client, pack_header(WINDOW_UPDATE, ACK, 1, 0)) == []
    assert feed(client, pack_header(WINDOW_UPDATE, 0, 1, 3)) == ["WindowOpened(1)"]
    assert client.send_data(1, bytes(3)) == 3
    assert feed(client, pack_header(WINDOW_UPDATE, 0, 1, 3)) == []


def test_a_stream_that_met_a_full_queue_is_woken_when_it_has_drained() -> None:
    client = YamuxSession(is_client=True, now=0.0, high_water_bytes=65536)
    client.open_stream(0.0)
    assert client.send_data(1, bytes(100000)) == 65536 - 12
    assert client.send_data(1, bytes(34000)) == 0
    take_output(client, 40000)
    assert events(client) == []
    take_output(client)
    assert events(client) == ["WindowOpened(1)"]
    assert client.send_data(1, bytes(34000)) == 34000


def test_asking_for_a_window_that_is_closed_is_worth_an_event() -> None:
    client = make_client()
    client.open_stream(0.0)
    assert client.window(1) == INITIAL_WINDOW_BYTES
    assert feed(client, pack_header(WINDOW_UPDATE, ACK, 1, 1)) == []
    client._streams[1].send.remaining = 0
    assert client.window(1) == 0
    assert feed(client, pack_header(WINDOW_UPDATE, 0, 1, 3)) == ["WindowOpened(1)"]
    assert client.window(1) == 3
    assert client.window(7) == 0


def test_an_ended_or_forgotten_stream_is_not_woken() -> None:
    client = YamuxSession(is_client=True, now=0.0, high_water_bytes=65536)
    for _ in range(3):
        client.open_stream(0.0)
    for stream_id in (1, 3, 5):
        client.send_data(stream_id, bytes(100000))
    client.end_stream(1, 0.0)
    client.reset_stream(3)
    take_output(client)
    assert events(client) == ["WindowOpened(5)"]
    assert client.send_data(5, bytes(1 << 20)) > 0
    take_output(client)
    events(client)
    feed(client, pack_header(WINDOW_UPDATE, 0, 1, 1000))
    assert events(client) == []


@pytest.mark.parametrize("taken_at_once", [1 << 20, 30000])
def test_bulk_streams_share_the_trunk_evenly(taken_at_once: int) -> None:
    client = make_client()
    credit = b""
    sent = {}
    for _ in range(26):
        stream_id = client.open_stream(0.0)
        credit += pack_header(WINDOW_UPDATE, ACK, stream_id, 1 << 30)
        sent[stream_id] = 0
    feed(client, credit)
    ready = list(sent)
    bulk = bytes(1 << 20)
    for _ in range(4000):
        for stream_id in ready:
            sent[stream_id] += client.send_data(stream_id, bulk)
        take_output(client, taken_at_once)
        ready = [event.stream_id for event in client.take_events()]  # type: ignore[union-attr]
        if min(sent.values()) > 1 << 20:
            break
    assert max(sent.values()) - min(sent.values()) <= 600000


def test_a_keystroke_passes_a_full_queue() -> None:
    client = make_client()
    bulk, keys = client.open_stream(0.0), client.open_stream(0.0)
    while client.send_data(bulk, bytes(100000)):
        pass
    assert client.send_data(keys, b"x") == 1


def test_no_credit_is_sent_to_a_peer_that_ended() -> None:
    server = make_server()
    feed(server, OPEN_ONE + data_frame(1, bytes(200000), FIN))
    take_output(server)
    server.consumed(1, 200000)
    assert server.output_bytes == 0


# -- opens ---------------------------------------------------------------------


def test_opens_wait_for_acknowledgements_and_resume() -> None:
    client = make_client()
    ids = [client.open_stream(0.0) for _ in range(MAX_UNACKNOWLEDGED)]
    assert not client.may_open
    assert client.opens_may_resume
    with pytest.raises(LimitError, match="unacknowledged"):
        client.open_stream(0.0)
    acks = b"".join(pack_header(WINDOW_UPDATE, ACK, stream_id, 0) for stream_id in ids[:3])
    assert feed(client, acks) == ["OpensResumed()"]
    assert client.may_open


def test_a_refused_open_counts_as_settled() -> None:
    client = make_client()
    ids = [client.open_stream(0.0) for _ in range(MAX_UNACKNOWLEDGED)]
    with pytest.raises(LimitError):
        client.open_stream(0.0)
    refusal = pack_header(WINDOW_UPDATE, RST, ids[0], 0)
    assert sorted(feed(client, refusal)) == ["OpensResumed()", f"StreamReset({ids[0]})"]
    assert client.may_open


def test_streams_above_the_limit_are_refused() -> None:
    server = make_server(max_streams=1)
    refused = data_frame(3, b"drained", SYN)
    assert feed(server, OPEN_ONE + refused + data_frame(1, b"ok")) == [
        "StreamOpened(1)",
        "Data(1, 2 bytes)",
    ]
    assert take_output(server)[12:] == pack_header(WINDOW_UPDATE, RST, 3, 0)
    server.max_streams = 2
    assert feed(server, pack_header(WINDOW_UPDATE, SYN, 5, 0)) == ["StreamOpened(5)"]


def test_streams_opened_after_our_go_away_are_refused() -> None:
    server = make_server()
    server.go_away()
    assert feed(server, OPEN_ONE) == []
    assert take_output(server) == pack_header(GO_AWAY, 0, 0, 0) + pack_header(
        WINDOW_UPDATE, RST, 1, 0
    )


# -- hostile peers ---------------------------------------------------------------


@pytest.mark.parametrize(
    "provocation",
    [
        pack_header(PING, SYN, 0, 7),
        OPEN_ONE + pack_header(WINDOW_UPDATE, RST, 1, 0),
    ],
    ids=["pings", "opens and resets"],
)
def test_a_flood_of_provocations_ends_the_session(provocation: bytes) -> None:
    server = make_server()
    for _ in range(MAX_QUEUED_REPLIES):
        server.receive_data(provocation, 0.0)
        server.take_events()
    with pytest.raises(RemoteProtocolError, match="flood"):
        server.receive_data(provocation, 0.0)
    assert server.output_bytes <= MAX_QUEUED_REPLIES * 12
    assert server.stream_count <= 1


def test_a_flood_of_refused_streams_ends_the_session() -> None:
    server = make_server(max_streams=0)
    flood = b"".join(pack_header(WINDOW_UPDATE, SYN, number, 0) for number in range(5000))
    with pytest.raises(RemoteProtocolError, match="flood"):
        server.receive_data(flood, 0.0)
    assert server.stream_count == 0


def test_window_updates_do_not_pile_up() -> None:
    server = make_server()
    feed(server, OPEN_ONE)
    assert feed(server, pack_header(WINDOW_UPDATE, 0, 1, 1) * 5000) == []
    assert server.output_bytes == 12


@pytest.mark.parametrize("flags", [0, SYN])
def test_a_window_above_32_bits_is_a_violation(flags: int) -> None:
    server = make_server()
    if not flags:
        feed(server, OPEN_ONE)
    feed(server, pack_header(WINDOW_UPDATE, SYN, 3, MAX_UINT32 - INITIAL_WINDOW_BYTES))
    with pytest.raises(RemoteProtocolError, match="32 bits"):
        feed(server, pack_header(WINDOW_UPDATE, flags, 1, MAX_UINT32 - INITIAL_WINDOW_BYTES + 1))


def test_a_session_takes_no_input_after_a_violation() -> None:
    server = make_server()
    feed(server, OPEN_ONE)
    with pytest.raises(RemoteProtocolError, match="unknown version"):
        feed(server, b"\x01" * 12)
    with pytest.raises(LocalProtocolError, match="over"):
        feed(server, OPEN_ONE)
    server.receive_eof()
    assert events(server) == ["StreamReset(1)"]


# -- end and time ----------------------------------------------------------------


def test_a_ping_is_sent_when_due_and_its_answer_measured() -> None:
    server = make_server()
    assert server.next_deadline() == 30.0
    server.handle_deadline(29.0)
    assert server.output_bytes == 0
    server.handle_deadline(30.0)
    assert take_output(server) == pack_header(PING, SYN, 0, 0)
    assert server.next_deadline() == 40.0
    server.receive_data(pack_header(PING, ACK, 0, 0), 30.25)
    (answer,) = server.take_events()
    assert answer.rtt_seconds == 0.25  # type: ignore[union-attr]


def test_a_silent_peer_is_lost_ten_seconds_after_the_ping() -> None:
    server = make_server()
    server.handle_deadline(30.0)
    server.handle_deadline(39.0)
    with pytest.raises(ConnectionLost, match="keepalive"):
        server.handle_deadline(40.0)
    assert server.next_deadline() is None


def test_a_busy_peer_is_alive_without_its_answer() -> None:
    server = make_server()
    server.handle_deadline(30.0)
    feed(server, OPEN_ONE, now=39.0)
    server.handle_deadline(40.0)
    assert server.next_deadline() == 49.0


def test_an_unacknowledged_open_loses_the_session_after_75_seconds() -> None:
    client = YamuxSession(is_client=True, now=0.0, keepalive_seconds=None)
    assert client.next_deadline() is None
    client.open_stream(100.0)
    assert client.next_deadline() == 175.0
    client.handle_deadline(174.0)
    with pytest.raises(ConnectionLost, match="acknowledge"):
        client.handle_deadline(175.0)


def test_a_stream_that_the_peer_never_ends_is_reset_after_five_minutes() -> None:
    server = YamuxSession(is_client=False, now=0.0, keepalive_seconds=None)
    feed(server, OPEN_ONE)
    server.end_stream(1, 10.0)
    assert feed(server, data_frame(1, b"alive"), now=100.0) == ["Data(1, 5 bytes)"]
    assert server.next_deadline() == 400.0
    server.handle_deadline(399.0)
    assert server.stream_count == 1
    take_output(server)
    server.handle_deadline(400.0)
    assert events(server) == ["StreamReset(1)"]
    assert take_output(server) == pack_header(WINDOW_UPDATE, RST, 1, 0)
