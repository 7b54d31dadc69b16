from __future__ import annotations

import struct

import pytest

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.yamux.frames import (
    DATA,
    FIN,
    INITIAL_WINDOW_BYTES,
    RST,
    SYN,
    WINDOW_UPDATE,
    pack_header,
)
from frpd.proto.yamux.session import YamuxSession
from tests.unit.proto.yamux.pair import (
    OPEN_ONE,
    data_frame,
    events,
    feed,
    make_server,
    take_output,
)


def test_payload_is_delivered_as_it_arrives() -> None:
    server = make_server()
    frame = OPEN_ONE + data_frame(1, b"abcdef")
    assert feed(server, frame[:25]) == ["StreamOpened(1)", "Data(1, 1 bytes)"]
    assert feed(server, frame[25:]) == ["Data(1, 5 bytes)"]


def test_payload_is_borrowed_not_copied() -> None:
    server = make_server()
    chunk = bytearray(OPEN_ONE + data_frame(1, b"abc"))
    server.receive_data(chunk, 0.0)
    payload = server.take_events()[1].payload  # type: ignore[union-attr]
    assert payload.obj is chunk


def test_payload_of_a_cut_frame_comes_before_its_fin() -> None:
    server = make_server()
    frame = data_frame(1, b"abc", FIN)
    assert feed(server, OPEN_ONE + frame[:13]) == ["StreamOpened(1)", "Data(1, 1 bytes)"]
    assert feed(server, frame[13:]) == ["Data(1, 2 bytes)", "StreamEnded(1)"]


def test_zero_length_data_frames_are_ignored_but_their_flags_count() -> None:
    server = make_server()
    assert feed(server, data_frame(1, b"", SYN)) == ["StreamOpened(1)"]
    assert feed(server, data_frame(1, b"")) == []
    assert feed(server, data_frame(1, b"", FIN)) == ["StreamEnded(1)"]


def test_the_window_of_a_cut_frame_is_charged_at_its_header() -> None:
    server = make_server()
    feed(server, OPEN_ONE + pack_header(DATA, 0, 1, INITIAL_WINDOW_BYTES))
    assert server._streams[1].receive.remaining == 0
    with pytest.raises(RemoteProtocolError, match="more data than its window"):
        feed(server, bytes(INITIAL_WINDOW_BYTES) + data_frame(1, b"x"))


def test_syn_fin_and_payload_in_one_frame_is_a_whole_stream() -> None:
    server = make_server()
    seen = feed(server, data_frame(1, b"abc", SYN | FIN))
    assert seen == ["StreamOpened(1)", "Data(1, 3 bytes)", "StreamEnded(1)"]
    assert take_output(server) == b""
    server.end_stream(1, 0.0)
    assert take_output(server) == pack_header(WINDOW_UPDATE, FIN, 1, 0)
    assert server.stream_count == 0


def test_syn_and_rst_in_one_frame_leaves_nothing() -> None:
    server = make_server()
    assert feed(server, pack_header(WINDOW_UPDATE, SYN | RST, 1, 0)) == [
        "StreamOpened(1)",
        "StreamReset(1)",
    ]
    assert take_output(server) == b""
    assert server.stream_count == 0


def test_data_after_the_peers_fin_is_dropped_and_costs_window() -> None:
    server = make_server()
    feed(server, OPEN_ONE + pack_header(WINDOW_UPDATE, FIN, 1, 0))
    assert feed(server, data_frame(1, b"abc")) == []
    assert feed(server, data_frame(1, b"abc")[:13]) == []
    assert feed(server, b"bc") == []
    assert server._streams[1].receive.remaining == INITIAL_WINDOW_BYTES - 6


def test_frames_of_a_forgotten_stream_are_ignored() -> None:
    server = make_server()
    feed(server, OPEN_ONE + pack_header(WINDOW_UPDATE, FIN, 1, 0))
    server.end_stream(1, 0.0)
    late = data_frame(1, b"abc") + pack_header(WINDOW_UPDATE, FIN, 1, 9) + data_frame(1, b"d", FIN)
    assert feed(server, late) == []
    assert feed(server, pack_header(WINDOW_UPDATE, 0, 1, 5)) == []


def test_payload_that_follows_our_reset_is_drained() -> None:
    server = make_server()
    frame = data_frame(1, b"abcdef", FIN)
    feed(server, OPEN_ONE + frame[:14])
    server.reset_stream(1)
    assert take_output(server)[12:] == pack_header(WINDOW_UPDATE, RST, 1, 0)
    assert feed(server, frame[14:] + OPEN_ONE) == ["StreamOpened(1)"]


# -- payload that goes round us ----------------------------------------------------


def server_with_run(flags: int = 0) -> YamuxSession:
    """A server that read the header of a frame of 1000 bytes."""
    server = make_server()
    feed(server, OPEN_ONE + pack_header(DATA, flags, 1, 1000))
    take_output(server)
    return server


def run_of(session: YamuxSession) -> str:
    return repr(session.payload_run())


def test_bytes_wanted_ends_with_the_next_header() -> None:
    server = make_server()
    assert server.bytes_wanted() == 12
    feed(server, OPEN_ONE[:5])
    assert server.bytes_wanted() == 7
    feed(server, OPEN_ONE[5:])
    assert server.bytes_wanted() == 12
    feed(server, pack_header(DATA, 0, 1, 1000))
    assert server.bytes_wanted() == 1012
    feed(server, bytes(1000) + b"\0")
    assert server.bytes_wanted() == 11


