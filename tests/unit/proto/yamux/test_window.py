from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import LocalProtocolError
from frpd.proto.yamux.frames import INITIAL_WINDOW_BYTES, MAX_UINT32
from frpd.proto.yamux.window import ReceiveWindow, SendWindow


def test_credit_is_given_at_half_of_the_window() -> None:
    window = ReceiveWindow()
    assert window.take(INITIAL_WINDOW_BYTES)
    assert window.give_back(131071) == 0
    assert window.give_back(1) == 131072
    assert window.remaining == 131072
    assert window.unconsumed == 131072


def test_a_frame_above_the_window_is_refused_and_not_charged() -> None:
    window = ReceiveWindow(300000)
    assert not window.take(300001)
    assert window.take(300000)
    assert window.remaining == 0


def test_consuming_more_than_came_is_our_bug() -> None:
    window = ReceiveWindow()
    assert window.take(10)
    with pytest.raises(LocalProtocolError, match="only 10 had come"):
        window.give_back(11)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400000))))
def test_the_books_of_a_receive_window_always_add_up(steps: list[tuple[bool, int]]) -> None:
    window = ReceiveWindow()
    unconsumed = credit = taken = 0
    for is_frame, nbytes in steps:
        if is_frame:
            fits = nbytes <= INITIAL_WINDOW_BYTES + credit - taken
            assert window.take(nbytes) is fits
            if fits:
                taken += nbytes
                unconsumed += nbytes
        else:
            count = min(nbytes, unconsumed)
            unconsumed -= count
            credit += window.give_back(count)
        assert window.unconsumed == unconsumed
        assert window.owed < INITIAL_WINDOW_BYTES / 2
        assert window.remaining + window.owed + unconsumed == INITIAL_WINDOW_BYTES


def test_send_credit_adds_up_to_32_bits_and_no_further() -> None:
    window = SendWindow()
    assert window.open(MAX_UINT32 - INITIAL_WINDOW_BYTES)
    assert window.remaining == MAX_UINT32
    assert not window.open(1)
    assert window.remaining == MAX_UINT32


def test_sending_above_the_credit_is_our_bug() -> None:
    window = SendWindow(5)
    window.take(5)
    with pytest.raises(LocalProtocolError, match="window is 0"):
        window.take(1)
