"""Two ends, and one end against what Go said."""

from __future__ import annotations

from base64 import b64decode
from itertools import combinations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frpd.proto.kcp.connection import CALM_DATAGRAMS, KcpConnection, conversation_of
from frpd.proto.kcp.segment import DATA_SHARD, DATAGRAM_BYTES, FEC_BYTES, FEC_HEADER, HEADER
from tests.unit.proto.kcp.recorded import MUXED, PUNCHED, directions, load

PAYLOAD = bytes(range(251)) * 120


def turn(sender: KcpConnection, now: float) -> list[bytes]:
    deadline = sender.next_deadline()
    if deadline is not None and deadline <= now:
        sender.handle_deadline(now)
    return sender.datagrams_to_send(now)


def received(conversation: int, datagrams: list[bytes]) -> bytes:
    connection = KcpConnection(conversation, now=0.0)
    for datagram in datagrams:
        connection.receive_datagram(datagram, 0.0)
    assert connection.ignored == 0
    return connection.read(1 << 20)


@pytest.mark.parametrize("name", PUNCHED)
def test_recorded_punched_tunnels_give_the_recorded_payload(name: str) -> None:
    sent = b64decode(load(name)["user_sent_b64"])
    for datagrams in directions(name).values():
        assert received(1, datagrams) == sent  # it was echoed


@pytest.mark.parametrize("name", MUXED)
def test_recorded_payload_survives_the_loss_of_any_three_datagrams(name: str) -> None:
    sent = b64decode(load(name)["user_sent_b64"])
    for datagrams in directions(name).values():
        conversation = conversation_of(datagrams[0])
        assert conversation is not None
        whole = received(conversation, datagrams)
        assert sent in whole
        for lost in list(combinations(range(13), 3))[::5]:
            left = [one for index, one in enumerate(datagrams) if index not in lost]
            assert received(conversation, left) == whole


def test_a_group_with_three_lost_needs_nothing_sent_again() -> None:
    sender, receiver = KcpConnection(9, now=0.0), KcpConnection(9, now=0.0)
    room = sender.room()
    assert sender.send(PAYLOAD[: 1318 * 10]) == room - sender.room()
    datagrams = sender.datagrams_to_send(0.0)
    assert [datagram[4] for datagram in datagrams] == [0xF1] * 10 + [0xF2] * 3
    assert {len(datagram) for datagram in datagrams} == {DATAGRAM_BYTES}
    for index in (1, 2, 3, 4, 6, 7, 8, 10, 11, 12):
        receiver.receive_datagram(datagrams[index], 0.01)
    assert receiver.read(1 << 20) == PAYLOAD[: 1318 * 10]
    for answer in receiver.datagrams_to_send(0.01):
        sender.receive_datagram(answer, 0.02)
    assert not sender.unsent_or_unacked
    assert sender.next_deadline() is None


def test_acknowledgements_alone_count_in_groups() -> None:
    sender, receiver = KcpConnection(9, now=0.0), KcpConnection(9, now=0.0)
    kinds = []
    for _ in range(10):
        sender.send(b"x")
        for datagram in sender.datagrams_to_send(0.0):
            receiver.receive_datagram(datagram, 0.0)
        kinds += [datagram[4] for datagram in receiver.datagrams_to_send(0.0)]
    assert kinds == [0xF1] * 10 + [0xF2] * 3


def test_without_parity_a_peer_gets_all_the_same() -> None:
    sender = KcpConnection(9, now=0.0, sends_parity=False)
    receiver = KcpConnection(9, now=0.0)
    sender.send(PAYLOAD)
    for datagram in sender.datagrams_to_send(0.0):
        assert datagram[4] == DATA_SHARD
        receiver.receive_datagram(memoryview(bytearray(datagram)), 0.0)
    assert receiver.read(1 << 20) == PAYLOAD


def test_parity_is_spared_while_nothing_is_lost_if_that_is_asked_for() -> None:
    connection = KcpConnection(9, now=0.0, spares_parity=True)

    def kinds(count: int) -> set[int]:
        found: set[int] = set()
        for number in range(count):
            body = HEADER.pack(9, 81, 0, 32, 0, number, 0, 0)
            connection.receive_datagram(body, 0.0)
            found.update(datagram[4] for datagram in connection.datagrams_to_send(0.0))
        return found

    assert kinds(20) == {0xF1, 0xF2}
    kinds(CALM_DATAGRAMS)
    assert kinds(20) == {0xF1}
    connection.send(b"lost")
    connection.datagrams_to_send(0.0)
    connection.handle_deadline(1.0)
    connection.datagrams_to_send(1.0)
    assert kinds(20) == {0xF1, 0xF2}