def test_a_run_starts_behind_a_header_and_shrinks_whatever_way_bytes_go() -> None:
    server = server_with_run()
    assert run_of(server) == "PayloadRun(1, 1000 bytes)"
    server.payload_moved(300, 0.0)
    assert feed(server, bytes(200)) == ["Data(1, 200 bytes)"]
    assert run_of(server) == "PayloadRun(1, 500 bytes)"
    server.payload_moved(500, 0.0)
    assert server.payload_run() is None
    assert events(server) == []
    assert feed(server, data_frame(1, b"abc")) == ["Data(1, 3 bytes)"]


def test_there_is_no_run_while_events_wait() -> None:
    server = make_server()
    server.receive_data(OPEN_ONE + data_frame(1, bytes(1000))[:500], 0.0)
    assert server.payload_run() is None
    assert events(server) == ["StreamOpened(1)", "Data(1, 488 bytes)"]
    assert run_of(server) == "PayloadRun(1, 512 bytes)"


def test_there_is_no_run_between_frames() -> None:
    server = make_server()
    assert server.payload_run() is None
    feed(server, OPEN_ONE + pack_header(DATA, 0, 1, 1000)[:11])
    assert server.payload_run() is None


def test_the_end_comes_when_the_run_is_over() -> None:
    server = server_with_run(FIN)
    server.payload_moved(999, 0.0)
    assert events(server) == []
    server.payload_moved(1, 0.0)
    assert events(server) == ["StreamEnded(1)"]
    server.end_stream(1, 0.0)
    assert server.stream_count == 0


def test_moved_payload_is_credited_when_it_is_consumed() -> None:
    server = make_server()
    feed(server, OPEN_ONE + pack_header(DATA, 0, 1, INITIAL_WINDOW_BYTES))
    take_output(server)
    assert server._streams[1].receive.remaining == 0
    server.payload_moved(INITIAL_WINDOW_BYTES, 0.0)
    assert server._streams[1].receive.unconsumed == INITIAL_WINDOW_BYTES
    assert server.output_bytes == 0
    server.consumed(1, INITIAL_WINDOW_BYTES)
    assert take_output(server) == pack_header(WINDOW_UPDATE, 0, 1, INITIAL_WINDOW_BYTES)


def test_payload_of_nobody_is_no_run() -> None:
    unknown = make_server()
    feed(unknown, pack_header(DATA, 0, 1, 1000))
    ended = make_server()
    feed(ended, OPEN_ONE + pack_header(WINDOW_UPDATE, FIN, 1, 0) + pack_header(DATA, 0, 1, 1000))
    reset_here, reset_there = server_with_run(), make_server()
    reset_here.reset_stream(1)
    feed(reset_there, OPEN_ONE + pack_header(DATA, RST, 1, 1000))
    for server in (unknown, ended, reset_here, reset_there):
        assert server.payload_run() is None
        assert server.bytes_wanted() == 1012
        assert feed(server, bytes(1000) + pack_header(WINDOW_UPDATE, SYN, 3, 0)) == [
            "StreamOpened(3)"
        ]


def test_moving_more_than_the_run_or_nothing_is_our_bug() -> None:
    server = server_with_run(FIN)
    for nbytes in (0, 1001):
        with pytest.raises(LocalProtocolError, match="the run is PayloadRun"):
            server.payload_moved(nbytes, 0.0)
    server.payload_moved(1000, 0.0)
    events(server)
    with pytest.raises(LocalProtocolError, match="the run is None"):
        server.payload_moved(1, 0.0)


def test_there_is_no_run_after_the_end_of_the_session() -> None:
    server = server_with_run()
    server.receive_eof()
    events(server)
    assert server.payload_run() is None
    lost = server_with_run()
    lost._failed = True
    assert lost.payload_run() is None


def test_moved_payload_is_a_sign_of_life() -> None:
    server = server_with_run()
    server.handle_deadline(30.0)
    server.payload_moved(10, 39.0)
    server.handle_deadline(40.0)
    assert server.next_deadline() == 49.0


def test_moved_payload_puts_off_the_reset_of_a_stream_that_we_ended() -> None:
    server = YamuxSession(is_client=False, now=0.0, keepalive_seconds=None)
    feed(server, OPEN_ONE + pack_header(DATA, 0, 1, 1000))
    server.end_stream(1, 10.0)
    server.payload_moved(10, 100.0)
    assert server.next_deadline() == 400.0


def test_our_reset_in_mid_run_leaves_the_next_frame_in_step() -> None:
    server = server_with_run()
    server.payload_moved(400, 0.0)
    server.reset_stream(1)
    assert feed(server, bytes(600) + data_frame(3, b"abc", SYN)) == [
        "StreamOpened(3)",
        "Data(3, 3 bytes)",
    ]


@pytest.mark.parametrize("stream_id", [3, 5, 8])
def test_with_rising_ids_one_that_does_not_rise_ends_the_session(stream_id: int) -> None:
    session = YamuxSession(is_client=False, now=0.0)
    session.receive_data(struct.pack(">BBHII", 0, 1, 1, 5, 0), 0.0)
    session.receive_data(struct.pack(">BBHII", 0, 1, 8, 5, 0), 0.0)  # 5 is free again
    session.rising_ids = True
    with pytest.raises(RemoteProtocolError, match="does not rise"):
        session.receive_data(struct.pack(">BBHII", 0, 1, 1, stream_id, 0), 0.0)


def test_without_rising_ids_any_free_id_is_taken() -> None:
    session = YamuxSession(is_client=False, now=0.0)
    for stream_id in (5, 3, 8):
        session.receive_data(struct.pack(">BBHII", 0, 1, 1, stream_id, 0), 0.0)
    assert session.stream_count == 3
