from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frpd.errors import LocalProtocolError, RemoteProtocolError
from frpd.proto.yamux.frames import FIN, INITIAL_WINDOW_BYTES, MAX_UINT32
from frpd.proto.yamux.session import YamuxSession
from frpd.proto.yamux.window import ReceiveWindow, SendWindow, WindowBudget
from tests.unit.proto.yamux.pair import data_frame, take_output


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


def test_a_window_doubles_up_to_its_largest_while_the_budget_lasts() -> None:
    budget = WindowBudget(1_500_000, 1_000_000)
    assert budget.grow(INITIAL_WINDOW_BYTES) == INITIAL_WINDOW_BYTES
    assert budget.grow(2 * INITIAL_WINDOW_BYTES) == 1_000_000 - 2 * INITIAL_WINDOW_BYTES
    assert budget.grow(1_000_000) == 0
    assert budget.left == 1_500_000 - (1_000_000 - INITIAL_WINDOW_BYTES)


def test_a_window_that_the_budget_cannot_double_stays() -> None:
    budget = WindowBudget(INITIAL_WINDOW_BYTES - 1, 1 << 20)
    assert budget.grow(INITIAL_WINDOW_BYTES) == 0
    assert budget.left == INITIAL_WINDOW_BYTES - 1


def test_what_a_gone_stream_had_grown_by_is_there_for_others() -> None:
    budget = WindowBudget(INITIAL_WINDOW_BYTES, 1 << 20)
    grown = budget.grow(INITIAL_WINDOW_BYTES)
    assert budget.grow(INITIAL_WINDOW_BYTES) == 0
    budget.give_back(grown)
    assert budget.grow(INITIAL_WINDOW_BYTES) == grown


def test_a_wider_window_takes_more_and_gives_credit_in_larger_steps() -> None:
    window = ReceiveWindow()
    assert window.take(INITIAL_WINDOW_BYTES)
    assert window.give_back(INITIAL_WINDOW_BYTES) == INITIAL_WINDOW_BYTES
    window.widen(INITIAL_WINDOW_BYTES)
    assert window.take(2 * INITIAL_WINDOW_BYTES)
    assert not window.take(1)
    assert window.give_back(INITIAL_WINDOW_BYTES - 1) == 0
    assert window.give_back(1) == INITIAL_WINDOW_BYTES


@given(st.lists(st.tuples(st.sampled_from(["grow", "end"]), st.integers(0, 5)), max_size=60))
def test_a_budget_never_lends_more_than_it_has_and_gets_all_of_it_back(
    steps: list[tuple[str, int]],
) -> None:
    budget = WindowBudget(3_000_000, 1 << 20)
    limits = dict.fromkeys(range(6), INITIAL_WINDOW_BYTES)
    for what, name in steps:
        if what == "grow":
            limits[name] += budget.grow(limits[name])
        else:
            budget.give_back(limits[name] - INITIAL_WINDOW_BYTES)
            limits[name] = INITIAL_WINDOW_BYTES
        lent = sum(limits.values()) - 6 * INITIAL_WINDOW_BYTES
        assert budget.left == 3_000_000 - lent
        assert budget.left >= 0
        assert max(limits.values()) <= 1 << 20


def receive_and_consume(client: YamuxSession, nbytes: int) -> int:
    """Let a stream's peer send, and a reader take it; return the credit that went out."""
    client.receive_data(data_frame(1, bytes(nbytes)), 0.0)
    client.take_events()
    client.consumed(1, nbytes)
    wire = take_output(client)
    return int.from_bytes(wire[8:12], "big") if wire else 0


def growing_client(budget: WindowBudget) -> YamuxSession:
    client = YamuxSession(is_client=True, now=0.0, windows=budget)
    client.open_stream(0.0)
    take_output(client)
    return client


def test_a_session_widens_the_window_of_a_stream_that_is_drained() -> None:
    budget = WindowBudget(1 << 20, 1 << 20)
    client = growing_client(budget)
    half = INITIAL_WINDOW_BYTES // 2
    assert receive_and_consume(client, half - 1) == 0
    assert receive_and_consume(client, 1) == half + INITIAL_WINDOW_BYTES
    assert budget.left == (1 << 20) - INITIAL_WINDOW_BYTES
    assert receive_and_consume(client, 2 * half) == 2 * half + 2 * INITIAL_WINDOW_BYTES
    assert receive_and_consume(client, 4 * half) == 4 * half  # as large as one may be


def test_a_stream_that_is_not_drained_keeps_its_first_window() -> None:
    budget = WindowBudget(1 << 20, 1 << 20)
    client = growing_client(budget)
    client.receive_data(data_frame(1, bytes(INITIAL_WINDOW_BYTES)), 0.0)
    client.take_events()
    assert budget.left == 1 << 20
    client.consumed(1, 1000)
    assert budget.left == 1 << 20
    with pytest.raises(RemoteProtocolError, match="window"):
        client.receive_data(data_frame(1, b"x"), 0.0)


def test_a_peer_that_has_ended_is_granted_nothing_more() -> None:
    budget = WindowBudget(1 << 20, 1 << 20)
    client = growing_client(budget)
    client.receive_data(data_frame(1, bytes(INITIAL_WINDOW_BYTES), FIN), 0.0)
    client.take_events()
    client.consumed(1, INITIAL_WINDOW_BYTES)
    assert budget.left == 1 << 20


@pytest.mark.parametrize("end", ["reset_stream", "receive_eof"])
def test_a_stream_that_is_gone_gives_its_share_back(end: str) -> None:
    budget = WindowBudget(1 << 20, 1 << 20)
    client = growing_client(budget)
    receive_and_consume(client, INITIAL_WINDOW_BYTES)
    assert budget.left < 1 << 20
    if end == "reset_stream":
        client.reset_stream(1)
    else:
        client.receive_eof()
    assert budget.left == 1 << 20
