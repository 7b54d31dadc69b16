"""The conversation: windows, time, loss."""

from __future__ import annotations

import pytest

from frpd.proto.kcp.allowance import FLOOR_SEGMENTS
from frpd.proto.kcp.segment import ACK, BODY_BYTES, HEADER, PAYLOAD_BYTES, PUSH
from frpd.proto.kcp.segment import WINDOW_ASK as ASK
from frpd.proto.kcp.segment import WINDOW_TELL as TELL
from frpd.proto.kcp.session import (
    BURST_SEGMENTS,
    DEAD_SECONDS,
    DEAD_TRANSMISSIONS,
    FIRST_PEER_WINDOW,
    FIRST_PROBE_SECONDS,
    PENDING_BYTES,
    KcpSession,
)

FIRST_TIMEOUT = 0.2


def a_session(**windows: int) -> KcpSession:
    return KcpSession(7, **{"send_window": 1024, "receive_window": 1024, **windows})


def segment(
    command: int,
    *,
    window: int = 512,
    timestamp: int = 0,
    number: int = 0,
    una: int = 0,
    payload: bytes = b"",
) -> bytes:
    head = HEADER.pack(7, command, 0, window, timestamp, number, una, len(payload))
    return head + payload


def heads(bodies: list[bytes]) -> list[tuple[int, int]]:
    """Return the command and the number of each segment."""
    found = []
    for body in bodies:
        offset = 0
        while offset < len(body):
            _, command, _, _, _, number, _, length = HEADER.unpack_from(body, offset)
            found.append((command, number))
            offset += 24 + length
    return found


def sent_segments(session: KcpSession, count: int, now: float = 0.0) -> None:
    for _ in range(count):
        session.send(b"x")
        assert session.bodies_to_send(now)


def test_data_leaves_at_once_and_in_full_segments() -> None:
    session = a_session()
    assert session.send(bytes(PAYLOAD_BYTES * 2 + 10)) == PAYLOAD_BYTES * 2 + 10
    bodies = session.bodies_to_send(0.0)
    assert [len(body) for body in bodies] == [BODY_BYTES, BODY_BYTES, 34]
    assert heads(bodies) == [(PUSH, 0), (PUSH, 1), (PUSH, 2)]
    assert session.bodies_to_send(0.0) == []
    assert session.next_deadline(0.0) == pytest.approx(FIRST_TIMEOUT)


def test_an_answer_travels_with_data() -> None:
    session = a_session()
    session.receive(segment(PUSH, payload=b"question"), 0, 0.0)
    session.send(b"answer")
    assert [heads([body]) for body in session.bodies_to_send(0.0)] == [[(ACK, 0), (PUSH, 0)]]


def test_many_segments_in_order_are_answered_by_one() -> None:
    session = a_session()
    for number in range(50):
        session.receive(segment(PUSH, number=number, timestamp=number, payload=b"x"), 0, 0.0)
    assert session.next_deadline(0.0) == 0.0
    (body,) = session.bodies_to_send(0.0)
    assert HEADER.unpack(body) == (7, ACK, 0, 1024 - 50, 49, 49, 50, 0)
    assert session.bodies_to_send(0.0) == []


def test_answers_by_the_hundred_go_in_several_bodies() -> None:
    session = a_session()
    for number in range(1, 201):
        session.receive(segment(PUSH, number=number, payload=b"x"), 0, 0.0)
    bodies = session.bodies_to_send(0.0)
    assert max(map(len, bodies)) <= BODY_BYTES
    assert len(heads(bodies)) == 200


def test_what_waits_is_bounded() -> None:
    session = a_session()
    assert session.send(bytes(PENDING_BYTES + 5)) == PENDING_BYTES
    assert session.room() == 0
    assert session.send(b"x") == 0
    assert session.unsent_or_unacked


def test_no_more_is_in_flight_than_the_peer_has_room_for() -> None:
    session = a_session()
    session.send(bytes(PENDING_BYTES))
    assert len(session.bodies_to_send(0.0)) == FIRST_PEER_WINDOW
    session.receive(segment(ACK, number=0, una=1, window=40), 0, 0.0)
    assert len(session.bodies_to_send(0.0)) == 40 - FIRST_PEER_WINDOW + 1


def test_no_more_is_in_flight_than_our_window() -> None:
    session = a_session(send_window=4)
    session.send(bytes(PENDING_BYTES))
    assert len(session.bodies_to_send(0.0)) == 4
    assert session.bodies_to_send(0.0) == []
    session.receive(segment(ACK, number=2), 0, 0.0)
    assert heads(session.bodies_to_send(0.0)) == [(PUSH, 0), (PUSH, 1)]  # they hold the window
    session.receive(segment(ACK, number=0, una=1), 0, 0.0)
    assert heads(session.bodies_to_send(0.0)) == [(PUSH, 4)]


