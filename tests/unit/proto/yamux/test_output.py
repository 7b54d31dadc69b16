from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import LocalProtocolError
from frpd.proto.yamux.frames import ACK, DATA, FIN, PING, WINDOW_UPDATE, pack_header
from frpd.proto.yamux.output import (
    MAX_QUEUED_REPLIES,
    MIN_SHARE_BYTES,
    SEGMENT_BYTES,
    SMALL_WRITE_BYTES,
    SMALL_WRITE_RESERVE_BYTES,
    OutputQueue,
)
from frpd.proto.yamux.payload import PayloadDue

HIGH = 262144


def append(queue: OutputQueue, stream_id: int, nbytes: int) -> None:
    queue.data(stream_id, bytes(nbytes), nbytes)


def drain(queue: OutputQueue, leave: int = 0) -> list[int]:
    woken = []
    while queue.queued > leave and (segment := queue.next_segment()) is not None:
        woken += queue.sent(min(len(segment), queue.queued - leave))
    return woken


def head_view(queue: OutputQueue) -> memoryview:
    segment = queue.next_segment()
    assert isinstance(segment, memoryview)
    return segment


def head(queue: OutputQueue) -> bytes:
    return bytes(head_view(queue))


def reserve(queue: OutputQueue, stream_id: int, nbytes: int, mark: object) -> PayloadDue:
    due = PayloadDue(stream_id, nbytes, None, mark)
    queue.reserve(due)
    return due


def layout(queue: OutputQueue) -> list[bytes | str]:
    """Take everything; show bytes as they are and dues as text."""
    taken: list[bytes | str] = []
    while (segment := queue.next_segment()) is not None:
        taken.append(repr(segment) if isinstance(segment, PayloadDue) else bytes(segment))
        queue.sent(len(segment))
    assert queue.queued == 0
    return taken


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
    segment = head_view(queue)
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
        if takes:
            segment = head_view(queue)
            count = min(takes.pop(), len(segment))
            left += segment[:count]
            queue.sent(count)
        assert queue.queued == len(expected) - len(left)
    while queue.queued:
        segment = head_view(queue)
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


def test_the_share_stays_until_those_who_were_woken_had_a_turn() -> None:
    queue = OutputQueue(HIGH)
    append(queue, 1, 3000)
    queue.next_segment()
    queue.wait(1, got_part=False)
    queue.wait(3, got_part=False)
    assert queue.sent(1000) == [1, 3]
    share = queue.share
    assert share < HIGH
    assert queue.sent(1000) == []
    assert drain(queue) == []
    assert queue.share == share
    append(queue, 1, 1000)
    assert drain(queue) == []
    assert queue.share == HIGH


def test_a_withdrawal_is_no_turn_of_those_who_were_woken() -> None:
    queue = OutputQueue(HIGH)
    mark = object()
    append(queue, 1, 3000)
    queue.next_segment()
    reserve(queue, 5, 1000, mark)
    queue.wait(1, got_part=False)
    queue.wait(3, got_part=False)
    assert queue.sent(1000) == [1, 3]
    share = queue.share
    assert queue.withdraw(mark) == (1000, [])
    assert queue.share == share < HIGH


def test_whether_more_follows_counts_all_behind_the_first_segment() -> None:
    queue = OutputQueue(HIGH)
    seen = [queue.more_follows]
    queue.data(1, b"ab", 2)
    head(queue)
    seen.append(queue.more_follows)
    reserve(queue, 1, 1000, object())
    seen.append(queue.more_follows)
    drain(queue, leave=1000)
    seen.append(queue.more_follows)
    queue.control(WINDOW_UPDATE, FIN, 1, 0)
    seen.append(queue.more_follows)
    assert seen == [False, False, True, False, True]


# -- reserved payload --------------------------------------------------------------


