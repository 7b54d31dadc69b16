"""Payload that is announced here and paid from elsewhere."""

from __future__ import annotations

import pytest

from frpd.errors import LocalProtocolError
from frpd.proto.yamux.frames import (
    ACK,
    FIN,
    INITIAL_WINDOW_BYTES,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
    pack_header,
)
from frpd.proto.yamux.payload import PAYLOAD_FRAME_BYTES, PayloadDue
from frpd.proto.yamux.session import YamuxSession
from tests.unit.proto.yamux.pair import (
    ConnectionPair,
    Escrow,
    data_frame,
    events,
    feed,
    make_client,
    reserve,
    take_output,
)


def client_with_stream(high_water_bytes: int = 262144) -> YamuxSession:
    client = YamuxSession(is_client=True, now=0.0, high_water_bytes=high_water_bytes)
    client.open_stream(0.0)
    take_output(client)
    return client


def test_reserved_and_copied_payload_make_the_same_bytes() -> None:
    client, escrow = client_with_stream(), Escrow()
    assert client.send_data(1, b"first") == 5
    assert reserve(client, 1, b"second", escrow) == 6
    assert client.send_data(1, b"third") == 5
    client.end_stream(1, 0.0)
    copied = client_with_stream()
    for payload in (b"first", b"second", b"third"):
        copied.send_data(1, payload)
    copied.end_stream(1, 0.0)
    assert take_output(client) == take_output(copied)


def test_a_due_carries_its_source_even_after_the_stream_is_forgotten() -> None:
    client = client_with_stream()
    feed(client, data_frame(1, b"", FIN))
    source = object()
    client.reserve_payload(1, 1000, source)
    client.end_stream(1, 0.0)
    assert client.stream_count == 0
    assert client.output_bytes == 12 + 1000 + 12
    assert client.more_follows
    client.next_segment()
    client.segment_sent(12)
    due = client.next_segment()
    assert isinstance(due, PayloadDue)
    assert due.source is source
    assert (due.stream_id, due.remaining) == (1, 1000)


def test_the_end_and_a_late_reset_go_out_behind_a_started_frame() -> None:
    pair = ConnectionPair()
    client, escrow = pair.client.session, Escrow()
    client.open_stream(0.0)
    assert reserve(client, 1, b"x" * 1000, escrow) == 1000
    assert reserve(client, 1, b"y" * 1000, escrow) == 1000
    pair.move(pair.client, 12 + 12 + 400)
    escrow.withdraw(client.reset_stream(1))
    client.handle_deadline(30.0)
    assert len(escrow.held) == 600
    assert take_output(client) == b"x" * 600 + pack_header(WINDOW_UPDATE, RST, 1, 0) + pack_header(
        PING, SYN, 0, 0
    )


def test_a_reservation_is_cut_by_the_peers_window_and_woken_by_its_credit() -> None:
    client = client_with_stream(high_water_bytes=1 << 20)
    assert client.reserve_payload(1, 200000) == 200000
    assert client.reserve_payload(1, 200000) == INITIAL_WINDOW_BYTES - 200000
    assert client.reserve_payload(1, 1) == 0
    assert feed(client, pack_header(WINDOW_UPDATE, ACK, 1, 5)) == ["WindowOpened(1)"]
    assert client.reserve_payload(1, 100) == 5


def test_a_reserved_frame_has_a_largest_size_which_is_not_a_block() -> None:
    client = client_with_stream(high_water_bytes=1 << 20)
    feed(client, pack_header(WINDOW_UPDATE, ACK, 1, 1 << 20))
    assert client.reserve_payload(1, 1 << 19) == PAYLOAD_FRAME_BYTES
    assert client.reserve_payload(1, 1 << 18) == PAYLOAD_FRAME_BYTES
    assert events(client) == []
    assert client.output_bytes == 2 * (PAYLOAD_FRAME_BYTES + 12)


def test_a_full_queue_blocks_a_reservation_until_it_has_drained() -> None:
    client, escrow = client_with_stream(high_water_bytes=65536), Escrow()
    assert reserve(client, 1, bytes(100000), escrow) == 65536
    assert client.reserve_payload(1, 34000, escrow) == 0
    take_output(client, 12 + 40000)
    assert events(client) == []
    take_output(client)
    assert events(client) == ["WindowOpened(1)"]
    assert reserve(client, 1, bytes(34000), escrow) == 34000


def test_small_writes_and_control_frames_stand_between_reserved_frames() -> None:
    client, escrow = client_with_stream(), Escrow()
    keys = client.open_stream(0.0)
    take_output(client)
    assert reserve(client, 1, bytes(1 << 20), escrow) == PAYLOAD_FRAME_BYTES
    assert client.send_data(keys, b"k") == 1
    feed(client, pack_header(PING, SYN, 0, 7))
    wire = take_output(client)
    assert wire[-25:] == data_frame(keys, b"k") + pack_header(PING, ACK, 0, 7)


def test_streams_that_reserve_and_streams_that_copy_share_the_trunk_evenly() -> None:
    client = make_client()
    credit = b""
    sent = {}
    escrows: dict[int, Escrow] = {}
    for _ in range(20):
        stream_id = client.open_stream(0.0)
        credit += pack_header(WINDOW_UPDATE, ACK, stream_id, 1 << 30)
        sent[stream_id] = 0
        escrows[stream_id] = Escrow()
    feed(client, credit)
    ready = list(sent)
    bulk = bytes(1 << 20)
    for _ in range(4000):
        for stream_id in ready:
            if stream_id % 4 == 1:
                sent[stream_id] += reserve(client, stream_id, bulk, escrows[stream_id])
            else:
                sent[stream_id] += client.send_data(stream_id, bulk)
        take_output(client, 30000)
        ready = [event.stream_id for event in client.take_events()]  # type: ignore[union-attr]
        if min(sent.values()) > 1 << 20:
            break
    assert min(sent.values()) > 1 << 20
    assert max(sent.values()) - min(sent.values()) <= 600000


def test_reserving_nothing_or_for_nobody_queues_nothing() -> None:
    client = client_with_stream()
    assert client.reserve_payload(1, 0) == 0
    assert client.reserve_payload(7, 1000) == 0
    assert client.output_bytes == 0


def test_reserving_after_the_end_is_our_bug() -> None:
    client = client_with_stream()
    client.end_stream(1, 0.0)
    with pytest.raises(LocalProtocolError, match="after the end"):
        client.reserve_payload(1, 1000)