def test_a_burst_is_cut_and_the_rest_is_due_at_once() -> None:
    session = a_session()
    session.send(b"x")
    session.bodies_to_send(0.0)
    session.receive(segment(TELL, una=1, window=1024), 0, 0.0)
    session._allowance.arrived(1024)
    session.send(bytes(PENDING_BYTES))
    assert len(session.bodies_to_send(1.0)) == BURST_SEGMENTS
    assert session.next_deadline(1.0) == 1.0
    assert len(session.bodies_to_send(1.0)) > 0


def test_a_segment_that_is_not_answered_is_sent_again_after_the_timeout() -> None:
    session = a_session()
    sent_segments(session, 1)
    session.handle_deadline(FIRST_TIMEOUT - 0.01)
    assert session.bodies_to_send(FIRST_TIMEOUT - 0.01) == []
    session.handle_deadline(FIRST_TIMEOUT)
    assert heads(session.bodies_to_send(FIRST_TIMEOUT)) == [(PUSH, 0)]
    deadline = session.next_deadline(FIRST_TIMEOUT)
    assert deadline == pytest.approx(FIRST_TIMEOUT + 0.3)


def test_a_timeout_asks_only_for_what_is_due() -> None:
    session = a_session()
    sent_segments(session, 1, now=0.0)
    sent_segments(session, 1, now=0.1)
    session.handle_deadline(FIRST_TIMEOUT)
    assert heads(session.bodies_to_send(FIRST_TIMEOUT)) == [(PUSH, 0)]
    assert session.next_deadline(FIRST_TIMEOUT) == pytest.approx(0.3)


def test_a_segment_that_was_overtaken_twice_is_sent_again_at_once() -> None:
    session = a_session()
    sent_segments(session, 5)
    session.receive(segment(ACK, number=1), 0, 0.01)
    session.send(b"new data is on its way")
    assert heads(session.bodies_to_send(0.01)) == [(PUSH, 5)]
    session.receive(segment(ACK, number=2), 0, 0.01)
    session.send(b"new data is on its way")
    assert heads(session.bodies_to_send(0.01)) == [(PUSH, 0), (PUSH, 6)]
    # Answers to what went out before it say nothing of the new try.
    session.receive(segment(ACK, number=3) + segment(ACK, number=4), 0, 0.02)
    assert session.bodies_to_send(0.02) == []


def test_once_overtaken_is_enough_when_nothing_else_is_to_go() -> None:
    session = a_session()
    sent_segments(session, 2)
    session.receive(segment(ACK, number=1), 0, 0.01)
    assert session.next_deadline(0.01) == 0.01
    assert heads(session.bodies_to_send(0.01)) == [(PUSH, 0)]


def test_an_answer_measures_the_round_trip() -> None:
    session = a_session()
    sent_segments(session, 1, now=1.0)
    session.receive(segment(ACK, number=0, una=1, timestamp=1000), 0, 1.05)
    assert not session.unsent_or_unacked
    assert session.next_deadline(1.05) is None
    sent_segments(session, 1, now=2.0)
    # 50 ms, and four times the variation of 25.
    assert session.next_deadline(2.0) == pytest.approx(2.15)


def test_what_was_never_sent_cannot_be_acknowledged() -> None:
    session = a_session()
    sent_segments(session, 1)
    for una, number in ((2, 5), (0xFFFFFFFF, 9), (0x80000000, 1)):
        session.receive(segment(ACK, number=number, una=una, window=0), 0, 0.0)
    assert session.unsent_or_unacked
    session.send(b"x")
    assert session.bodies_to_send(0.0)


def test_an_old_datagram_does_not_shut_the_window() -> None:
    session = a_session()
    sent_segments(session, 2)
    session.receive(segment(ACK, number=1, una=2, window=100), 0, 0.0)
    session.receive(segment(ACK, number=0, una=1, window=0), 0, 0.0)
    session.send(b"x")
    assert heads(session.bodies_to_send(0.0)) == [(PUSH, 2)]


def test_a_shut_window_is_asked_about_ever_more_rarely() -> None:
    session = a_session()
    session.receive(segment(TELL, window=0), 0, 0.0)
    session.send(b"x")
    assert session.bodies_to_send(0.0) == []
    now = session.next_deadline(0.0)
    assert now == FIRST_PROBE_SECONDS
    waits = []
    for _ in range(20):
        assert now is not None
        session.handle_deadline(now)
        assert heads(session.bodies_to_send(now)) == [(ASK, 0)]
        later = session.next_deadline(now)
        assert later is not None
        waits.append(later - now)
        now = later
    assert waits == sorted(waits)
    assert waits[-1] == 120
    session.receive(segment(TELL, window=5), 0, now)
    assert heads(session.bodies_to_send(now)) == [(PUSH, 0)]
    assert session._probe_at is None


def test_a_question_about_the_window_is_answered() -> None:
    session = a_session()
    session.receive(segment(ASK), 0, 0.0)
    assert heads(session.bodies_to_send(0.0)) == [(TELL, 0)]
    assert session.bodies_to_send(0.0) == []


