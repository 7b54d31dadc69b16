from __future__ import annotations

import pytest

from frpd.errors import LimitError, LocalProtocolError
from frpd.proto.yamux.events import StreamReset
from frpd.proto.yamux.frames import ACK, FIN, RST, WINDOW_UPDATE, pack_header
from frpd.proto.yamux.session import YamuxSession
from frpd.proto.yamux.table import CLOSE_SECONDS, MAX_UNACKNOWLEDGED
from tests.unit.proto.yamux.pair import events, feed, make_client, take_output


def test_windows_and_marks_have_a_least_size() -> None:
    with pytest.raises(LocalProtocolError, match="window"):
        YamuxSession(is_client=True, now=0.0, max_window_bytes=262143)
    with pytest.raises(LocalProtocolError, match="high water"):
        YamuxSession(is_client=True, now=0.0, high_water_bytes=1000)


def test_eof_resets_every_stream_and_stops_everything() -> None:
    client = make_client()
    for _ in range(MAX_UNACKNOWLEDGED):
        client.open_stream(0.0)
    with pytest.raises(LimitError):
        client.open_stream(0.0)
    client.receive_eof()
    client.receive_eof()
    assert events(client) == [f"StreamReset({number * 2 + 1})" for number in range(256)]
    assert client.next_deadline() is None
    client.handle_deadline(1e9)
    with pytest.raises(LimitError, match="over"):
        client.open_stream(0.0)


# -- what a reset withdraws ---------------------------------------------------------


def client_with_streams(count: int) -> YamuxSession:
    client = make_client()
    for _ in range(count):
        client.open_stream(0.0)
    take_output(client)
    return client


def test_our_reset_withdraws_an_unstarted_reservation() -> None:
    client = client_with_streams(1)
    client.reserve_payload(1, 1000)
    client.reserve_payload(1, 2000)
    assert client.reset_stream(1) == 3000
    assert take_output(client) == pack_header(WINDOW_UPDATE, RST, 1, 0)
    assert events(client) == []
    assert client.reset_stream(1) == 0


def test_the_peers_reset_withdraws_an_unstarted_reservation() -> None:
    client = client_with_streams(1)
    client.reserve_payload(1, 1000)
    client.receive_data(pack_header(WINDOW_UPDATE, RST, 1, 0), 0.0)
    (reset,) = client.take_events()
    assert isinstance(reset, StreamReset)
    assert reset.withdrawn == 1000
    assert client.output_bytes == 0


def test_the_bytes_before_a_hole_may_go_but_none_behind_it() -> None:
    client = client_with_streams(1)
    client.reserve_payload(1, 1000)
    client.send_data(1, b"behind")
    client.reserve_payload(1, 2000)
    assert client.reset_stream(1) == 2000
    assert client.output_bytes == 1012 + 18 + 12


def test_what_is_withdrawn_was_reserved_from_the_last_source() -> None:
    client = client_with_streams(1)
    client.reserve_payload(1, 1000, "old pipe")
    client.reserve_payload(1, 2000, "pipe")
    client.reserve_payload(1, 3000, "pipe")
    assert client.reset_stream(1) == 5000
    assert client.output_bytes == 1012 + 12


def test_a_reservation_with_our_fin_behind_it_is_paid() -> None:
    client = client_with_streams(2)
    for stream_id in (1, 3):
        feed(client, pack_header(WINDOW_UPDATE, ACK, stream_id, 0))
        client.reserve_payload(stream_id, 1000)
        client.end_stream(stream_id, 0.0)
    assert client.reset_stream(1) == 0
    client.handle_deadline(CLOSE_SECONDS)
    (reset,) = client.take_events()
    assert isinstance(reset, StreamReset)
    assert reset.withdrawn == 0
    assert client.output_bytes >= 2 * (1012 + 12 + 12)


def test_a_younger_stream_by_the_same_number_withdraws_only_its_own() -> None:
    client = client_with_streams(1)
    feed(client, pack_header(WINDOW_UPDATE, FIN | ACK, 1, 0))
    client.reserve_payload(1, 1000, "old")
    client.end_stream(1, 0.0)
    assert client.stream_count == 0
    client._table.add(1)
    client.reserve_payload(1, 2000, "young")
    assert client.reset_stream(1) == 2000
    assert client.output_bytes == 1012 + 12 + 12


def test_a_withdrawal_wakes_streams_that_met_a_full_queue() -> None:
    client = client_with_streams(2)
    assert client.reserve_payload(1, 1 << 20) == 262144
    assert client.send_data(3, bytes(5000)) == 0
    assert feed(client, pack_header(WINDOW_UPDATE, RST, 1, 0)) == [
        "WindowOpened(3)",
        "StreamReset(1)",
    ]
    assert client.send_data(3, bytes(5000)) == 5000


def test_the_end_of_the_session_withdraws_nothing() -> None:
    client = client_with_streams(1)
    client.reserve_payload(1, 1000)
    client.receive_eof()
    (reset,) = client.take_events()
    assert isinstance(reset, StreamReset)
    assert reset.withdrawn == 0