def test_a_plain_peer_is_heard() -> None:
    connection = KcpConnection(9, now=0.0)
    connection.receive_datagram(HEADER.pack(9, 81, 0, 32, 0, 0, 0, 5) + b"plain", 0.0)
    assert connection.readable_bytes == 5
    assert connection.read(10) == b"plain"
    assert connection.datagrams_to_send(0.0)[0][4] == DATA_SHARD


def test_a_recovered_body_of_another_conversation_is_ignored() -> None:
    sender, receiver = KcpConnection(8, now=0.0), KcpConnection(9, now=0.0)
    sender.send(PAYLOAD[: 1318 * 10])
    for datagram in sender.datagrams_to_send(0.0)[1:11]:
        receiver.receive_datagram(datagram, 0.0)
    assert receiver.readable_bytes == 0
    assert receiver.ignored == 10  # nine, and the one that parity gave
    assert receiver.datagrams_to_send(0.0) == []


def test_a_silent_peer_makes_a_connection_dead() -> None:
    connection = KcpConnection(9, now=0.0)
    connection.send(b"anyone there?")
    now = 0.0
    connection.datagrams_to_send(now)
    while (deadline := connection.next_deadline()) is not None:
        now = deadline
        connection.handle_deadline(now)
        connection.datagrams_to_send(now)
    assert connection.is_dead


def state_of(connection: KcpConnection) -> dict[str, Any]:
    session = connection._session
    reader = connection._reader
    return {
        "early": len(session.inbox._early),
        "flight": len(session._flight),
        "readable": session.inbox.readable_bytes,
        "lost": len(session._lost),
        "open": len(reader._open) <= 4,
        "shards": len(reader._shards),
    }


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=120) | st.just(bytes(1600)), max_size=20))
def test_garbage_changes_nothing(noise: list[bytes]) -> None:
    connection = KcpConnection(0xC0FFEE, now=0.0)
    connection.send(PAYLOAD)
    connection.datagrams_to_send(0.0)
    before = state_of(connection)
    for datagram in noise:
        connection.receive_datagram(datagram, 0.0)
        connection.receive_datagram(FEC_HEADER.pack(len(datagram), DATA_SHARD, 0) + datagram, 0.0)
        connection.receive_datagram(FEC_HEADER.pack(len(datagram), 0xF2, 0) + datagram, 0.0)
    assert state_of(connection) == before
    assert connection.datagrams_to_send(0.0) == []


@settings(max_examples=40)
@given(st.data())
def test_cut_and_bent_datagrams_never_raise(data: st.DataObject) -> None:
    sender, receiver = KcpConnection(9, now=0.0), KcpConnection(9, now=0.0)
    sender.send(PAYLOAD[:14000])
    for datagram in sender.datagrams_to_send(0.0):
        bent = bytearray(datagram)
        at = data.draw(st.integers(0, 40))
        bent[at] ^= data.draw(st.integers(0, 255))
        receiver.receive_datagram(bent[: data.draw(st.sampled_from([7, 31, 40, 1350]))], 0.0)
    assert receiver.readable_bytes <= 2 * 1024 * 1500
    receiver.datagrams_to_send(0.0)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1 << 32),
    st.floats(0.0, 0.5),
    st.booleans(),
    st.integers(2, 64),
)
def test_any_loss_reordering_and_repetition_gives_the_same_bytes(
    seed: int, loss: float, parity: bool, window: int
) -> None:
    """Datagrams are lost, delayed and doubled as the dice fall; a turn takes ten milliseconds."""
    dice = Random(seed)
    ends = [
        KcpConnection(9, now=0.0, send_window=40, receive_window=window, sends_parity=parity)
        for _ in range(2)
    ]
    messages = [PAYLOAD, PAYLOAD[::-1][:5000]]
    left = list(messages)
    got = [b"", b""]
    under_way: list[tuple[int, bytes]] = []
    now = 0.0
    while any(end.unsent_or_unacked for end in ends) or any(left):
        now += 0.01
        assert now < 600
        for index, end in enumerate(ends):
            left[index] = left[index][end.send(left[index][: dice.randint(1, 9000)]) :]
            for datagram in turn(end, now):
                assert FEC_BYTES < len(datagram) <= DATAGRAM_BYTES
                copies = 0 if dice.random() < loss else 1 + (dice.random() < 0.1)
                under_way += [(1 - index, datagram)] * copies
        dice.shuffle(under_way)
        arrived = under_way[: len(under_way) * 3 // 4 + 1]
        del under_way[: len(arrived)]
        for index, datagram in arrived:
            ends[index].receive_datagram(datagram, now)
        for index, end in enumerate(ends):
            got[1 - index] += end.read(dice.randint(1, 20_000))
    for index, end in enumerate(ends):
        got[1 - index] += end.read(1 << 20)
        assert end.ignored == 0
    assert got == messages