def test_room_that_reading_made_is_told() -> None:
    session = a_session(receive_window=2)
    for number in range(2):
        session.receive(segment(PUSH, number=number, payload=b"x"), 0, 0.0)
    session.bodies_to_send(0.0)
    session.inbox.read(1)
    assert session.next_deadline(0.0) == 0.0
    (body,) = session.bodies_to_send(0.0)
    assert HEADER.unpack(body)[1:4] == (TELL, 0, 1)


def test_a_link_is_dead_after_many_tries_over_a_long_time() -> None:
    session = a_session()
    sent_segments(session, 1)
    now = 0.0
    tries = 1
    while not session.is_dead:
        deadline = session.next_deadline(now)
        assert deadline is not None
        now = deadline
        session.handle_deadline(now)
        tries += len(session.bodies_to_send(now))
    assert tries >= DEAD_TRANSMISSIONS
    assert now >= DEAD_SECONDS
    assert session.next_deadline(now) is None
    assert session.bodies_to_send(now) == []


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        segment(PUSH, payload=b"x")[:-1],
        segment(99),
        HEADER.pack(8, PUSH, 0, 5, 0, 0, 0, 0),
        HEADER.pack(7, PUSH, 0, 5, 0, 0, 0, 0xFFFFFFFF),
    ],
)
def test_what_is_not_sound_is_said_and_not_taken(body: bytes) -> None:
    session = a_session()
    assert not session.receive(body, 0, 0.0)
    assert session.inbox.readable_bytes == 0
    assert session.bodies_to_send(0.0) == []


def test_sound_segments_ahead_of_one_that_is_not_count() -> None:
    session = a_session()
    assert not session.receive(segment(PUSH, payload=b"good") + b"bad", 0, 0.0)
    assert session.inbox.read(10) == b"good"


def test_numbers_wrap() -> None:
    session = a_session()
    session._next_number = session._send_una = 0xFFFFFFFE
    session.send(bytes(PAYLOAD_BYTES * 4))
    numbers = [number for _, number in heads(session.bodies_to_send(0.0))]
    assert numbers == [0xFFFFFFFE, 0xFFFFFFFF, 0, 1]
    session.receive(segment(ACK, number=0, una=0xFFFFFFFE), 0, 0.0)
    session.receive(segment(ACK, number=1, una=0xFFFFFFFE), 0, 0.0)
    assert [number for _, number in heads(session.bodies_to_send(0.0))] == numbers[:2]
    session.receive(segment(TELL, una=2), 0, 0.0)
    assert not session.unsent_or_unacked


def test_what_was_answered_after_all_is_not_sent_again() -> None:
    session = a_session()
    sent_segments(session, 2)
    session.handle_deadline(FIRST_TIMEOUT)
    session.receive(segment(ACK, number=0, una=1), 0, FIRST_TIMEOUT)
    assert heads(session.bodies_to_send(FIRST_TIMEOUT)) == [(PUSH, 1)]
    assert session.sent_again == 1


def test_what_was_lost_leaves_in_bursts_as_well() -> None:
    session = a_session()
    session.receive(segment(TELL, window=1024), 0, 0.0)
    session._allowance.arrived(1024)
    session.send(bytes(PAYLOAD_BYTES * (BURST_SEGMENTS + 5)))
    assert len(session.bodies_to_send(0.0) + session.bodies_to_send(0.0)) == BURST_SEGMENTS + 5
    session.handle_deadline(FIRST_TIMEOUT)
    assert len(session.bodies_to_send(FIRST_TIMEOUT)) == BURST_SEGMENTS
    assert session.next_deadline(FIRST_TIMEOUT) == FIRST_TIMEOUT
    assert len(session.bodies_to_send(FIRST_TIMEOUT)) == 5
    assert session._allowance.segments == FLOOR_SEGMENTS


def test_an_answer_alone_moves_the_window() -> None:
    session = a_session(send_window=2)
    session.send(bytes(PAYLOAD_BYTES * 4))
    assert heads(session.bodies_to_send(0.0)) == [(PUSH, 0), (PUSH, 1)]
    session.receive(segment(ACK, number=1) + segment(ACK, number=0), 0, 0.0)
    assert heads(session.bodies_to_send(0.0)) == [(PUSH, 2), (PUSH, 3)]


def test_a_segment_that_parity_brings_back_late_is_no_slow_way() -> None:
    near, far = (KcpSession(7, send_window=128, receive_window=128) for _ in range(2))
    near.send(b"lost at first")
    [first] = near.bodies_to_send(0.0)
    near.handle_deadline(0.3)
    for body in near.bodies_to_send(0.3):
        far.receive(body, 0, 0.32)
    for body in far.bodies_to_send(0.32):
        near.receive(body, 0, 0.34)
    near.send(b"later")
    for body in [*near.bodies_to_send(1.0), first]:
        far.receive(body, 0, 1.02)
    for body in far.bodies_to_send(1.02):
        near.receive(body, 0, 1.04)
    assert not near.unsent_or_unacked
    assert near._round_trip.timeout <= 200
