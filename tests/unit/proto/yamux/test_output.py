from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import LocalProtocolError
from frpd.proto.yamux.frames import ACK, FIN, PING, WINDOW_UPDATE, pack_header
from frpd.proto.yamux.output import (
    MAX_QUEUED_REPLIES,
    MIN_SHARE_BYTES,
    SEGMENT_BYTES,
    SMALL_WRITE_BYTES,
    SMALL_WRITE_RESERVE_BYTES,
    OutputQueue,
)

HIGH = 262144


def append(queue: OutputQueue, stream_id: int, nbytes: int) -> None:
    queue.data(stream_id, bytes(nbytes), nbytes)


def drain(queue: OutputQueue, leave: int = 0) -> list[int]:
    woken = []
    while queue.queued > leave and (segment := queue.next_segment()) is not None:
        woken += queue.sent(min(len(segment), queue.queued - leave))
    return woken


def head(queue: OutputQueue) -> bytes:
    segment = queue.next_segment()
    assert segment is not None
    return bytes(segment)


def test_small_frames_leave_as_one_segment() -> None:
    queue = OutputQueue(HIGH)
    assert queue.next_segment() is None
    queue.data(1, b"ab", 2)
    queue.control(WINDOW_UPDATE, FIN, 1, 0)
    queue.data(3, memoryview(b"xyz"), 3)
    assert head(queue) == bytes.fromhex(
        "000000000000000100000002 6162 000100040000000100000000 000000000000000300000003 78797a"
    )


def test_a_segment_that_was_handed_out_never_changes() -> None:
    queue = OutputQueue(HIGH)
    queue.data(1, b"ab", 2)
    segment = queue.next_segment()
    assert segment is not None
    before = bytes(segment)
    queue.data(1, b"cd", 2)
    assert bytes(segment) == before
    assert queue.next_segment() is segment
    queue.sent(5)
    assert head(queue) == before[5:]
    queue.sent(len(before) - 5)
    assert head(queue) == pack_header(0, 0, 1, 2) + b"cd"


def test_a_large_segment_is_closed() -> None:
    queue = OutputQueue(HIGH)
    append(queue, 1, SEGMENT_BYTES)
    append(queue, 1, 10)
    segment = queue.next_segment()
    assert segment is not None
    assert len(segment) == SEGMENT_BYTES + 12
    assert queue.queued == SEGMENT_BYTES + 34


@given(
    st.lists(st.integers(0, 40000), max_size=20),
    st.lists(st.integers(1, 70000), max_size=40),
)
def test_bytes_leave_in_order_whatever_the_socket_takes(sizes: list[int], takes: list[int]) -> None:
    queue = OutputQueue(HIGH)
    expected, left = bytearray(), bytearray()
    for number, size in enumerate(sizes):
        append(queue, number, size)
        expected += pack_header(0, 0, number, size) + bytes(size)
        if takes and (segment := queue.next_segment()) is not None:
            count = min(takes.pop(), len(segment))
            left += segment[:count]
            queue.sent(count)
        assert queue.queued == len(expected) - len(left)
    while (segment := queue.next_segment()) is not None:
        left += segment
        queue.sent(len(segment))
    assert left == expected
    assert queue.queued == 0


def test_reporting_more_than_was_handed_out_is_our_bug() -> None:
    queue = OutputQueue(HIGH)
    queue.data(1, b"ab", 2)
    with pytest.raises(LocalProtocolError):
        queue.sent(1)
    assert queue.next_segment() is not None
    with pytest.raises(LocalProtocolError):
        queue.sent(15)


def test_replies_that_the_peer_does_not_read_are_capped() -> None:
    queue = OutputQueue(HIGH)
    for number in range(MAX_QUEUED_REPLIES):
        assert queue.reply(PING, ACK, 0, number)
    assert not queue.reply(PING, ACK, 0, 0)
    assert queue.queued == 12 * MAX_QUEUED_REPLIES
    assert queue.next_segment() is not None
    queue.sent(12)
    assert not queue.reply(PING, ACK, 0, 0)
    drain(queue)
    assert queue.reply(PING, ACK, 0, 0)


def test_the_cap_on_replies_does_not_count_those_that_left() -> None:
    queue = OutputQueue(HIGH)
    append(queue, 1, SEGMENT_BYTES)
    for _ in range(MAX_QUEUED_REPLIES + 2):
        assert queue.reply(PING, ACK, 0, 0)
        append(queue, 1, SEGMENT_BYTES)
        segment = queue.next_segment()
        assert segment is not None
        queue.sent(len(segment))
        assert queue.queued > SEGMENT_BYTES


def test_bulk_is_cut_at_the_high_mark_and_tiny_rests_are_not_used() -> None:
    queue = OutputQueue(HIGH)
    assert queue.fits(HIGH)
    assert not queue.fits(HIGH + 1)
    assert queue.room_for(HIGH + 1) == HIGH
    append(queue, 1, 200000)
    assert queue.room_for(100000) == HIGH - 200012
    append(queue, 1, HIGH - 200012 - 12 - SMALL_WRITE_BYTES + 1)
    assert queue.room_for(100000) == 0


def test_a_small_write_passes_a_full_queue_up_to_a_reserve() -> None:
    queue = OutputQueue(HIGH)
    append(queue, 1, HIGH)
    assert not queue.fits(64)
    assert queue.room_for(64) == 64
    append(queue, 1, SMALL_WRITE_RESERVE_BYTES)
    assert queue.room_for(64) == 0


def test_those_who_got_nothing_are_woken_before_those_who_got_a_part() -> None:
    queue = OutputQueue(HIGH)
    append(queue, 1, HIGH)
    queue.wait(1, got_part=True)
    queue.wait(3, got_part=False)
    queue.wait(5, got_part=False)
    queue.wait(7, got_part=False)
    queue.wait(7, got_part=True)
    queue.leave(5)
    queue.leave(99)
    assert drain(queue, leave=HIGH // 4 + 1) == []
    assert drain(queue, leave=HIGH // 4) == [3, 7, 1]
    assert drain(queue) == []


def test_the_woken_share_the_room_until_nobody_waits() -> None:
    queue = OutputQueue(HIGH)
    append(queue, 1, 1000)
    for stream_id in range(4):
        queue.wait(stream_id, got_part=False)
    assert drain(queue) == [0, 1, 2, 3]
    assert queue.room_for(HIGH) == HIGH // 4
    assert not queue.fits(HIGH // 4 + 1)
    append(queue, 1, 1000)
    for stream_id in range(100):
        queue.wait(stream_id, got_part=False)
    assert len(drain(queue)) == 100
    assert queue.share == MIN_SHARE_BYTES
    append(queue, 1, 1000)
    queue.wait(1, got_part=True)
    assert drain(queue) == [1]
    assert queue.share == HIGH
    queue.share = MIN_SHARE_BYTES
    append(queue, 1, 1000)
    assert drain(queue) == []
    assert queue.share == HIGH
