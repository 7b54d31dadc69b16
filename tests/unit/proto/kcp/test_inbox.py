"""The receiving half."""

from __future__ import annotations

from frpd.proto.kcp.inbox import Inbox


def test_segments_are_read_in_order_however_they_come() -> None:
    inbox = Inbox(8)
    for number, payload in ((2, b"c"), (0, b"a"), (1, b"b")):
        inbox.take(number, 0, payload)
    assert inbox.readable_bytes == 3
    assert inbox.read(2) == b"ab"
    assert inbox.read(10) == b"c"
    assert inbox.read(10) == b""


def test_a_limit_cuts_a_segment() -> None:
    inbox = Inbox(8)
    inbox.take(0, 0, b"abcdef")
    assert inbox.read(4) == b"abcd"
    assert inbox.readable_bytes == 2
    assert inbox.read(0) == b""
    assert inbox.read(4) == b"ef"


def test_what_came_before_is_answered_again_and_changes_nothing() -> None:
    inbox = Inbox(8)
    inbox.take(0, 5, b"a")
    inbox.acknowledgements()
    inbox.take(0, 6, b"z")
    assert inbox.acknowledgements() == [(0, 6)]
    assert inbox.read(10) == b"a"
    inbox.take(2, 7, b"c")
    inbox.take(2, 8, b"z")
    inbox.take(1, 9, b"b")
    assert inbox.read(10) == b"bc"


def test_beyond_the_window_is_as_good_as_lost() -> None:
    inbox = Inbox(4)
    inbox.take(4, 0, b"e")
    inbox.take(0x7FFFFFFF, 0, b"z")
    assert not inbox.ack_due
    assert inbox.acknowledgements() == []


def test_never_more_than_two_windows_are_held() -> None:
    inbox = Inbox(4)
    for number in range(100):
        inbox.take(number, 0, b"x")
    assert inbox.readable_bytes == 4
    assert inbox.free == 0
    assert len(inbox._early) == 4
    assert inbox.read(1) == b"x"
    assert inbox.opened
    assert inbox.readable_bytes == 4


def test_an_empty_segment_takes_no_room() -> None:
    inbox = Inbox(4)
    for number in (1, 0, 3, 2):
        inbox.take(number, 0, b"")
    assert inbox.free == 4
    assert inbox.next_number == 4


def test_answers_name_what_lies_ahead_of_a_gap_and_the_last() -> None:
    inbox = Inbox(8)
    for number in (0, 1, 3, 5):
        inbox.take(number, number * 10, b"x")
    assert inbox.acknowledgements() == [(3, 30), (5, 50)]
    inbox.take(6, 60, b"x")
    inbox.take(2, 20, b"x")
    assert inbox.next_number == 4
    assert inbox.acknowledgements() == [(6, 60), (2, 20)]


def test_answers_that_are_never_asked_for_are_bounded() -> None:
    inbox = Inbox(4)
    for begin in range(0, 400, 2):
        inbox.take(begin + 1, 0, b"x")
        inbox.take(begin, 0, b"x")
        inbox.read(10)
    assert len(inbox._acks) <= 4


def test_numbers_wrap() -> None:
    inbox = Inbox(4)
    inbox.next_number = 0xFFFFFFFF
    inbox.take(0, 0, b"b")
    inbox.take(0xFFFFFFFF, 0, b"a")
    assert inbox.read(10) == b"ab"
    assert inbox.next_number == 1