def test_a_reserved_frame_stands_in_order_and_nothing_inside_it() -> None:
    queue = OutputQueue(HIGH)
    queue.data(1, b"ab", 2)
    reserve(queue, 3, 1000, object())
    queue.control(WINDOW_UPDATE, FIN, 3, 0)
    assert queue.queued == 14 + 1012 + 12
    assert layout(queue) == [
        pack_header(DATA, 0, 1, 2) + b"ab" + pack_header(DATA, 0, 3, 1000),
        "PayloadDue(3, 1000 bytes)",
        pack_header(WINDOW_UPDATE, FIN, 3, 0),
    ]


def test_a_due_is_paid_in_parts_and_stays_the_same_object() -> None:
    queue = OutputQueue(HIGH)
    due = reserve(queue, 3, 1000, object())
    queue.next_segment()
    queue.sent(12)
    assert queue.next_segment() is due
    queue.sent(300)
    assert queue.next_segment() is due
    assert due.remaining == queue.queued == 700
    with pytest.raises(LocalProtocolError):
        queue.sent(701)
    queue.sent(700)
    assert due.remaining == 0
    assert queue.next_segment() is None


def test_reserved_bytes_count_for_marks_and_shares_like_queued_ones() -> None:
    queue = OutputQueue(HIGH)
    reserve(queue, 1, HIGH - 12 - 5000, object())
    assert queue.room_for(100000) == 5000
    queue.wait(3, got_part=False)
    queue.next_segment()
    queue.sent(12)
    queue.next_segment()
    assert queue.sent(HIGH - 5012 - HIGH // 4 - 1) == []
    assert queue.sent(1) == [3]


def test_replies_stay_counted_with_dues_between_them() -> None:
    queue = OutputQueue(HIGH)
    for number in range(MAX_QUEUED_REPLIES):
        assert queue.reply(PING, ACK, 0, number)
        if number % 1000 == 0:
            reserve(queue, 1, 100, object())
    assert not queue.reply(PING, ACK, 0, 0)
    drain(queue)
    for number in range(MAX_QUEUED_REPLIES):
        assert queue.reply(PING, ACK, 0, number)
    assert not queue.reply(PING, ACK, 0, 0)


def test_a_withdrawn_frame_leaves_with_its_header_and_only_its_own() -> None:
    queue = OutputQueue(HIGH)
    mine, other = object(), object()
    queue.data(1, b"ab", 2)
    reserve(queue, 3, 1000, mine)
    reserve(queue, 3, 2000, mine)
    reserve(queue, 5, 3000, other)
    reserve(queue, 3, 4000, mine)
    queue.data(1, b"cd", 2)
    assert queue.withdraw(mine) == (7000, [])
    assert queue.queued == 14 + 3012 + 14
    assert queue.withdraw(mine) == (0, [])
    assert layout(queue) == [
        pack_header(DATA, 0, 1, 2) + b"ab",
        pack_header(DATA, 0, 5, 3000),
        "PayloadDue(5, 3000 bytes)",
        pack_header(DATA, 0, 1, 2) + b"cd",
    ]


@pytest.mark.parametrize("sent", [0, 5, 12, 512])
def test_a_frame_whose_header_was_handed_out_is_not_withdrawn(sent: int) -> None:
    queue = OutputQueue(HIGH)
    mark = object()
    due = reserve(queue, 3, 1000, mark)
    reserve(queue, 3, 2000, mark)
    assert len(head(queue)) == 12
    queue.sent(min(sent, 12))
    if sent > 12:
        assert queue.next_segment() is due
        queue.sent(sent - 12)
    assert queue.withdraw(mark) == (2000, [])
    assert queue.queued == 1012 - sent
    layout(queue)
    assert due.remaining == 0


def test_a_withdrawal_wakes_who_waited_for_room() -> None:
    queue = OutputQueue(HIGH)
    mark = object()
    reserve(queue, 1, HIGH - 12, mark)
    queue.wait(3, got_part=False)
    assert queue.withdraw(object()) == (0, [])
    assert queue.withdraw(mark) == (HIGH - 12, [3])
    assert queue.next_segment() is None
    assert queue.queued == 0
